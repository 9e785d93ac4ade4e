"""The contract on every architecture of the README's table: survivors equal stock runs alone, whatever the model is fed."""

import json
from types import SimpleNamespace

import architectures
import contract
import pytest
import tiny
import torch
from architectures import ARCHITECTURES
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.group_sampler import GroupReport
from group_inference.nodes.group_sheet import GroupSheet
from group_inference.scorers.color import ColorHistogram


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


def first_press(model, latent, positive, negative, **more):
    """(LATENT, report) of Group KSampler as it is dropped in: nothing but what a KSampler has, and the schema's defaults."""
    defaults = {i.id: i.default for i in GroupKSampler.define_schema().inputs if getattr(i, "default", None) is not None}
    given = {
        "model": model,
        "positive": positive,
        "negative": negative,
        "latent_image": latent,
        "sampler_name": "euler",
        "scheduler": "normal",
    }
    with torch.inference_mode():
        out = GroupKSampler.execute(**{**defaults, **given, "seed": 7, "steps": 8, "cfg": 4.0, **more})
    return out.args[0]["samples"], json.loads(out.args[1])


def test_the_first_press(case):
    name, model, positive, negative = case
    latent = architectures.latent(name, model, 4)
    got, report = first_press(model, latent, positive, negative)
    assert len(report["seeds"]) == 4 < report["plan"]["start"] and report["rounds"] and report["warnings"] == []
    best = tiny.stock(model, report["seeds"][0], architectures.latent(name, model), positive, negative, steps=8)
    first = [part[:1] for part in (got.unbind() if got.is_nested else [got])]
    for ours, theirs in zip(first, best.unbind() if best.is_nested else [best], strict=True):
        assert tiny.relative_error(ours, theirs) < contract.TOLERANCE


def test_one_that_had_left_is_wanted_after_all(case):
    """It is the only one that is sampled, it is what stock gives, and what left is of the latent's shape."""
    name, model, positive, negative = case
    latent = architectures.latent(name, model)
    _, first = tiny.group(model, 7, latent, positive=positive, negative=negative)
    loser = next(seed for seed in first["rounds"][0]["seeds"] if seed not in first["seeds"])
    got, again = tiny.group(model, 7, latent, positive=positive, negative=negative, pinned=str(loser))
    assert again["known"] == 4 and again["model_rows"] <= 2 * 6 and loser in again["seeds"]
    for i, seed in enumerate(again["seeds"]):
        alone = tiny.stock(model, seed, latent, positive, negative)
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < contract.TOLERANCE
    *_, rejected, seeds = GroupReport.execute(report=json.dumps(again)).args
    parts = lambda samples: samples.unbind() if samples.is_nested else [samples]
    for ours, theirs in zip(parts(rejected["samples"]), parts(alone), strict=True):
        assert ours.shape == (len(seeds), *theirs.shape[1:]) and torch.isfinite(ours).all()


@pytest.mark.parametrize("name", ["ACE-Step", "Stable Audio", "Hunyuan3D"])
def test_what_is_no_picture_is_not_looked_at(name):
    model, text = architectures.build(name), architectures.text(name, 1)
    vae = SimpleNamespace(decode=lambda x: x, output_channels=2) if name == "ACE-Step" else None
    with pytest.raises(ValueError, match="no pictures.* connect no scorers") as error:
        first_press(model, architectures.latent(name, model), text, text, pairwise=ColorHistogram("rgb"), vae=vae)
    assert "\n" not in str(error.value)
    _, report = tiny.group(model, 7, architectures.latent(name, model), positive=text, negative=text)
    with pytest.raises(ValueError, match="no pictures .*nothing to show on a sheet"):
        GroupSheet.execute({"report0": json.dumps(report)})


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
