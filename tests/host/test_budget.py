"""Runs that plan by budget: what they promise before the first step is what they do."""

import json

import comfy.samplers
import pytest
import tiny
import torch
from group_inference.garden.loader import load_garden
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.sampling import run as run_module
from group_inference.sampling.inputs import check_sigmas
from group_inference.sampling.work import look_price
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.latent import LatentDistance

STEPS = 8


@pytest.fixture(scope="module")
def garden():
    return load_garden()


def sample(garden, monkeypatch, latent=None, **more):
    """(LATENT, report, how many pictures were decoded, what the node said)."""
    model, clip, vae = garden
    decoded, said, decode = [], [], vae.decode
    monkeypatch.setattr(vae, "decode", lambda x: decoded.append(len(x)) or decode(x))
    monkeypatch.setattr(run_module, "show_on_node", said.extend)
    text = [clip.encode_from_tokens_scheduled(clip.tokenize(t)) for t in ("red tulips", "")]
    how = {"pairwise": ColorHistogram("rgb"), "vae": vae, "schedule": "budget", "budget": 4.0, "output_group_size": 2} | more
    with torch.inference_mode():
        out = GroupKSampler.execute(
            model, 5, STEPS, 3.0, "euler", "simple", *text, latent or {"samples": torch.zeros(1, 16, 8, 8)}, 1.0,
            starting_candidates=3, pruning_ratio=0.5, **how,
        )  # fmt: skip
    return out.args[0], json.loads(out.args[1]), sum(decoded), said


def doing(report):
    """What the node says at each look."""
    for r, look in zip(report["rounds"], report["plan"]["looks"], strict=True):
        step = f"After step {look['step'] + 1} of {STEPS}"
        yield f"{step}: {'looking at' if look['scored'] else 'comparing'} {len(r['seeds'])}."
        yield f"{step}: {look['keep']} go on."


def test_a_run_does_what_its_plan_says_before_it_starts(garden, monkeypatch):
    latent, report, decoded, said = sample(garden, monkeypatch)
    plan = report["plan"]
    assert plan["start"] > 3 and plan["cost"] <= 4.0  # starting_candidates is the paper's
    assert report["model_rows"] == plan["rows"] and said[0] == f"Plan: {plan['in_words']}"
    assert [(r["step"], len(r["kept"])) for r in report["rounds"]] == [(look["step"], look["keep"]) for look in plan["looks"]]
    assert [list(r["by"]) for r in report["rounds"]] == [["color rgb"] if look["scored"] else ["latent"] for look in plan["looks"]]
    assert not plan["looks"][0]["scored"] and decoded == plan["looked"] == len(report["rounds"][-1]["seeds"])
    assert [s for s in said if s.startswith("After")] == list(doing(report))
    assert report["decoder"] == "VAE at 64 x 64 pixels" and report["settings"]["schedule"] == "budget" and report["warnings"] == []
    again, *_ = sample(garden, monkeypatch)
    assert torch.equal(latent["samples"], again["samples"])


def test_the_different_rows_of_a_latent_batch_are_all_candidates(garden, monkeypatch):
    rows = torch.randn(6, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    _, report, *_ = sample(garden, monkeypatch, {"samples": rows})
    assert report["plan"]["start"] == 6 and report["plan"]["cost"] <= 4.0


def test_without_scorers_the_latents_are_told_apart(garden, monkeypatch):
    """All that most people do first: this node in the place of their KSampler."""
    latent, report, decoded, said = sample(garden, monkeypatch, pairwise=None, vae=None)
    assert report["plan"]["start"] > 3 and decoded == 0 and report["settings"]["pairwise"] == "latent" and len(report["seeds"]) == 2
    assert "scores" not in report["plan"]["in_words"] and "by their latents" in said[0]
    assert all(set(r["by"]) == {"latent"} for r in report["rounds"])
    best = max(report["rounds"][-1]["pairwise"], key=max)
    assert max(best) > 0 and report["rounds"][-1]["unary"] is None


def test_where_only_quality_counts_latents_say_nothing(garden, monkeypatch):
    bright = type("Bright", (), {"name": "bright", "needs_images": True, "score": lambda self, pool: pool.images.mean((1, 2, 3))})()
    _, report, *_ = sample(garden, monkeypatch, unary=bright, lambda_score=0.0, budget=8.0)
    assert report["rounds"] and all(look["scored"] for look in report["plan"]["looks"])
    best = max(zip(report["rounds"][-1]["unary"], report["rounds"][-1]["seeds"], strict=True))[1]
    assert report["seeds"][0] == best


def test_scorers_without_pictures_decode_nothing_and_cost_nothing(garden, monkeypatch):
    _, report, decoded, _ = sample(garden, monkeypatch, pairwise=LatentDistance(), vae=None, budget=2.0)
    assert decoded == 0 and report["plan"]["price"] == 0 and report["decoder"] == ""


@pytest.mark.parametrize(("more", "sentence"), [
    ({"budget": 1.0}, "A budget of 1 is too small to choose 2 of 3 candidates in 8 steps: raise it to at least"),
    ({"budget": float("nan")}, "budget is nan"), ({"schedule": "none"}, "schedule is 'none', but must be one of budget, paper"),
])  # fmt: skip
def test_what_no_plan_can_do_is_said_before_sampling(garden, monkeypatch, more, sentence):
    monkeypatch.setattr(garden[0].model, "apply_model", None)
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        sample(garden, monkeypatch, **more)


def test_the_paper_schedule_is_what_old_prompts_without_the_input_get(flow_model):
    _, report = tiny.group(flow_model, 3, tiny.empty_latent(flow_model), 8, 2)
    assert report["settings"]["schedule"] == "paper" and report["plan"]["start"] == 8


@pytest.mark.parametrize("sigmas", [torch.zeros(0), torch.ones(1), torch.ones(2, 3)], ids=lambda s: str(tuple(s.shape)))
def test_noise_levels_that_are_no_schedule_are_refused_in_a_sentence(sigmas):
    with pytest.raises(ValueError, match="are no schedule: connect a scheduler"):
        check_sigmas(sigmas)


def test_a_latent_without_pixels_has_a_price_all_the_same(garden):
    guider = comfy.samplers.CFGGuider(garden[0])
    guider.inner_model, guider.conds = garden[0].model, {"positive": [{}]}
    assert look_price(guider, (1, 16, 0, 8), None, []) == 0
