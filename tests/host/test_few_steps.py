"""Distilled models in one to four steps, and the nodes that change a model's noise schedule."""

import architectures
import contract
import pytest
import tiny
from comfy_extras import nodes_model_advanced
from comfy_extras.nodes_custom_sampler import CFGGuider, SDTurboScheduler
from comfy_extras.nodes_flux import Flux2Scheduler

STEPS = [1, 2, 4]


def lcm(model):
    return nodes_model_advanced.ModelSamplingDiscrete().patch(model, "lcm", False)[0]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", ["SD 1.5", "SDXL"])
def test_lcm(name, steps):
    model = architectures.build(name)
    latent = tiny.empty_latent(model)
    settings = {"steps": steps, "cfg": 1.0, "sampler_name": "lcm", "scheduler": "sgm_uniform"}
    report = contract.assert_survivors_equal_stock(lcm(model), latent, **settings)
    assert len(report["rounds"][-1]["kept"]) == 2 and report["settings"]["steps"] == steps
    distilled, plain = tiny.stock(lcm(model), 7, latent, **settings), tiny.stock(model, 7, latent, **settings)
    # One step begins and ends at the same sigmas in both.
    assert steps == 1 or tiny.relative_error(distilled, plain) > 10 * contract.TOLERANCE


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", ["SD 1.5", "SDXL"])
def test_turbo(name, steps):
    model = architectures.build(name)
    guider = CFGGuider.execute(model, tiny.text(1), tiny.text(2), 1.0)[0]
    sigmas = SDTurboScheduler.execute(model, steps, 1.0)[0]
    assert len(sigmas) == steps + 1
    contract.assert_custom_sampling_equals_stock(guider, sigmas, tiny.empty_latent(model), "euler_ancestral")


@pytest.mark.parametrize("steps", STEPS)
def test_schnell(steps):
    model = architectures.build("FLUX.1 Schnell")
    contract.assert_survivors_equal_stock(model, tiny.empty_latent(model), steps=steps, cfg=1.0, scheduler="simple")


def test_flux_2_with_its_own_schedule():
    model = architectures.build("FLUX.2")
    texts = (architectures.text("FLUX.2", seed) for seed in (1, 2))
    guider = CFGGuider.execute(model, *texts, 1.0)[0]
    contract.assert_custom_sampling_equals_stock(guider, Flux2Scheduler.execute(4, 128, 128)[0], architectures.latent("FLUX.2", model))


SHIFTED = {
    "ModelSamplingAuraFlow": ("Qwen-Image", lambda node, model: node.patch_aura(model, 3.1)),
    "ModelSamplingSD3": ("SD3", lambda node, model: node.patch(model, 5.0)),
    "ModelSamplingFlux": ("FLUX.1 Dev", lambda node, model: node.patch(model, 1.15, 0.5, 512, 512)),
    "ModelSamplingContinuousEDM": ("SDXL", lambda node, model: node.patch(model, "v_prediction", 120.0, 0.002)),
}


@pytest.mark.parametrize("node", SHIFTED)
def test_shifted_schedules(node):
    name, patch = SHIFTED[node]
    model = architectures.build(name)
    latent, positive, negative = architectures.latent(name, model), architectures.text(name, 1), architectures.text(name, 2)
    shifted = patch(getattr(nodes_model_advanced, node)(), model)[0]
    contract.assert_survivors_equal_stock(shifted, latent, positive, negative)
    moved, plain = (tiny.stock(m, 7, latent, positive, negative) for m in (shifted, model))
    assert tiny.relative_error(moved, plain) > contract.TOLERANCE
