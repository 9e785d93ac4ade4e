"""Every scorer on pictures of odd kinds, shapes and contents: the scores of ordinary ones, or one sentence."""

import pytest
import torch
import torch.nn.functional as F
from group_inference.scorers.aesthetic import Aesthetic
from group_inference.scorers.clip import Clip, Siglip
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.dinov2 import Dinov2, Dinov3, PatchDistance
from group_inference.scorers.embedding import EmbeddingDistance, Reference
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.lpips import Lpips
from group_inference.scorers.motion import Motion
from group_inference.scorers.open_clip import OpenClip
from group_inference.scorers.pool import Pool
from group_inference.scorers.structure import Edges, Ssim
from group_inference.scorers.text_image import ClipIqa, TextAxis, TextImage


def pictures(count, height=40, width=28):
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(height, width), mode="bilinear").movedim(1, -1)


class MotionOfPictures(Motion):
    """Every picture as a video that turns it over."""

    def score(self, pool):
        return super().score(Pool(torch.stack([pool.images, pool.images.flip(1), pool.images.flip(2)], dim=1)))


UNARY = {
    "clip": lambda: TextImage(Clip.shared("tiny-clip"), "a rose"),
    "clip crop": lambda: TextImage(Clip.shared("tiny-clip", "crop"), "a rose"),
    "siglip": lambda: TextImage(Siglip.shared("tiny-siglip"), "a rose"),
    "hpsv2": lambda: TextImage(OpenClip.shared("tiny-hps"), "a rose"),
    "aesthetic": lambda: Aesthetic(Clip.shared("wide-clip")),
    "clip_iqa": lambda: ClipIqa(Clip.shared("tiny-clip")),
    "reference": lambda: Reference(Dinov2.shared("tiny-dinov2"), pictures(1)),
}
PAIRWISE = {
    "dinov2 patches": lambda: PatchDistance(Dinov2.shared("tiny-dinov2")),
    "dinov2 crop": lambda: PatchDistance(Dinov2.shared("tiny-dinov2", "crop")),
    "dinov2 reference": lambda: PatchDistance(Dinov2.shared("tiny-dinov2", "reference")),
    "dinov3 class": lambda: EmbeddingDistance(Dinov3.shared("tiny-dinov3")),
    "color rgb": lambda: ColorHistogram("rgb"),
    "color lab": lambda: ColorHistogram("lab"),
    "color hsv": lambda: ColorHistogram("hsv"),
    "edges": Edges,
    "ssim": Ssim,
    "lpips": Lpips,
    "text axis": lambda: TextAxis(Clip.shared("tiny-clip"), "lighting, day / night"),
    "motion": lambda: MotionOfPictures(Dinov2.shared("tiny-dinov2")),
}


@pytest.fixture(params=[*UNARY, *PAIRWISE])
def scorer(request, installed):
    return {**UNARY, **PAIRWISE}[request.param]()


ODD = {
    "of one pixel": lambda: pictures(3, 1, 1),
    "very wide": lambda: pictures(3, 8, 2048),
    "very high": lambda: pictures(3, 2048, 8),
    "black": lambda: torch.zeros(3, 40, 28, 3),
    "white": lambda: torch.ones(3, 40, 28, 3),
    "alone": lambda: pictures(1),
    "twice the same": lambda: pictures(1).repeat(2, 1, 1, 1),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_pictures_have_finite_scores(scorer, odd):
    images = ODD[odd]()
    scores = scorer.score(Pool(images))
    assert scores.isfinite().all() and scores.shape == (len(images),) * scores.ndim
    if scores.ndim == 2 and odd in ("black", "white", "alone", "twice the same"):
        assert not scores.any()


def test_a_broken_picture_spoils_no_other(scorer):
    images = pictures(4)
    images[2, 20, 14, 1] = float("nan")
    rest = [0, 1, 3]
    scores, expected = scorer.score(Pool(images)), scorer.score(Pool(images[rest]))
    if scores.ndim == 1:
        assert scores[2].isnan() and torch.allclose(scores[rest], expected, atol=1e-5)
    else:
        assert scores[2].isnan().all() and torch.allclose(scores[rest][:, rest], expected, atol=1e-5)


def test_a_broken_latent_spoils_no_other():
    latents = torch.randn(4, 4, 10, 12)
    latents[2, 1, 3, 3] = float("nan")
    scores = LatentDistance().score(Pool(None, latents))
    assert scores[2].isnan().all() and torch.allclose(
        scores[[0, 1, 3]][:, [0, 1, 3]], LatentDistance().score(Pool(None, latents[[0, 1, 3]])), atol=1e-5
    )


KINDS = {
    "of four channels": (lambda x: torch.cat([x, torch.rand(*x.shape[:-1], 1)], -1), 1e-6),
    "of 8 bits": (lambda x: (x * 255).round().to(torch.uint8), 2e-2),
    "in float16": (lambda x: x.half(), 5e-3),
    "in bfloat16": (lambda x: x.bfloat16(), 3e-2),
    "in float64": (lambda x: x.double(), 1e-6),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_any_kind_score_as_ordinary_ones(scorer, kind):
    images, (as_kind, tolerance) = pictures(3), KINDS[kind]
    assert torch.allclose(scorer.score(Pool(as_kind(images))), scorer.score(Pool(images)), atol=tolerance)


def test_grey_pictures_and_pixels_outside_score_as_what_they_show(scorer):
    grey = pictures(3).mean(-1, keepdim=True)
    assert torch.allclose(scorer.score(Pool(grey)), scorer.score(Pool(grey.repeat(1, 1, 1, 3))), atol=1e-5)
    far = pictures(3) * 4 - 2
    assert torch.equal(scorer.score(Pool(far)), scorer.score(Pool(far.clamp(0, 1))))


@pytest.mark.parametrize(("images", "sentence"), [
    (torch.rand(2, 8, 8), r"shape \(count, height, width, 3\), and here is a tensor of the shape \(2, 8, 8\)"),
    ([torch.rand(1, 8, 8, 3)], "here is a list: connect an IMAGE"),
    (torch.rand(0, 8, 8, 3), "no pixels"),
    (torch.rand(2, 8, 0, 3), "no pixels"),
    (torch.ones(2, 8, 8, 3, dtype=torch.int64), "torch.int64, whose range is unknown"),
])  # fmt: skip
def test_what_are_no_pictures_is_refused_in_one_sentence(images, sentence, installed):
    for use in (Pool, lambda images: Reference(Clip.shared("tiny-clip"), images)):
        with pytest.raises(ValueError, match=sentence) as error:
            use(images)
        assert "\n" not in str(error.value)


def test_several_references_may_be_a_video(installed):
    scorer = lambda images: Reference(Clip.shared("tiny-clip"), images).score(Pool(pictures(3)))
    assert torch.allclose(scorer(pictures(6).unflatten(0, (2, 3))), scorer(pictures(6)), atol=1e-6)
    broken = pictures(1)
    broken[0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="reference image holds NaN"):
        scorer(broken)
