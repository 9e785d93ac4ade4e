"""Several scorers as one, floors, and what is left out of early rounds."""

import asyncio
import importlib.util
import json
from pathlib import Path

import comfy.model_management
import numpy as np
import pytest
import tiny
import torch
from backbones import Talker
from group_inference.nodes.combine import CombineUnaryScorers, QualityFloorNode
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.sampling.choose import Objective, choose
from group_inference.scorers.cfg_agreement import CfgAgreement
from group_inference.scorers.combine import Combined, QualityFloor, terms
from group_inference.scorers.pool import Pool
from group_inference.scorers.vlm import Vlm
from group_inference.solver import standard_distances, standard_scores

ROOT = Path(__file__).resolve().parents[2]


class Fixed:
    needs_images = False

    def __init__(self, *scores, name="fixed", reliability=((0.0, 1.0),)):
        self.scores, self.name, self.reliability = torch.tensor(scores), name, reliability

    def score(self, pool):
        return self.scores[: len(pool.x0)] if self.scores.ndim == 1 else self.scores[: len(pool.x0), : len(pool.x0)]


def pool(count, progress=1.0):
    return Pool(None, torch.zeros(count, 4, 2, 2), progress)


def test_paper_adds_raw_scores_and_all_others_standardise_each_first():
    large, small = Fixed(0.0, 100.0, 50.0, 20.0), Fixed(0.4, 0.1, 0.2, 0.3, name="small")
    both = Combined([(large, 1.0), (small, 2.0)])
    raw = choose(pool(4), Objective(both), 1)
    assert raw.unary == pytest.approx([0.8, 100.2, 50.4, 20.6]) and set(raw.parts) == {"fixed", "small"}
    even = choose(pool(4), Objective(both, kind="balanced"), 1)
    expected = standard_scores(large.scores) + 2 * standard_scores(small.scores)
    assert even.unary == pytest.approx(expected) and even.chosen == [int(expected.argmax())] != raw.chosen
    distances = torch.tensor([[0, 1, 2], [1, 0, 4], [2, 4, 0.0]])
    pairs = Combined([(Fixed(*distances.tolist()), 1.0), (Fixed(*(9 * distances).tolist(), name="nine"), 1.0)])
    assert choose(pool(3), Objective(None, pairs), 2).pairwise == pytest.approx(10 * distances.numpy())
    assert choose(pool(3), Objective(None, pairs, kind="balanced"), 2).pairwise == pytest.approx(2 * standard_distances(distances))


def test_parts_of_one_name_are_numbered():
    two, other = [Fixed(0.1, 0.2, name="clip"), Fixed(0.4, 0.3, name="clip")], Fixed(1.0, 2.0, name="other")
    round_ = choose(pool(2), Objective(Combined([(two[0], 1.0), (other, 1.0), (two[1], 1.0)])), 1).as_round(0, 0.0, [7, 8], {})
    assert {name: pytest.approx(scores) for name, scores in round_.parts.items()} == {
        "clip 1": [0.1, 0.2],
        "other": [1, 2],
        "clip 2": [0.4, 0.3],
    }


def test_combinations_of_combinations_are_flat():
    a, b, c = Fixed(1.0), Fixed(2.0), Fixed(3.0)
    inner = Combined([(a, 2.0), (b, 1.0)])
    assert terms(Combined([(inner, 3.0), (c, 1.0)])) == [(a, 6.0), (b, 3.0), (c, 1.0)] and terms(None) == []


@pytest.mark.parametrize(("text", "weights"), [("1", [1, 1]), ("0.5, 2", [0.5, 2]), (" 1 ,0 ", [1, 0])])
def test_weights_are_one_for_all_or_one_each(text, weights):
    made = CombineUnaryScorers.execute({"scorer0": Fixed(1.0), "scorer1": Fixed(2.0), "scorer2": None}, text).args[0]
    assert [weight for _, weight in made.parts] == weights


@pytest.mark.parametrize("text", ["", "a", "1, 2, 3", "-1, 1", "nan", "inf", "0"])
def test_other_weights_are_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match="weights must be one number or 2 numbers"):
        CombineUnaryScorers.execute({"scorer0": Fixed(1.0), "scorer1": Fixed(2.0)}, text)


def test_below_the_floor_nobody_is_selected_while_enough_others_remain():
    floored = QualityFloor(Fixed(0.1, 0.5, 0.3, 0.6), 0.35)
    apart = torch.zeros(4, 4)
    apart[0] = apart[:, 0] = 100.0
    apart[0, 0] = 0
    goal = Objective(floored, Fixed(*apart.tolist(), name="apart"))
    two = choose(pool(4), goal, 2)
    assert sorted(two.chosen) == [1, 3] and two.below_floor == [0, 2]
    assert two.as_round(0, 0.0, [7, 8, 9, 10], {}).below_floor == [7, 9]
    three = choose(pool(4), goal, 3)
    assert sorted(three.chosen) == [1, 2, 3] and three.below_floor == [0]
    assert sorted(choose(pool(4), goal, 4).chosen) == [0, 1, 2, 3]


def test_a_floor_belongs_under_one_scorer():
    assert QualityFloorNode.execute(Fixed(1.0), 0.3).args[0].quality_floor == 0.3
    with pytest.raises(ValueError, match="floor before combining"):
        QualityFloorNode.execute(Combined([(Fixed(1.0), 1), (Fixed(2.0), 1)]), 0.3)


def run(model, unary, cfg=1.0, **options):
    from group_inference.nodes.group_ksampler import GroupKSampler

    text = tiny.text(1), tiny.text(2), tiny.empty_latent(model)
    with torch.inference_mode():
        out = GroupKSampler.execute(model, 3, 4, cfg, "euler", "normal", *text, 1.0, 4, 1, 0.5, unary=unary, **options)
    return json.loads(out[1])


SLOW = [(0.0, 0.0), (0.49, 0.0), (0.5, 1.0)]
EARLY = [(0.0, 1.0)]


def test_a_score_counts_by_what_it_knows_at_that_noise():
    early, late = Fixed(0.0, 0.1, 0.2, name="early", reliability=EARLY), Fixed(9.0, 0.5, 0.0, name="late", reliability=[(0, 0), (1, 1)])
    both = Objective(Combined([(early, 1.0), (late, 1.0)]))
    assert [choose(pool(3, gone), both, 1).chosen for gone in (0.0, 0.01, 0.5, 1.0)] == [[2], [2], [0], [0]]
    assert choose(pool(3, 0.5), both, 1).by == {"early": 1.0, "late": 0.5}
    # Alone a scorer has no other to step back for.
    assert choose(pool(3, 0.01), Objective(late), 1).chosen == choose(pool(3, 0.0), Objective(late), 1).chosen == [0]


def test_a_floor_waits_until_its_scorer_is_trusted():
    floor = QualityFloor(Fixed(0.9, 0.1, 0.2, 0.3, reliability=SLOW), 0.5)
    early, late = (choose(pool(4, gone), Objective(floor), 2) for gone in (0.4, 0.6))
    assert early.below_floor == [] and early.unmet == [] and late.below_floor == [1, 2]


@pytest.mark.parametrize("curve", [0.5, "late", [(0.1,)], [(0, "a")], [], [(0.5, 0.1), (0.2, 0.3)], [(0, float("nan"))]])
def test_a_reliability_that_is_no_curve_is_named(curve):
    with pytest.raises(ValueError, match=r"The scorer odd .*reliability"):
        Objective(Fixed(1.0, name="odd", reliability=curve))


def test_enough_candidates_live_until_every_scorer_has_judged(flow_model):
    """With the node's defaults pruning was over after two of twenty steps, and a scorer that begins later never counted."""
    late = Fixed(*range(16), name="late", reliability=SLOW)
    _, report = tiny.group(flow_model, 3, tiny.empty_latent(flow_model), 16, 4, steps=20, unary=late)
    assert [(r["step"], len(r["seeds"])) for r in report["rounds"]] == [(0, 16), (9, 8)]
    assert [r["by"]["late"] for r in report["rounds"]] == [0, pytest.approx(1)]


def test_trust_begins_at_a_share_of_the_noise_and_not_of_the_steps(flow_model):
    """Image to image at denoise 0.4 starts where 60% of the noise are gone."""
    late = Fixed(0.3, 0.2, 0.1, 0.0, name="late", reliability=SLOW)
    whole = tiny.group(flow_model, 3, tiny.empty_latent(flow_model), 4, 2, steps=10, scheduler="simple", unary=late)[1]
    part = tiny.group(flow_model, 3, tiny.picture_latent(flow_model), 4, 2, steps=10, scheduler="simple", denoise=0.4, unary=late)[1]
    assert [r["rounds"][-1]["step"] for r in (whole, part)] == [4, 2]


def test_one_broken_scorer_stops_the_run_before_sampling_and_names_itself(flow_model, monkeypatch):
    class Broken(Fixed):
        def score(self, pool):
            raise RuntimeError("no such layer")

    monkeypatch.setattr(flow_model.model, "apply_model", None)
    for scorer, sentence in (
        (Broken(1.0, name="odd"), "The scorer odd failed: no such layer"),
        (Fixed([1.0, 2.0], name="flat"), "The scorer flat answered"),
    ):
        with pytest.raises(ValueError, match=sentence):
            run(flow_model, Combined([(Fixed(0.0, 1.0, 2.0, 3.0), 1.0), (scorer, 1.0)]))


def test_a_scorer_out_of_memory_is_left_to_the_host():
    class Large(Fixed):
        def score(self, pool):
            raise comfy.model_management.OOM_EXCEPTION("out of memory")

    with pytest.raises(comfy.model_management.OOM_EXCEPTION):
        choose(pool(2), Objective(Large(0.0)), 1)


def select(count, **inputs):
    images = torch.rand(count, 4, 4, 3)
    out = QIPSelector.execute([images], [2], [1.0], **inputs)
    return out.args[2]


def test_numbers_from_other_nodes_are_scores_and_distances():
    assert sorted(select(4, scores=[0.1, 0.9, 0.2, 0.8])) == [1, 3]
    distances = [[0, 1, 5, 1], [1, 0, 1, 1], [5, 1, 0, 1], [1, 1, 1, 0]]
    assert sorted(select(4, distances=[n for row in distances for n in row])) == sorted(select(4, distances=[distances])) == [0, 2]
    assert sorted(select(4, scores=[[0, 9, 0, 8]], distances=[distances])) == [1, 3]
    for array in (np.array, torch.tensor):
        assert sorted(select(4, scores=[array([0, 9, 0, 8])])) == sorted(select(4, scores=[array(v) for v in (0, 9, 0, 8)])) == [1, 3]
        assert sorted(select(4, distances=[array(distances)])) == sorted(select(4, distances=[array(row) for row in distances])) == [0, 2]


@pytest.mark.parametrize(("inputs", "sentence"), [
    ({"scores": [1.0, 2.0]}, "scores holds 2 numbers, but 4 images need 4"),
    ({"scores": ["good", 1.0, 2.0, 3.0]}, "scores must hold numbers only, .*'good'"),
    ({"scores": [{}, 1.0, 2.0, 3.0]}, "scores must hold numbers only, .*'dict'"),
    ({"distances": [np.ones((4, 3))]}, "distances holds 12 numbers, but 4 images need 4 x 4"),
    ({"distances": [1.0] * 5}, "distances holds 5 numbers, but 4 images need 4 x 4"),
    ({"distances": list(range(16))}, "symmetric and not negative"),
    ({"distances": [-1.0] * 16}, "symmetric and not negative"),
    ({"scores": [1.0] * 4, "unary": (Fixed(1.0),)}, "Both scores and a scorer"),
])  # fmt: skip
def test_other_numbers_are_refused_in_one_sentence(inputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        select(4, **inputs)


def test_cfg_agreement_sums_what_the_prompt_changes(flow_model, monkeypatch):
    """Against the stock sampler's own predictions, step by step."""
    import comfy.sample
    import comfy.samplers

    seen = {}

    def watch(args):
        apart = (args["cond_denoised"] - args["uncond_denoised"]).double().flatten(1).square().mean(1)
        seen.setdefault(len(apart), []).append(apart / args["sigma"].double() ** 2)
        return args["denoised"]

    model = flow_model.clone()
    model.set_model_sampler_post_cfg_function(watch)
    text, latent = (tiny.text(1), tiny.text(2)), tiny.empty_latent(model)
    for seed in (3, 4, 5, 6):
        noise = comfy.sample.prepare_noise(latent["samples"], seed)
        comfy.sample.sample(model, noise, 4, 3.0, "euler", "normal", *text, latent["samples"], disable_pbar=True, seed=seed)
    alone = torch.stack([torch.cat(seen[1][4 * i : 4 * i + 4]).cumsum(0) for i in range(4)])
    report = run(flow_model, CfgAgreement(), cfg=3.0)
    for i, round_ in enumerate(report["rounds"]):
        expected = [float(alone[seed - 3, i]) for seed in round_["seeds"]]
        assert round_["unary"] == pytest.approx(expected, rel=1e-3)


def test_cfg_agreement_needs_guidance_and_a_sampler(flow_model):
    with pytest.raises(ValueError, match="at cfg 1 only one of them is computed: raise cfg"):
        run(flow_model, QualityFloor(CfgAgreement(), 0.0))
    with pytest.raises(ValueError, match="cfg_agreement failed: it compares .* inside a group sampler"):
        select(4, unary=(CfgAgreement(),))


def test_a_vision_language_model_scores_by_the_first_number_of_its_answer():
    scorer = Vlm(Talker(lambda mean: f"I would say {10 * mean:.1f} of 10." if mean < 0.9 else "No idea"), "How good?")
    images = torch.stack([torch.full((8, 8, 3), level) for level in (0.2, 0.5, 0.95)])
    scores = scorer.score(Pool(images))
    assert scores[:2].tolist() == pytest.approx([2.0, 5.0]) and torch.isnan(scores[2])
    with pytest.raises(ValueError, match="answered 'Lovely!' where a number is needed"):
        Vlm(Talker(lambda mean: "Lovely!"), "How good?")
    with pytest.raises(ValueError, match="CLIP that can answer questions"):
        Vlm(object(), "How good?")


def test_the_documented_scorer_works_as_it_stands(tmp_path):
    code = (ROOT / "docs" / "scorers.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "green.py").write_text(code)
    spec = importlib.util.spec_from_file_location("green", tmp_path / "green.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (node,) = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())
    assert node.GET_SCHEMA().outputs[0].io_type == "GROUP_UNARY"
    images = torch.zeros(3, 4, 4, 3)
    images[1, ..., 1], images[2, ..., 0] = 0.8, 1.0
    assert QIPSelector.execute([images], [1], [1.0], unary=(node.execute().args[0],)).args[2] == [1]
