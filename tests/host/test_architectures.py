"""The contract on every architecture of the README's table: survivors equal stock runs alone, whatever the model is fed."""

import architectures
import comfy.model_management
import pytest
import tiny
import torch
from architectures import ARCHITECTURES

TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request):
    """(name, model, positive, negative)"""
    name = request.param
    return name, architectures.build(name), architectures.text(name, 1), architectures.text(name, 2)


def test_survivors_equal_stock_single_runs(case):
    name, model, positive, negative = case
    latent = architectures.latent(model)
    got, report = tiny.group(model, 7, latent, positive=positive, negative=negative, ratio=0.25)
    assert report["warnings"] == []
    assert len(report["seeds"]) == 2 and [len(r["kept"]) for r in report["rounds"]] == [3, 2]
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        alone = tiny.stock(model, seed, latent, positive, negative)
        assert torch.isfinite(alone).all() and float(alone.std()) > 0.01
        assert tiny.relative_error(row[None], alone) < TOLERANCE


def test_what_the_nodes_add_matters(case):
    """Else the contract would hold for a model that never saw it."""
    name, model, positive, negative = case
    for key, value in ARCHITECTURES[name][2].items():
        if key in ("attention_mask", "concat_mask"):
            continue
        double = lambda v: {**v, "strength": 2.0} if isinstance(v, dict) else 2 * v
        other = [double(v) for v in value] if isinstance(value, list) else double(value)
        changed = [[c, {**options, key: other}] for c, options in positive]
        latent = architectures.latent(model)
        plain, moved = (tiny.stock(model, 7, latent, p, negative) for p in (positive, changed))
        assert tiny.relative_error(moved, plain) > 1e-6, key


def test_a_latent_batch_keeps_its_rows(case):
    name, model, positive, negative = case
    latent = {"samples": torch.randn(architectures.latent(model, 3)["samples"].shape, generator=torch.Generator().manual_seed(5))}
    got, report = tiny.group(model, 11, latent, positive=positive, negative=negative, denoise=0.8)
    for i, seed in enumerate(report["seeds"]):
        own = {"samples": latent["samples"][seed - 11 : seed - 10]}
        alone = tiny.stock(model, seed, own, positive, negative, denoise=0.8)
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < TOLERANCE


def test_interruption_halfway_leaves_everything_usable(case, monkeypatch):
    name, model, positive, negative = case
    latent, calls = architectures.latent(model), []
    apply_model = model.model.apply_model

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 5:
            comfy.model_management.interrupt_current_processing()
        return apply_model(*args, **kwargs)

    monkeypatch.setattr(model.model, "apply_model", interrupted)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        tiny.group(model, 7, latent, positive=positive, negative=negative)
    assert len(calls) <= 6
    monkeypatch.undo()
    before = tiny.stock(model, 7, latent, positive, negative)
    assert torch.equal(before, tiny.stock(model, 7, latent, positive, negative))
    tiny.group(model, 7, latent, positive=positive, negative=negative)
