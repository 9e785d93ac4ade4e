"""FluxGuidance, and a guidance of 1 for the first step only, which gives FLUX.1 Dev's groups more variety."""

import architectures
import contract
import nodes
import pytest
import tiny
import torch
from comfy_extras.nodes_flux import FluxDisableGuidance, FluxGuidance
from group_inference.sampling import kept

STEPS = 20


@pytest.fixture(scope="module")
def model():
    return architectures.build("FLUX.1 Dev")


def first_step_free(prompt, guidance, steps):
    """Guidance 1 up to half of the first step: simple and normal schedules put step i at i / steps of the range."""
    ranged = lambda g, start, end: nodes.ConditioningSetTimestepRange().set_range(FluxGuidance.execute(prompt, g)[0], start, end)[0]
    end = 0.5 / steps
    return nodes.ConditioningCombine().combine(ranged(1.0, 0.0, end), ranged(guidance, end, 1.0))[0]


def test_the_first_call_alone_sees_guidance_1(model, monkeypatch):
    positive, seen, apply_model = first_step_free(tiny.text(1), 3.5, STEPS), [], model.model.apply_model

    def watched(x, t, **kwargs):
        seen.append(set(kwargs["guidance"].tolist()))
        return apply_model(x, t, **kwargs)

    monkeypatch.setattr(model.model, "apply_model", watched)
    settings = {"positive": positive, "steps": STEPS, "cfg": 1.0, "scheduler": "simple"}
    tiny.stock(model, 7, tiny.empty_latent(model), **settings)
    assert seen == [{1.0}] + [{3.5}] * (STEPS - 1)
    tiny.group(model, 7, tiny.empty_latent(model), **settings)  # looks whether the batch keeps candidates apart
    seen.clear()
    kept.STORE.clear()
    tiny.group(model, 7, tiny.empty_latent(model), **settings)
    assert seen == [{1.0}] + [{3.5}] * (STEPS - 1)


@pytest.mark.parametrize("change", [
    lambda prompt: first_step_free(prompt, 3.5, 6), lambda prompt: FluxGuidance.execute(prompt, 10.0)[0], lambda prompt: FluxDisableGuidance.execute(prompt)[0],
], ids=["first step free", "guidance 10", "without"])  # fmt: skip
def test_survivors_equal_stock_runs(model, change):
    positive, latent = change(tiny.text(1)), tiny.empty_latent(model)
    settings = {"cfg": 1.0, "scheduler": "simple"}
    contract.assert_survivors_equal_stock(model, latent, positive, **settings)
    changed, plain = (tiny.stock(model, 7, latent, p, **settings) for p in (positive, FluxGuidance.execute(tiny.text(1), 3.5)[0]))
    assert not torch.equal(changed, plain)
