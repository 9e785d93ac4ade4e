"""Groups that hold more than what is chosen: the program by brute force, and what the nodes make of it."""

import itertools
import json
import math

import numpy as np
import pytest
import tiny
import torch
from group_inference.nodes.combine import CombinePairwiseScorers
from group_inference.nodes.different_from import DifferentFromNode
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.sampling import look
from group_inference.sampling.choose import OBJECTIVES, Objective, choose
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.combine import Combined, QualityFloor
from group_inference.scorers.different_from import DifferentFrom
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.motion import Motion
from group_inference.scorers.pool import Pool, squared_distance
from group_inference.scorers.structure import Edges
from group_inference.solver import mean_weight, standard_distances, standard_scores
from group_inference.solver.clock import Clock
from group_inference.solver.set_functions import LogDet


class Quality:
    name, needs_images, reliability = "quality", False, ((0.0, 1.0),)

    def __init__(self, scores):
        self.scores = torch.as_tensor(scores)

    def score(self, pool):
        assert len(pool.x0) == len(self.scores)  # nobody asks for that of the given ones
        return self.scores


class Apart:
    """Half the squared distance of two points."""

    needs_images, reliability = False, ((0.0, 1.0),)

    def __init__(self, name="apart"):
        self.name = name

    def score(self, pool):
        return squared_distance(pool.x0.flatten(1)) / 2


def instance(seed, count=8, fixed=3):
    """(u [M], points [M + F, 3]) of which two given ones are twins and one lies among the candidates."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(count + fixed, 3)) * [3, 1, 1]
    points[-1] = points[-2]
    return random.normal(size=count), points


def worth(kind, u, b, weight, group, fixed):
    """The definition: the objective of the candidates `group` and the last `fixed` items, less what all groups share."""
    count, members = len(u), [*group, *range(len(u), len(u) + fixed)]
    own = b[:count, :count]
    size = len(members)
    if kind != "paper":
        share = own[np.triu_indices(count, 1)].max() / standard_distances(own)[np.triu_indices(count, 1)].max()
        u, b, weight = standard_scores(u), b / share, mean_weight(weight, size)
    quality = u[list(group)].sum()
    pairs = [b[i, j] for i, j in itertools.combinations(members, 2) if i < count]
    if kind == "max_min":
        return quality + weight * size * (size - 1) / 2 * min(pairs)
    if kind == "log_det":
        function = LogDet(np.zeros(count + fixed), b, size, weight, Clock())
        return quality + function.price * np.linalg.slogdet(function.kernel[np.ix_(members, members)])[1]
    return quality + weight * sum(pairs)


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize(("n", "weight"), [(1, 1.5), (3, 0.7), (4, 10.0)])
@pytest.mark.parametrize("seed", range(3))
def test_the_chosen_are_the_best_by_the_definition(kind, n, weight, seed):
    u, points = instance(seed)
    x0, fixed = torch.tensor(points[:8], dtype=torch.float32)[:, :, None, None], torch.tensor(points[8:], dtype=torch.float32)
    around = DifferentFrom(DifferentFrom(Apart(), latents=fixed[:1, :, None, None]), latents=fixed[1:, :, None, None])
    found = choose(Pool(None, x0), Objective(Quality(u), around, weight, kind, time_limit=60), n)
    b = squared_distance(torch.cat([x0.flatten(1), fixed])).double().numpy() / 2
    values = {group: worth(kind, u, b, weight, group, 3) for group in itertools.combinations(range(8), n)}
    best = max(values.values())
    assert found.selection.status == "optimal" and len(found.chosen) == n and set(found.chosen) < set(range(8))
    assert values[tuple(sorted(found.chosen))] == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert found.to_fixed == pytest.approx(b[:8, 8:].mean(1), rel=1e-5) and found.pairwise == pytest.approx(b[:8, :8], rel=1e-5, abs=1e-5)
    share = lambda i: u[i] + weight * (b[i, [*found.chosen, 8, 9, 10]].sum()) / 2
    if kind == "paper":
        assert found.chosen == sorted(found.chosen, key=share, reverse=True)


def test_given_ones_change_what_is_chosen():
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])[:, :, None, None]
    near = torch.tensor([[4.1, 0.0]])[:, :, None, None]
    for kind in OBJECTIVES:
        goal = lambda pairwise: Objective(None, pairwise, 1.5, kind)  # noqa: B023
        assert sorted(choose(Pool(None, points), goal(Apart()), 2).chosen) == [1, 2]
        assert sorted(choose(Pool(None, points), goal(DifferentFrom(Apart(), latents=near)), 2).chosen) == [0, 2]


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_one_of_two_is_chosen_by_the_given_alone(kind):
    """Two candidates have one distance, and one number has no spread."""
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0]])[:, :, None, None]
    for near, right in ((0.3, 1), (3.6, 0)):
        given = torch.tensor([[near, 0.0]])[:, :, None, None]
        assert choose(Pool(None, points), Objective(None, DifferentFrom(Apart(), latents=given), 1.5, kind), 1).chosen == [right]


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_pins_floors_and_broken_candidates_beside_given_ones(kind):
    u, points = instance(5)
    points[2] = np.nan
    x0, fixed = (torch.tensor(part, dtype=torch.float32)[:, :, None, None] for part in (points[:8], points[8:]))
    floored = QualityFloor(Quality(u), float(np.sort(u)[3]))
    goal = Objective(floored, DifferentFrom(Apart(), latents=fixed), 1.5, kind)
    found = choose(Pool(None, x0), goal, 3, pinned=[4])
    assert 4 in found.chosen and not set(found.chosen) & {2, *found.below_floor} and len(found.chosen) == 3
    assert (
        found.finite.tolist() == [i != 2 for i in range(8)]
        and math.isnan(found.to_fixed[2])
        and np.isfinite(found.to_fixed[[0, 1, 3]]).all()
    )
    everybody = choose(Pool(None, x0), Objective(None, DifferentFrom(Apart(), latents=fixed), 1.5, kind), 8)
    assert sorted(everybody.chosen) == [0, 1, 3, 4, 5, 6, 7]


def test_several_scorers_count_the_given_each():
    _, points = instance(1)
    x0, fixed = (torch.tensor(part, dtype=torch.float32)[:, :, None, None] for part in (points[:8], points[8:]))
    both = Combined([(Apart("one"), 1.0), (Apart("two"), 2.0)])
    found = choose(Pool(None, x0), Objective(None, DifferentFrom(both, latents=fixed), kind="balanced"), 2)
    b = squared_distance(torch.cat([x0, fixed]).flatten(1)).double().numpy() / 2
    own = standard_distances(b[:8, :8])
    assert found.pairwise == pytest.approx(3 * own, rel=1e-5) and found.to_fixed == pytest.approx(
        3 * (b * own.max() / b[:8, :8].max())[:8, 8:].mean(1), rel=1e-5
    )


def test_a_given_picture_that_nobody_can_judge_is_named():
    class Picky(Apart):
        def score(self, pool):
            found = super().score(pool)
            found[-1, :] = found[:, -1] = float("nan")
            return found

    given = torch.rand(2, 3, 1, 1)
    with pytest.raises(ValueError, match="Picture 1 .counted from 0. of Different From has no finite distance"):
        choose(Pool(None, torch.rand(4, 3, 1, 1)), Objective(None, DifferentFrom(Picky(), latents=given)), 2)


def sampled(model, seed, pairwise, size=2, candidates=6, steps=4, **more):
    settings = {"objective": "balanced", "pruning_ratio": 0.5, **more}
    ratio = settings.pop("pruning_ratio")
    with torch.inference_mode():
        out = GroupKSampler.execute(
            model, seed, steps, 1.0, "euler", "normal", tiny.text(1), tiny.text(2), tiny.empty_latent(model), 1.0, candidates, size, ratio,
            pairwise=pairwise, **settings,
        )  # fmt: skip
    return out[0], json.loads(out[1]), out.ui["group_summary"]


@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
@pytest.mark.parametrize(
    "schedule", [{"pruning_ratio": 0.0}, {"schedule": "budget", "budget": 3.0, "steps": 20}], ids=["at the end", "budget"]
)
def test_the_next_ones_by_latents_alone(model, schedule, monkeypatch):
    """The same seeds again: what is given is among them, in the host's space, and is at no distance from itself."""
    monkeypatch.setattr(look, "Previewer", None)  # nothing is decoded
    first, before, _ = sampled(model, 3, LatentDistance(), **schedule)
    again = DifferentFromNode.execute(LatentDistance(), latent=first)[0]
    second, report, said = sampled(model, 3, again, **schedule)
    assert not set(before["seeds"]) & set(report["seeds"]) and report["settings"]["different_from"] == 2
    assert before["settings"]["different_from"] == 0 and before["rounds"][-1]["to_fixed"] is None
    last = report["rounds"][-1]
    assert len(last["to_fixed"]) == len(last["seeds"]) and "Difference from what is given" in " ".join(said)
    if "budget" not in schedule:
        distances = dict(zip(last["seeds"], last["to_fixed"], strict=True))
        # Half of the way to two given ones is no way.
        pair = before["rounds"][-1]["pairwise"][0][1]
        assert [distances[seed] for seed in before["seeds"]] == pytest.approx([pair / 2] * 2, rel=1e-3)
    else:
        assert not all(look["scored"] for look in report["plan"]["looks"]) and all(r["to_fixed"] for r in report["rounds"])


def test_pictures_are_looked_at_once_and_counted_in_every_round(flow_model, monkeypatch):
    looked, rows = [], ColorHistogram.rows
    monkeypatch.setattr(ColorHistogram, "rows", lambda self, pool: looked.append(tuple(pool.images.shape[:3])) or rows(self, pool))
    given = torch.rand(5, 50, 70, 3)
    _, report, _ = sampled(flow_model, 3, DifferentFromNode.execute(ColorHistogram("rgb"), image=given)[0])
    assert len(report["rounds"]) == 2
    assert [shape for shape in looked if shape[0] == 5] == [(5, 64, 64), (5, 8, 8)]  # for the trial, and as previews are


def test_early_looks_by_latents_do_without_them_where_there_are_only_pictures(flow_model):
    given = DifferentFromNode.execute(ColorHistogram("rgb"), image=torch.rand(1, 8, 8, 3))[0]
    _, report, _ = sampled(flow_model, 3, given, schedule="budget", budget=3.0, steps=20)
    assert not all(look["scored"] for look in report["plan"]["looks"])
    assert [r["to_fixed"] is None for r in report["rounds"]] == [not look["scored"] for look in report["plan"]["looks"]]


def select(pairwise, images, **inputs):
    out = QIPSelector.execute([images], [2], [1.5], ["balanced"], pairwise=(pairwise,), **inputs)
    return out.args[2], json.loads(out.args[3]), out.ui["group_summary"]


def grey(*levels):
    return torch.stack([torch.full((8, 8, 3), float(v)) for v in levels])


def test_the_selector_too():
    images = grey(0.1, 0.5, 0.9, 0.12)
    indices, report, said = select(DifferentFromNode.execute(ColorHistogram("rgb"), image=grey(0.1, 0.9))[0], images)
    assert 1 in indices and 2 not in indices and report["settings"]["different_from"] == 2
    own = [report["rounds"][0]["to_fixed"][i] for i in indices]
    line = next(line for line in said if "Difference from what is given" in line)
    assert f"given {np.mean(own):.3g} ({np.mean(report['rounds'][0]['to_fixed']):.3g} among the last 4)" in line
    latents = torch.randn(4, 4, 4, 4)
    indices, _, _ = select(DifferentFrom(LatentDistance(), latents=latents[[0, 2]]), images, latent=[{"samples": latents}])
    assert sorted(indices) == [1, 3]


@pytest.mark.parametrize(("pairwise", "sentence"), [
    (lambda: DifferentFrom(Edges(), latents=torch.zeros(1, 16, 8, 8)), "The scorer structure edges failed: it compares pictures"),
    (lambda: DifferentFrom(LatentDistance(), grey(0)), "The scorer latent failed: it compares latents, and a Different From has none"),
    (lambda: DifferentFrom(LatentDistance(), latents=torch.zeros(1, 4, 8, 8)), "latent of Different From is 4 x 8 x 8, but those of the candidates are 16 x 8 x 8"),
    (lambda: DifferentFrom(Edges(), grey(0), torch.zeros(1, 4, 8, 8)), "latent of Different From is 4 x 8 x 8"),
    (lambda: DifferentFrom(Motion(type("Backbone", (), {"model_type": "any"})()), grey(0)), "The scorer motion any failed: it compares videos as a whole"),
    (lambda: Combined([(DifferentFrom(Edges(), grey(0)), 1.0), (LatentDistance(), 1.0)]), "connect Different From after Combine Difference"),
    (lambda: DifferentFrom(Known(), grey(0, 1)), r"The scorer known answered with numbers of the shape \(2, 2\) instead of \(4, 4\)"),
])  # fmt: skip
def test_what_cannot_be_compared_is_said_before_sampling(flow_model, monkeypatch, pairwise, sentence):
    monkeypatch.setattr(flow_model.model, "apply_model", None)
    with pytest.raises(ValueError, match=sentence) as error:
        sampled(flow_model, 3, pairwise())
    assert "\n" not in str(error.value)


class Known:
    """Another pack's, with distances of its own."""

    name, needs_images = "known", True

    def score(self, pool):
        return torch.zeros(2, 2)


def test_after_a_combination_it_is_for_all_parts(flow_model):
    both = CombinePairwiseScorers.execute({"scorer0": ColorHistogram("rgb"), "scorer1": LatentDistance()}, "1").args[0]
    around = DifferentFromNode.execute(both, torch.rand(1, 8, 8, 3), {"samples": torch.randn(1, 16, 4, 4)})[0]
    _, report, _ = sampled(flow_model, 3, around)
    assert report["settings"]["pairwise"] == "1 x color rgb + 1 x latent" and report["rounds"][-1]["to_fixed"]
