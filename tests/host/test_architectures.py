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


def test_files_are_detected_as_what_they_are():
    for name in architectures.LOADABLE:
        made, loaded = architectures.made(name).model, architectures.loaded(name).model
        assert type(loaded.model_config) is ARCHITECTURES[name][0] and type(loaded) is type(made), name
        ours, theirs = made.state_dict(), loaded.state_dict()
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours), name


def test_survivors_equal_stock_single_runs(case):
    name, model, positive, negative = case
    latent = architectures.latent(name, model)
    got, report = tiny.group(model, 7, latent, positive=positive, negative=negative, ratio=0.25)
    assert report["warnings"] == []
    assert len(report["seeds"]) == 2 and [len(r["kept"]) for r in report["rounds"]] == [3, 2]
    for i, seed in enumerate(report["seeds"]):
        alone = tiny.stock(model, seed, latent, positive, negative)
        assert all(torch.isfinite(part).all() and float(part.std()) > 0.01 for part in (alone.unbind() if alone.is_nested else [alone]))
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < TOLERANCE


def test_what_the_nodes_add_matters(case):
    """Else the contract would hold for a model that never saw it."""
    name, model, positive, negative = case
    for key, value in ARCHITECTURES[name][2].items():
        if key in ("attention_mask", "concat_mask"):
            continue
        double = lambda v: {**v, "strength": 2.0} if isinstance(v, dict) else 2 * v
        other = [double(v) for v in value] if isinstance(value, list) else double(value)
        changed = [[c, {**options, key: other}] for c, options in positive]
        latent = architectures.latent(name, model)
        plain, moved = (tiny.stock(model, 7, latent, p, negative) for p in (positive, changed))
        assert tiny.relative_error(moved, plain) > 1e-6, key


def test_a_latent_batch_keeps_its_rows(case):
    name, model, positive, negative = case
    torch.manual_seed(5)
    latent = architectures.latent(name, model, 3, torch.randn)
    got, report = tiny.group(model, 11, latent, positive=positive, negative=negative, denoise=0.8)
    for i, seed in enumerate(report["seeds"]):
        own = {"samples": latent["samples"][seed - 11 : seed - 10]}
        alone = tiny.stock(model, seed, own, positive, negative, denoise=0.8)
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < TOLERANCE


def test_interruption_halfway_leaves_everything_usable(case, monkeypatch):
    name, model, positive, negative = case
    latent, calls = architectures.latent(name, model), []
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
    got, report = tiny.group(model, 7, latent, positive=positive, negative=negative)
    assert tiny.relative_error(got["samples"][:1], tiny.stock(model, report["seeds"][0], latent, positive, negative)) < TOLERANCE
