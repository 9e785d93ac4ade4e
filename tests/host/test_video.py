"""Videos are scored by their key frames, and by how these change."""

import json

import architectures
import folder_paths
import pytest
import tiny
import torch
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.sampling.choose import Objective, choose
from group_inference.sampling.preview import Previewer
from group_inference.scorers.combine import Combined, QualityFloor
from group_inference.scorers.dinov2 import PatchDistance
from group_inference.scorers.motion import Motion
from group_inference.scorers.pool import Pool, squared_distance


@pytest.fixture(autouse=True)
def no_small_vae_files(monkeypatch):
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda name: [])


NAME = "Wan text to video"
TEXTS = {"positive": architectures.text(NAME, 1), "negative": architectures.text(NAME, 2)}


@pytest.fixture(scope="module")
def wan():
    return architectures.build(NAME)


class Corners:
    """Stands in for a backbone: four patches, each a direction that its brightness turns by up to a quarter."""

    model_type = "corners"

    def __init__(self):
        self.calls = []

    def __call__(self, images):
        self.calls.append(len(images))
        grey = torch.nn.functional.adaptive_avg_pool2d(images.mean(-1), 2).flatten(1)
        return torch.stack([torch.cos(grey * torch.pi / 2), torch.sin(grey * torch.pi / 2)], dim=-1)

    def patches(self, features):
        return features.flatten(1) / 2


class Bright:
    name, needs_images = "bright", True

    def __init__(self):
        self.seen = []

    def score(self, pool):
        self.seen.append(pool)
        return pool.images.mean((1, 2, 3))


class ColourDistance:
    name, needs_images = "colour", True

    def score(self, pool):
        return squared_distance(pool.images.mean((1, 2)))


class Span(Bright):
    """How much brighter the last frame is than the first."""

    name, over_frames = "span", True

    def score(self, pool):
        self.seen.append(pool)
        return pool.frames[-1].images.mean((1, 2, 3)) - pool.frames[0].images.mean((1, 2, 3))


def videos(count, frames=3):
    return torch.rand(count, frames, 8, 6, 3, generator=torch.Generator().manual_seed(3))


def test_the_mean_over_the_frames_counts():
    pool = Pool(videos(5))
    choice = choose(pool, Objective(Bright(), ColourDistance()), 2)
    frames = [choose(Pool(images), Objective(Bright(), ColourDistance()), 2) for images in pool.images.unbind(1)]
    assert choice.unary == pytest.approx(sum(f.unary for f in frames) / 3)
    assert choice.pairwise == pytest.approx(sum(f.pairwise for f in frames) / 3)


def test_a_scorer_over_frames_gets_the_whole_pool_once():
    pool, span, floored = Pool(videos(4)), Span(), Span()
    choice = choose(pool, Objective(Combined([(span, 1.0), (QualityFloor(floored, -9.0), 1.0)])), 2)
    assert span.seen == floored.seen == [pool]
    images = pool.images.double().mean((2, 3, 4))
    assert choice.unary == pytest.approx(2 * (images[:, 2] - images[:, 0]).numpy(), abs=1e-6)


def test_one_forward_pass_of_each_frame_serves_patches_and_motion():
    backbone = Corners()
    both = Combined([(PatchDistance(backbone), 1.0), (Motion(backbone), 1.0)])
    choose(Pool(videos(5)), Objective(None, both), 2)
    assert backbone.calls == [5, 5, 5]


def test_a_group_of_videos_is_scored_frame_by_frame(wan):
    latent = {"samples": torch.zeros(1, 16, 9, 8, 8)}
    bright, span = Bright(), Span()
    got, report = tiny.group(wan, 7, latent, candidates=4, size=1, steps=3, unary=Combined([(bright, 1.0), (span, 1.0)]), **TEXTS)
    # The trial before sampling, then two rounds: as many frames each time.
    assert [tuple(pool.images.shape[:2]) for pool in span.seen] == [(2, 4), (4, 4), (2, 4)]
    assert [tuple(pool.images.shape) for pool in bright.seen[4:]] == [(4, 8, 8, 3)] * 4 + [(2, 8, 8, 3)] * 4
    for pool in span.seen[1:]:
        assert torch.equal(pool.images, Previewer(wan)(pool.x0)) and pool.images.std() > 0.01
    for round_, pool in zip(report["rounds"], span.seen[1:], strict=True):
        assert round_["parts"]["bright"] == pytest.approx(pool.images.mean((1, 2, 3, 4)).tolist(), rel=1e-4)
    assert tiny.relative_error(got["samples"], tiny.stock(wan, report["seeds"][0], latent, steps=3, **TEXTS)) < 1e-4


def test_a_group_by_motion_is_of_the_videos_that_move_differently(wan):
    """Rows of one latent, all masked, so that every predicted final latent is its row."""
    formats = wan.get_model_object("latent_format")
    factors, bias = torch.tensor(formats.latent_rgb_factors), torch.tensor(formats.latent_rgb_factors_bias)
    shade = lambda level: torch.linalg.pinv(factors.T) @ (2 * torch.tensor([level] * 3) - 1 - bias)
    levels = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.9, 0.9], [0.3, 0.5, 0.7], [0.7, 0.5, 0.3]])
    x0 = torch.stack([torch.stack([shade(level) for level in row], dim=1) for row in levels])[..., None, None].expand(-1, -1, -1, 8, 8)
    latent = {"samples": wan.model.process_latent_out(x0.clone()), "noise_mask": torch.zeros(4, 1, 3, 8, 8)}

    def report_of(pairwise, size=2):
        with torch.inference_mode():
            out = GroupKSampler.execute(wan, 20, 2, 1.0, "euler", "normal", *TEXTS.values(), latent, 1.0, 4, size, 0.5, pairwise=pairwise)
        return json.loads(out[1])

    by_motion, by_content = report_of(Motion(Corners())), report_of(PatchDistance(Corners()))
    assert sorted(by_motion["seeds"]) == [22, 23] and sorted(by_content["seeds"]) == [20, 21]
    # All four in the group: how far each pair is apart.
    everybody = report_of(Motion(Corners()), size=4)
    order = [seed - 20 for seed in everybody["seeds"]]
    distances = torch.zeros(4, 4)
    distances[torch.tensor(order)[:, None], torch.tensor(order)] = torch.tensor(everybody["rounds"][0]["pairwise"])
    assert distances[0, 1] == pytest.approx(0, abs=1e-4) and distances[2, 3] > 1.5 * distances[0, 2] > 0.01


@pytest.mark.parametrize("shape", [(1, 16, 1, 8, 8), (1, 16, 8, 8)], ids=["a video of one frame", "a picture"])
def test_motion_of_one_frame_is_refused_before_sampling(wan, flow_model, monkeypatch, shape):
    model = wan if len(shape) == 5 else flow_model
    monkeypatch.setattr(model.model, "apply_model", None)
    with (
        pytest.raises(ValueError, match="The scorer motion corners failed: The motion scorer .* choose another pairwise scorer"),
        torch.inference_mode(),
    ):
        GroupKSampler.execute(
            model, 3, 2, 1.0, "euler", "normal", tiny.text(1), tiny.text(2), {"samples": torch.zeros(shape)}, 1.0, 4, 2, 0.5,
            pairwise=Motion(Corners()),
        )  # fmt: skip


def test_motion_of_any_images_is_refused():
    with pytest.raises(ValueError, match="there is only one frame of each: choose another pairwise scorer"):
        QIPSelector.execute([torch.rand(3, 8, 8, 3)], [2], [1.0], pairwise=(Motion(Corners()),))
