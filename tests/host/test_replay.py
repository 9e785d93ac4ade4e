"""A replayed policy selects what a real run of the pack selects with the same settings."""

import json
from dataclasses import replace
from itertools import pairwise

import nodes
import numpy as np
import pytest
import torch
from group_inference.garden.scenes import OPEN, Scene, caption
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.scorers import weights

from devtools import pools, replay, rivals

SCENE = Scene(0, 0, OPEN, OPEN)
SETTING = pools.Setting(steps=6)
CANDIDATES, SEED = 12, 5


@pytest.fixture(scope="module")
def world():
    before = weights.search_paths
    with torch.inference_mode():
        yield pools.World(SETTING)
    weights.search_paths = before


@pytest.fixture(scope="module")
def arrays(world):
    with torch.inference_mode():
        return world.arrays(SCENE, range(SEED, SEED + CANDIDATES))


def run(world, policy):
    """The report of a real run."""
    text = caption(SCENE)
    unary = world.unary(text).get(next((n for n in policy.scorers if n in replay.UNARY), None))
    pair = {**world.pairwise, "latent": replay.LatentDistance()}.get(next((n for n in policy.scorers if n in replay.PAIRWISE), None))
    with torch.inference_mode():
        out = GroupKSampler.execute(
            world.model, SEED, SETTING.steps, SETTING.guidance, SETTING.sampler, SETTING.scheduler, world.encoded(text), world.encoded(""),
            {"samples": torch.zeros(1, 16, 8, 8)}, 1.0, policy.candidates, policy.size, policy.pruning_ratio, policy.weight, unary, pair,
            world.vae, policy.start_percent, policy.kind, schedule="paper" if policy.budget is None else "budget", budget=policy.budget or 1.0,
        )  # fmt: skip
    return json.loads(out.args[1])


POLICIES = [
    replay.Policy("paper", CANDIDATES, 3),
    replay.Policy("slower", CANDIDATES, 2, pruning_ratio=0.3, start_percent=0.34),
    replay.Policy("balanced", CANDIDATES, 3, kind="balanced", weight=2.0),
    replay.Policy("max_min", CANDIDATES, 3, kind="max_min", start_percent=0.3),
    replay.Policy("log_det", CANDIDATES, 3, kind="log_det"),
    replay.Policy("latent", CANDIDATES, 3, scorers=("clip", "latent")),
    replay.Policy("by text alone", CANDIDATES, 3, scorers=("clip",)),
    replay.Policy("budget", CANDIDATES, 2, kind="balanced", weight=2.0, budget=4.15),
    replay.Policy("budget, max_min", CANDIDATES, 2, kind="max_min", budget=4.15),
    replay.Policy("best of finished", CANDIDATES, 4, pruning_ratio=0.0),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_a_replay_selects_what_a_run_selects(world, arrays, policy):
    policy = replace(policy, price=world.price)
    report, outcome = run(world, policy), replay.replay(policy, arrays)
    assert report["seeds"] == [SEED + i for i in outcome.indices]
    assert report["model_rows"] == outcome.rows
    assert [len(r["seeds"]) for r in report["rounds"]] == [count for count, _ in outcome.looks]


def test_the_stored_latents_are_those_of_a_plain_run(world, arrays):
    text = [world.encoded(t) for t in (caption(SCENE), "")]
    with torch.inference_mode():
        alone = nodes.common_ksampler(
            world.model, SEED + 7, SETTING.steps, SETTING.guidance, SETTING.sampler, SETTING.scheduler, *text, {"samples": torch.zeros(1, 16, 8, 8)}
        )[0]["samples"]  # fmt: skip
        stored = world.model.model.process_latent_out(torch.from_numpy(arrays["latents"][-1][7:8]).float())
    assert float((stored - alone).abs().max() / alone.abs().max()) < 1e-3


def test_a_free_schedule_asks_whom_it_names(arrays):
    rounds = ((1 / 6, 8, ("latent",)), (0.5, 5, ("dinov2",)), (0.5, 4, ("dinov2",)), (1.0, 2, ("clip", "dinov2")))
    outcome = replay.replay(replay.Policy("free", CANDIDATES, 2, rounds=rounds), arrays)
    assert outcome.alive == [12, 8, 8, 4, 4, 4] and outcome.rows == 40
    # Rounds that fall on one step are one, the last.
    assert outcome.looks == [(12, ("latent",)), (8, ("dinov2",)), (4, ("clip", "dinov2"))] and outcome.looked == 12


def test_costs_are_counted_in_the_parts_that_a_run_has():
    costs = {
        part: [seconds * n for n in replay.COUNTS] for part, seconds in (("model", 1.0), ("decode", 10.0), ("clip", 100.0), ("latent", 0.0))
    }
    outcome = replay.Outcome([0], [4, 3], [(4, ("latent",)), (128, ("clip",))], 0.5)
    assert outcome.seconds(costs) == pytest.approx(7 + 128 * 110 + 0.5)


def test_figures_tell_wrong_pictures_and_twins():
    named = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 2], [3, 0, 2, 2]])
    arrays = {"named": named, "u clip": np.ones((1, 4)), "b dinov2": (1 - np.eye(4))[None], "pictures": np.zeros((4, 64, 64, 3), np.uint8)}
    found = replay.figures(arrays, SCENE, [0, 1, 2, 3])
    assert (found["right"], found["distinct"], found["answers"]) == (0.75, 0.75, 0.5)
    assert found["vendi"] == pytest.approx(4) and found["smallest"] == 1 and found["pixels"] == 0 and found["objective"] == 4 + 1.5 * 6


def test_prompts_leave_one_to_three_attributes_open():
    scenes = pools.prompts(40)
    assert pools.prompts(12) == scenes[:12] and len({caption(s) for s in scenes}) == 40
    assert {list(s).count(OPEN) for s in scenes} == {1, 2, 3}


def test_rivals_change_pictures_and_guidance_within_all_of_them_does_not(world):
    text, plain = caption(SCENE), world.denoise(caption(SCENE), range(3))
    for rival in rivals.rivals(SETTING, world.sigmas[:-1]):
        with torch.inference_mode():
            other = world.denoise(text, range(3), model=rival.patched(world.model), guidance=rival.guidance)
        assert torch.isfinite(other).all() and not torch.allclose(other[-1], plain[-1], atol=1e-2), rival.name
    same = world.denoise(text, range(3), model=rivals.guidance_interval(world.model, 0.0, float("inf")))
    assert torch.allclose(same, plain, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 16, 8, 8), (2, 4, 3, 6, 9)])
def test_pink_noise_has_its_spectrum_and_depends_on_its_own_row(shape):
    white = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    pink = rivals.pink(white, 0.4)
    assert pink.flatten(1).square().mean(1).tolist() == pytest.approx([1, 1]) and torch.allclose(rivals.pink(white[1:], 0.4), pink[1:])
    amplitudes = torch.fft.fft2(pink).abs() / torch.fft.fft2(white).abs()
    along = (amplitudes[..., 0, 1] / amplitudes[..., 0, 3]).flatten().tolist()
    assert along == pytest.approx([3**0.4] * len(along), rel=1e-3)
    assert torch.allclose(amplitudes[..., 0, 0], amplitudes[..., 0, 1], rtol=1e-3)


def test_particles_repel_each_other_and_one_alone_is_left(world):
    text, model = caption(SCENE), rivals.particle_guidance(world.model, 600)
    distance = lambda x: float(torch.pdist(x[-1].flatten(1)).mean())
    assert distance(world.denoise(text, range(4), model=model)) > distance(world.denoise(text, range(4)))
    assert torch.equal(world.denoise(text, [0], model=model), world.denoise(text, [0]))
    assert all(a >= b for a, b in pairwise(world.sigmas.tolist()))
