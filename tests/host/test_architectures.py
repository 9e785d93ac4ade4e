"""The contract on every architecture of the README's table: survivors equal stock runs alone, whatever the model is fed."""

import architectures
import contract
import pytest
import tiny
import torch
from architectures import ARCHITECTURES


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
    report = contract.assert_survivors_equal_stock(model, latent, positive, negative)
    assert report["warnings"] == [] and [len(r["kept"]) for r in report["rounds"]] == [3, 2]
    alone = tiny.stock(model, 7, latent, positive, negative)
    assert all(float(part.std()) > 0.01 for part in (alone.unbind() if alone.is_nested else [alone]))


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


def test_a_latent_batch_keeps_its_rows_and_prompts(case):
    name, model, _, negative = case
    torch.manual_seed(5)
    latent = architectures.latent(name, model, 3, torch.randn)["samples"]
    ((prompts, options),) = architectures.text(name, 1, rows=3)

    def inputs(at):
        return {"samples": latent[at]}, [[prompts[at], {**options, "pooled_output": options["pooled_output"][at]}]], negative

    contract.assert_rows_equal_stock(model, inputs, denoise=0.8)


def test_interruption_halfway_leaves_everything_usable(case, monkeypatch):
    name, model, positive, negative = case
    contract.assert_interruption_is_harmless(model, architectures.latent(name, model), positive, negative, monkeypatch)
