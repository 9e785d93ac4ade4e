"""Seeds in: which candidates start, which are fixed and which are forbidden."""

import json
from types import SimpleNamespace

import pytest
import tiny
import torch
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.sampling.plan import Look, Plan
from group_inference.sampling.variants import marked
from tiny import group


def picks(report):
    return [seed for look in report["rounds"] for seed in look["seeds"]]


@pytest.mark.parametrize("schedule", ["paper", "budget"])
def test_exactly_the_named_ones_start(flow_model, schedule):
    latent = tiny.empty_latent(flow_model)
    got, report = group(flow_model, 0, latent, seeds="3, 40-47, 18446744073709551615", schedule=schedule, budget=4.0)
    assert report["rounds"][0]["seeds"] == [3, *range(40, 48), 2**64 - 1] and set(report["seeds"]) < {3, *range(40, 48), 2**64 - 1}
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, latent)) < 1e-4


def test_as_many_as_the_group_are_finished_without_a_look(flow_model):
    latent = tiny.empty_latent(flow_model)
    got, report = group(flow_model, 0, latent, size=1, seeds="11", schedule="budget")
    assert report["seeds"] == [11] and report["rounds"] == [] and report["model_rows"] == 6
    assert tiny.relative_error(got["samples"], tiny.stock(flow_model, 11, latent)) < 1e-4


@pytest.mark.parametrize("schedule", ["paper", "budget"])
def test_pinned_ones_are_in_the_group_and_banned_ones_do_not_start(flow_model, schedule):
    latent = tiny.empty_latent(flow_model)
    settings = {"candidates": 12, "size": 3, "schedule": schedule, "budget": 3.0}
    _, free = group(flow_model, 5, latent, **settings)
    losers = [seed for seed in free["rounds"][0]["seeds"] if seed not in free["seeds"]]
    pinned, banned = [losers[0], 1000], free["seeds"]
    got, report = group(flow_model, 5, latent, pinned=", ".join(map(str, pinned)), banned=", ".join(map(str, banned)), **settings)
    assert set(pinned) < set(report["seeds"]) and not set(banned) & set(picks(report))
    assert set(report["rounds"][0]["seeds"]) == set(free["rounds"][0]["seeds"]) - set(banned) | {1000}
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, latent)) < 1e-4
    assert all(set(pinned) <= set(look["kept"]) for look in report["rounds"])


def test_the_next_four_are_those_of_the_report_banned(flow_model):
    latent = tiny.empty_latent(flow_model)
    _, first = group(flow_model, 5, latent, candidates=8)
    _, second = group(flow_model, 5, latent, candidates=8, banned=json.dumps(first))
    _, both = group(flow_model, 5, latent, candidates=8, size=4, pinned=json.dumps(first))
    assert second["settings"]["banned"] == first["seeds"] and "pinned" not in second["settings"]
    assert not set(first["seeds"]) & set(second["seeds"]) and set(first["seeds"]) < set(both["seeds"])


def test_rows_of_a_latent_are_named_as_such(flow_model):
    latent = tiny.picture_latent(flow_model, 5)
    got, report = group(flow_model, 10, latent, pinned="row 3", banned="row 0, 11", denoise=0.5)
    assert set(report["seeds"]) < {12, 13, 14} and 13 in report["seeds"]
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        own = {"samples": latent["samples"][seed - 10 : seed - 9]}
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, own, denoise=0.5)) < 1e-4
    _, report = group(flow_model, 10, latent, seeds="row 4, row 1", denoise=0.5)
    assert sorted(report["seeds"]) == [11, 14]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"pinned": "1-3"}, "pinned names 3 seeds, but output_group_size is 2: pin fewer"),
        ({"banned": "7-9"}, "Of 4 candidates 3 are banned, and the other 1 are fewer than output_group_size"),
        ({"seeds": "3"}, "output_group_size \\(2\\) is larger than the number of candidates \\(1\\)"),
        ({"pinned": "row 1"}, "the latent is one for all candidates"),
        ({"banned": "seven"}, "banned holds 'seven'"),
    ],
)
def test_what_cannot_be_is_said_before_the_model_runs(flow_model, monkeypatch, inputs, says):
    monkeypatch.setattr(flow_model.model, "apply_model", lambda *args, **kwargs: pytest.fail("the model ran"))
    with pytest.raises(ValueError, match=says):
        group(flow_model, 7, tiny.empty_latent(flow_model), **inputs)


def test_a_plan_with_other_candidates_has_the_same_looks():
    plan = Plan(40, 4, 20, (Look(1, 8, False), Look(9, 4)), 2.0)
    assert plan.started(37) == Plan(37, 4, 20, plan.looks, 2.0) and plan.started(40) == plan
    assert plan.started(8).looks == (Look(9, 4),) and plan.started(4).looks == ()


def test_a_seed_has_the_prompt_that_it_would_have_in_a_row_of_seeds(flow_model):
    """Of three prompts that of its distance from the first seed, whoever else starts; from the kept pool too."""
    latent, parts = tiny.empty_latent(flow_model), [tiny.text(i) for i in (1, 3, 4)]
    positive = marked(parts, ["one", "two", "three"])
    for more in ({"seeds": "12, 7, 20"}, {"seeds": "12, 7, 20", "pinned": "20"}, {"pinned": "1003", "candidates": 3}):
        got, report = group(flow_model, 7, latent, positive=positive, **more)
        for row, seed in zip(got["samples"], report["seeds"], strict=True):
            own = (seed - 7) % 3
            assert report["prompts"]["positive"][str(seed)] == ["one", "two", "three"][own]
            assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, latent, positive=parts[own])) < 1e-4


def choose_pictures(size=2, **more):
    """Numbers, seeds and the report of QIP Selector on six grey pictures of which the bright ones are best."""
    levels = torch.linspace(0.1, 0.9, 6)
    pictures = levels.view(6, 1, 1, 1).expand(6, 8, 8, 3)
    bright = SimpleNamespace(name="bright", needs_images=True, score=lambda pool: pool.images.mean((1, 2, 3)))
    out = QIPSelector.execute([pictures], [size], [1.5], unary=(bright,), **{name: [value] for name, value in more.items()}).args
    return out[2], out[6], json.loads(out[3])


def test_the_selector_speaks_the_same_language():
    assert set(choose_pictures()[0]) == {4, 5} and set(choose_pictures(pinned="0")[0]) == {0, 5}
    assert set(choose_pictures(pinned="0", banned="4-5")[0]) == {0, 3} == set(choose_pictures(pinned="row 0", banned="row 4, 5")[0])
    numbers, seeds, report = choose_pictures(seeds=[30, 31, 32, 33, 34, 35], pinned="30", banned="35")
    assert set(numbers) == {0, 4} and set(seeds) == {30, 34} == set(report["seeds"])
    assert set(choose_pictures(banned=json.dumps(choose_pictures()[2]))[0]) == {2, 3}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"pinned": "6"}, "pinned names 6, but no image is called so: they are called 0 to 5"),
        ({"pinned": "0-2"}, "pinned names 3 images, but output_group_size is 2"),
        ({"banned": "0-4"}, "banned leaves 1 images, but output_group_size is 2"),
        ({"pinned": "3", "banned": "3"}, "The seed 3 is both pinned and banned"),
        ({"seeds": [30, 31, 32, 33, 34, 35], "pinned": "3"}, "pinned names 3, but no image is called so: they are called 30 to 35"),
    ],
)
def test_the_selector_says_what_cannot_be(inputs, says):
    with pytest.raises(ValueError, match=says):
        choose_pictures(**inputs)
