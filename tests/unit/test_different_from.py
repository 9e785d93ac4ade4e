"""Distances to pictures that are no candidates: those of one pool of all of them."""

import pytest
import torch
import torch.nn.functional as F
from group_inference.scorers.clip import Clip
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.combine import Combined, terms
from group_inference.scorers.different_from import DifferentFrom, FixedMembers
from group_inference.scorers.dinov2 import Dinov2, PatchDistance
from group_inference.scorers.embedding import EmbeddingDistance
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.lpips import Lpips
from group_inference.scorers.motion import Motion
from group_inference.scorers.pool import Pool, squared_distance
from group_inference.scorers.structure import Edges, Ssim
from group_inference.scorers.text_image import TextAxis

PAIRWISE = {
    "patches": lambda: PatchDistance(Dinov2.shared("tiny-dinov2")),
    "embedding": lambda: EmbeddingDistance(Dinov2.shared("tiny-dinov2")),
    "color": lambda: ColorHistogram("lab"),
    "edges": Edges,
    "ssim": Ssim,
    "lpips": Lpips,
    "text axis": lambda: TextAxis(Clip.shared("tiny-clip"), "lighting, day / night"),
    "latent": LatentDistance,
}


@pytest.fixture(params=PAIRWISE)
def pairwise(request, installed):
    return PAIRWISE[request.param]()


def pictures(count, seed=0, height=40, width=28):
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(height, width), mode="bilinear").movedim(1, -1)


def latents(count, seed=0, side=8, channels=4):
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_given_ones_are_compared_as_candidates_are(pairwise):
    images, x0 = pictures(7), latents(7)
    around = DifferentFrom(pairwise, images[5:], x0[5:])
    found = FixedMembers(around).score(pairwise, Pool(images[:5], x0[:5]))
    expected = pairwise.score(Pool(images, x0, given=2))
    assert found.shape == (7, 7) and torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found[:5, :5], pairwise.score(Pool(images[:5], x0[:5])), atol=1e-5)


def test_a_candidate_that_is_given_has_no_distance_to_itself(pairwise):
    images, x0 = pictures(4), latents(4)
    large = F.interpolate(x0[1:2], scale_factor=3)
    found = FixedMembers(DifferentFrom(pairwise, images[1:2], large)).score(pairwise, Pool(images, x0))
    assert found[1, 4] < 1e-5 < 1e-4 < found[0, 4]


def test_what_is_computed_of_given_pictures_is_computed_once(installed, monkeypatch):
    backbone, calls = Dinov2.shared("tiny-dinov2"), []
    features = backbone.features
    monkeypatch.setattr(backbone, "features", lambda net, pixels: calls.append(len(pixels)) or features(net, pixels))
    parts = [PatchDistance(backbone), EmbeddingDistance(backbone), Edges()]
    edges, rows = [], Edges.rows
    monkeypatch.setattr(Edges, "rows", lambda self, pool: edges.append(len(pool.images)) or rows(self, pool))
    fixed = FixedMembers(DifferentFrom(Combined([(part, 1.0) for part in parts]), pictures(3)))
    for count in (8, 5, 4):
        pool = Pool(pictures(count))
        for part in parts:
            fixed.score(part, pool)
    assert calls == edges == [8, 3, 5, 4]


def test_pictures_of_any_size_are_squashed_to_the_candidates(installed):
    wide, edges = pictures(2, height=20, width=90), Edges()
    fixed = FixedMembers(DifferentFrom(DifferentFrom(edges, wide), pictures(1, seed=3)))
    squashed = F.interpolate(wide.movedim(-1, 1), size=(40, 28), mode="bilinear", antialias=True).movedim(1, -1)
    expected = edges.score(Pool(torch.cat([pictures(4), squashed, pictures(1, seed=3)])))
    assert torch.allclose(fixed.score(edges, Pool(pictures(4))), expected, atol=1e-5)


def test_every_frame_of_a_video_is_compared_with_a_picture():
    edges, videos = Edges(), pictures(6).unflatten(0, (3, 2))
    fixed = FixedMembers(DifferentFrom(edges, pictures(1, seed=1)))
    for t, frame in enumerate(Pool(videos).frames):
        expected = edges.score(Pool(torch.cat([videos[:, t], pictures(1, seed=1)])))
        assert torch.allclose(fixed.score(edges, frame), expected, atol=1e-6)


def test_latents_are_brought_into_the_candidates_space_and_size():
    x0 = latents(4, side=12)
    given = F.interpolate(x0[:1], scale_factor=2)
    outer = (given / 0.3) + 5
    fixed = FixedMembers(DifferentFrom(LatentDistance(), latents=outer))
    found = fixed.score(LatentDistance(), Pool(None, x0, to_model=lambda latent: (latent - 5) * 0.3))
    assert found[0, 4] < 1e-5 < found[1, 4]
    for other in (latents(1, channels=5), latents(1)[:, :, None], latents(1)[0]):
        with pytest.raises(ValueError, match="those of the candidates are 4 x 12 x 12, of which only height and width may differ: connect"):
            FixedMembers(DifferentFrom(LatentDistance(), latents=other)).score(LatentDistance(), Pool(None, x0))
    scaled_by_channel = lambda latent: latent * torch.ones(1, 4, 1, 1)
    with pytest.raises(ValueError, match="a latent of Different From is 5 x 8 x 8"):
        FixedMembers(DifferentFrom(LatentDistance(), latents=latents(1, channels=5))).score(
            LatentDistance(), Pool(None, x0, to_model=scaled_by_channel)
        )


def test_what_has_no_height_and_width_must_be_of_one_shape():
    sound = torch.randn(4, 8, 30)
    found = FixedMembers(DifferentFrom(LatentDistance(), latents=sound[:1])).score(LatentDistance(), Pool(None, sound))
    assert found.shape == (5, 5) and found[0, 4] == 0
    with pytest.raises(ValueError, match="8 x 20, but those of the candidates are 8 x 30"):
        FixedMembers(DifferentFrom(LatentDistance(), latents=sound[:1, :, :20])).score(LatentDistance(), Pool(None, sound))


def test_nodes_in_a_row_add_up_and_a_combination_has_them_for_all_its_parts():
    first, second, edges, ssim = pictures(2), pictures(3, seed=1), Edges(), Ssim()
    both = Combined([(edges, 1.0), (ssim, 2.0)])
    outer = DifferentFrom(DifferentFrom(both, first), second)
    assert terms(outer) == terms(both) and outer.name == both.name and FixedMembers(outer).count == 5
    same = Combined([(DifferentFrom(edges, first), 1.0), (DifferentFrom(ssim, first.clone()), 1.0)])
    assert FixedMembers(DifferentFrom(same, second)).count == 5
    assert FixedMembers(None).count == FixedMembers(both).count == FixedMembers(Combined([])).count == 0


@pytest.mark.parametrize("other", [lambda ssim: ssim, lambda ssim: DifferentFrom(ssim, pictures(2, seed=1)),
    lambda ssim: DifferentFrom(ssim, pictures(2), latents(2)), lambda ssim: DifferentFrom(DifferentFrom(ssim, pictures(2)), pictures(1)),
], ids=["nothing", "other pictures", "latents too", "more pictures"])  # fmt: skip
def test_parts_with_other_pictures_are_refused(other):
    mixed = Combined([(DifferentFrom(Edges(), pictures(2)), 1.0), (other(Ssim()), 1.0)])
    for use in (FixedMembers, lambda mixed: DifferentFrom(mixed, pictures(1)), lambda mixed: FixedMembers(Combined([(mixed, 1.0)]))):
        with pytest.raises(ValueError, match="connect Different From after Combine Difference Scorers") as error:
            use(mixed)
        assert "\n" not in str(error.value)


def test_a_scorer_that_cannot_compare_them_says_so(installed):
    images, x0 = pictures(3), latents(3)
    pool = Pool(images, x0)
    for scorer, given, sentence in (
        (Edges(), {"latents": x0}, "it compares pictures, and a Different From has none: connect its image input"),
        (LatentDistance(), {"images": images}, "it compares latents, and a Different From has none: connect its latent input"),
        (Motion(Dinov2.shared("tiny-dinov2")), {"images": images}, "compares videos as a whole.* choose another pairwise scorer"),
    ):
        with pytest.raises(ValueError, match=sentence):
            FixedMembers(DifferentFrom(scorer, **given)).score(scorer, pool)
    with pytest.raises(ValueError, match="connect the LATENT that belongs to the images"):
        FixedMembers(DifferentFrom(LatentDistance(), latents=x0)).score(LatentDistance(), Pool(images))


@pytest.mark.parametrize(("given", "sentence"), [
    ({}, "neither pictures nor latents"),
    ({"images": pictures(2), "latents": latents(3)}, "2 pictures but 3 latents"),
    ({"images": pictures(2) * float("nan")}, "image of Different From holds NaN pixels"),
    ({"images": "a rose"}, "connect an IMAGE"), ({"images": pictures(2)[:0]}, "no pixels"),
    ({"latents": latents(2) * float("nan")}, "holds NaN"), ({"latents": latents(0)}, "latent of Different From is empty"),
])  # fmt: skip
def test_what_cannot_be_given_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        DifferentFrom(Edges(), **given)
    assert "\n" not in str(error.value)


def test_another_packs_scorer_sees_one_pool_of_all():
    class Brightness:
        name, needs_images = "brightness", True

        def score(self, pool):
            assert pool.x0 is None and pool.given == 2
            return squared_distance(pool.images.mean((1, 2)))

    scorer, images = Brightness(), pictures(5)
    found = FixedMembers(DifferentFrom(scorer, images[3:])).score(scorer, Pool(images[:3], latents(3)))
    assert torch.allclose(found, squared_distance(images.mean((1, 2))), atol=1e-6)
