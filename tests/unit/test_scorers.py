"""Scorers against their formulas, computed another way in float64."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from group_inference.scorers import pool as pool_module
from group_inference.scorers import weights
from group_inference.scorers.clip import Clip, Siglip
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.dinov2 import Dinov2, Dinov3, PatchDistance
from group_inference.scorers.embedding import EmbeddingDistance
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.lpips import Lpips
from group_inference.scorers.motion import Motion
from group_inference.scorers.pool import Pool, RowDistance, squared_distance
from group_inference.scorers.structure import Edges, Ssim
from group_inference.scorers.text_image import TextAxis, TextImage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]


def pictures(count, seed=0, height=40, width=28):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear").movedim(1, -1)


def cosine_distance(rows):
    rows = rows.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return 1 - rows @ rows.T


class MotionOfPictures(Motion):
    """Every picture as a video that turns it over."""

    def score(self, pool):
        return super().score(Pool(torch.stack([pool.images, pool.images.flip(1), pool.images.flip(2)], dim=1)))


PAIRWISE = {
    "dinov2 patches": lambda: PatchDistance(Dinov2.shared("tiny-dinov2")),
    "dinov2 class": lambda: EmbeddingDistance(Dinov2.shared("tiny-dinov2")),
    "dinov3 patches": lambda: PatchDistance(Dinov3.shared("tiny-dinov3")),
    "clip": lambda: EmbeddingDistance(Clip.shared("tiny-clip")),
    "siglip": lambda: EmbeddingDistance(Siglip.shared("tiny-siglip")),
    "color rgb": lambda: ColorHistogram("rgb"),
    "color lab": lambda: ColorHistogram("lab"),
    "color hsv": lambda: ColorHistogram("hsv"),
    "latent": LatentDistance,
    "edges": Edges,
    "ssim": Ssim,
    "lpips": Lpips,
    "text axis": lambda: TextAxis(Clip.shared("tiny-clip"), "lighting, day / night"),
    "motion": lambda: MotionOfPictures(Dinov2.shared("tiny-dinov2")),
}


@pytest.fixture(params=PAIRWISE)
def pairwise(request, installed):
    return PAIRWISE[request.param]()


def pool(count, seed=0, order=None):
    order = torch.arange(count) if order is None else order
    latents = torch.randn(count, 4, 10, 12, generator=torch.Generator().manual_seed(seed + 1))
    return Pool(pictures(count, seed)[order], latents[order])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 20), st.integers(0, 1000))
def test_a_distance_is_a_distance(pairwise, count, seed):
    distances = pairwise.score(pool(count, seed))
    assert distances.shape == (count, count) and distances.dtype == torch.float32
    assert torch.equal(distances, distances.T) and not distances.diagonal().any() and (distances >= 0).all()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    assert torch.allclose(pairwise.score(pool(count, seed, order)), distances[order][:, order], atol=1e-5)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(3, 20), st.data(), st.integers(0, 1000))
def test_a_distance_does_not_depend_on_who_else_is_there(pairwise, count, data, seed):
    if pairwise.name == "latent":
        return  # standardises its channels over the pool
    few = data.draw(st.integers(2, count - 1))
    everybody, some = pairwise.score(pool(count, seed)), pairwise.score(pool(count, seed, torch.arange(few)))
    assert torch.allclose(everybody[:few, :few], some, atol=1e-5)


def test_rows_may_come_a_few_at_a_time(pairwise):
    """Of every scorer but those that compare otherwise."""
    if not isinstance(pairwise, RowDistance):
        assert isinstance(pairwise, Ssim | LatentDistance | Motion)
        return
    whole = pool(7)
    parts = [pairwise.rows(pool(7, order=torch.arange(7)[at])) for at in (slice(0, 3), slice(3, 4), slice(4, 7))]
    rows = torch.cat(parts)
    assert rows.ndim == 2 and rows.dtype == torch.float32 and torch.allclose(rows, pairwise.rows(whole), atol=1e-5)
    assert torch.allclose(pairwise.between(rows), pairwise.score(whole), atol=1e-5)


def test_equal_pictures_have_no_distance(pairwise):
    twice = Pool(pictures(2)[[0, 0, 1]], pool(2).x0[[0, 0, 1]])
    distances = pairwise.score(twice)
    assert distances[0, 1] == 0 and distances[0, 2] > 1e-4


def test_fourfold_copies_have_no_distance_in_a_large_pool(pairwise):
    order = torch.from_numpy(np.random.default_rng(0).permutation(64)) % 16
    distances, same = pairwise.score(pool(16, order=order)), order[:, None] == order
    assert not distances[same].any() and (distances[~same] > 1e-6).all()


def test_many_rows_are_worked_on_in_blocks_without_a_difference(monkeypatch):
    rows = torch.randn(13, 40, generator=torch.Generator().manual_seed(0))
    rows[3], rows[7] = rows[1], float("nan")
    whole = squared_distance(rows)
    monkeypatch.setattr(pool_module, "BLOCK", 5)
    assert torch.equal(squared_distance(rows).nan_to_num(-1), whole.nan_to_num(-1)) and whole[1, 3] == 0 and whole[7].isnan().all()


def test_small_differences_are_exact_and_noise_is_none():
    generator = torch.Generator().manual_seed(0)
    common, apart = torch.randn(1, 5000, generator=generator), torch.randn(6, 5000, generator=generator)
    for size in (1.0, 1e-2, 1e-4):
        rows = common + size * apart
        expected = (rows.double()[:, None] - rows.double()).square().sum(2)
        assert torch.allclose(squared_distance(rows).double(), expected, rtol=1e-3)
    assert not squared_distance(common * (1 + 1e-7 * apart)).any()
    assert not squared_distance(torch.zeros(3, 4)).any()


@pytest.mark.parametrize("backbone", [("tiny-clip", Clip), ("tiny-dinov2", Dinov2)], ids=["clip", "dinov2"])
def test_features_do_not_depend_on_the_batch(installed, backbone):
    name, kind = backbone
    model, images = kind.shared(name), pictures(19)
    together = model(images)
    assert torch.allclose(together, torch.cat([model(image[None]) for image in images]), atol=1e-5)


def test_clip_text_is_the_cosine_that_transformers_gives(installed):
    from transformers import AutoTokenizer, CLIPModel

    # In float32: transformers 4 has no text tower in float64.
    model, tokenizer = CLIPModel.from_pretrained(installed / "tiny-clip"), AutoTokenizer.from_pretrained(installed / "tiny-clip")
    images, text = pictures(5), "two red tulips"
    backbone = Clip.shared("tiny-clip")
    ids = tokenizer([text], padding="max_length", max_length=20, return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=backbone.pixels(images, torch.float32)).logits_per_image[:, 0]
    expected = logits / model.logit_scale.exp()
    assert torch.allclose(TextImage(backbone, text).score(Pool(images)), expected, atol=1e-5)


def test_the_text_matters_and_so_does_its_order(installed):
    scores = [TextImage(Clip.shared("tiny-clip"), text).score(Pool(pictures(3))) for text in ("a red rose", "a rose red", "blue sea")]
    assert not torch.allclose(scores[0], scores[1], atol=1e-4) and not torch.allclose(scores[0], scores[2], atol=1e-4)


def test_a_long_text_is_cut_with_a_warning(installed, caplog):
    assert torch.isfinite(TextImage(Clip.shared("tiny-clip"), "petal " * 30).score(Pool(pictures(2)))).all()
    assert "was cut" in caplog.text


def test_patch_distance_is_one_minus_the_mean_cosine_place_by_place(installed):
    backbone, images = Dinov2.shared("tiny-dinov2"), pictures(4)
    tokens = backbone(images)
    assert tokens.shape == (4, 1 + 16, 32)
    patches = torch.nn.functional.normalize(tokens[:, 1:].double(), dim=-1)
    expected = 1 - torch.einsum("ipc,jpc->ijp", patches, patches).mean(-1)
    assert torch.allclose(PatchDistance(backbone).score(Pool(images)).double(), expected, atol=1e-5)
    assert np.allclose(EmbeddingDistance(backbone).score(Pool(images)).numpy(), cosine_distance(tokens[:, 0]), atol=1e-5)


def test_clip_distance(installed):
    backbone, images = Clip.shared("tiny-clip"), pictures(4)
    assert np.allclose(EmbeddingDistance(backbone).score(Pool(images)).numpy(), cosine_distance(backbone(images)), atol=1e-5)


def test_features_are_computed_once_for_all_scorers_of_a_backbone(installed, monkeypatch):
    backbone, calls = Clip.shared("tiny-clip"), []
    assert Clip.shared("tiny-clip") is backbone
    features = backbone.features
    monkeypatch.setattr(backbone, "features", lambda net, pixels: calls.append(len(pixels)) or features(net, pixels))
    both = Pool(pictures(5))
    TextImage(backbone, "rose").score(both)
    EmbeddingDistance(backbone).score(both)
    assert calls == [5]


def test_a_pool_of_videos_has_a_pool_of_pictures_for_each_frame():
    videos, x0, guidance = torch.rand(2, 3, 8, 6, 3), torch.rand(2, 4, 9, 2, 2), torch.ones(2)
    pool = Pool(videos, x0, 0.5, 7.0, guidance)
    assert pool.frames is pool.frames and [len(frame.frames) for frame in pool.frames] == [1, 1, 1]
    for t, frame in enumerate(pool.frames):
        assert torch.equal(frame.images, videos[:, t]) and frame.features(torch.sum) == videos[:, t].sum()
        assert (frame.x0 is x0, frame.progress, frame.sigma, frame.guidance is guidance) == (True, 0.5, 7.0, True)
    for still in (Pool(videos[:, 0]), Pool(None, x0)):
        assert len(still.frames) == 1 and still.frames[0] is still


@pytest.mark.parametrize("shape", [(4, 8, 8, 3), (4, 3, 8, 8, 3)], ids=["pictures", "videos"])
def test_a_pool_goes_with_its_round(shape):
    """Not when Python next looks for what holds itself: the pictures are the larger part of a run's memory."""
    gc.disable()
    try:
        pool = Pool(torch.rand(shape))
        assert all(frame.images.ndim == 4 for frame in pool.frames)
        alive = weakref.ref(pool)
        del pool
        assert alive() is None
    finally:
        gc.enable()


def test_motion_shares_each_frames_forward_pass(installed, monkeypatch):
    backbone, calls = Dinov2.shared("tiny-dinov2"), []
    features = backbone.features
    monkeypatch.setattr(backbone, "features", lambda net, pixels: calls.append(len(pixels)) or features(net, pixels))
    pool = Pool(pictures(15).view(5, 3, 40, 28, 3))
    for frame in pool.frames:
        PatchDistance(backbone).score(frame)
    Motion(backbone).score(pool)
    assert calls == [5, 5, 5]


def test_both_layouts_of_the_preprocessor_are_read(installed, models, old_layout):
    assert weights.image_preprocessing(models / "tiny-clip") == weights.image_preprocessing(old_layout / "tiny-clip")
    assert Dinov2.shared("tiny-dinov2").size == (56, 56)


@pytest.mark.parametrize("space", ["rgb", "lab", "hsv"])
def test_colour_ignores_layout(space):
    left_red, left_blue = torch.zeros(64, 64, 3), torch.zeros(64, 64, 3)
    left_red[:, :32, 0] = left_red[:, 32:, 2] = 1
    left_blue[:, 32:, 0] = left_blue[:, :32, 2] = 1
    distances = ColorHistogram(space).score(Pool(torch.stack([left_red, left_blue, torch.ones(64, 64, 3)])))
    assert distances[0, 1] < 0.01 and distances[0, 2] > 0.97


def test_latent_distance_of_video_and_of_few_candidates():
    assert LatentDistance().score(Pool(None, torch.randn(3, 4, 5, 10, 12))).shape == (3, 3)
    assert LatentDistance().score(Pool(None, torch.randn(2, 4, 30))).shape == (2, 2)
    with pytest.raises(ValueError, match="connect the LATENT"):
        LatentDistance().score(Pool(pictures(2)))


def test_missing_weights_name_repository_folder_and_files(installed):
    with pytest.raises(FileNotFoundError, match="clip-vit-base-patch32") as error:
        Clip.shared("clip-vit-base-patch32")
    for part in (str(installed), "multimodalart/clip-vit-base-patch32", "model.safetensors", "tokenizer.json", "Nothing is downloaded"):
        assert part in str(error.value)
    with pytest.raises(FileNotFoundError, match="Hugging Face layout"):
        Dinov2.shared("something else")


@pytest.mark.parametrize(("gone", "kind"), [("tokenizer.json", Clip), ("processor_config.json", Dinov2)])
def test_a_folder_that_lacks_a_file_is_named_in_one_sentence(old_layout, gone, kind):
    folder = old_layout / ("tiny-clip" if kind is Clip else "tiny-dinov2")
    (folder / gone).unlink()
    with pytest.raises(FileNotFoundError, match="has no (tokenizer|preprocessor_config).json: download") as error:
        kind.shared(folder.name)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_what_is_on_disk_is_offered_after_the_papers_model(installed):
    for kind, first, own in (("clip", "clip-vit-base-patch32", "tiny-clip"), ("dinov2", "dinov2-base", "tiny-dinov2")):
        offered = weights.choices(kind)
        known = [name for name in offered if name in weights.KNOWN]
        assert offered[0] == first and own in offered[len(known) :] and all(weights.KNOWN[name].kind == kind for name in known)


def test_solver_and_scorers_work_without_comfyui():
    code = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("pack", "__init__.py", submodule_search_locations=["."])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["pack"])
import torch
from pack.scorers.color import ColorHistogram
from pack.scorers.pool import Pool
from pack.solver import select
distances = ColorHistogram("lab").score(Pool(torch.rand(5, 16, 16, 3)))
assert len(select(torch.zeros(5), distances, 2).indices) == 2
assert not any(name.split(".")[0] in ("comfy", "folder_paths", "nodes") for name in sys.modules), "the host was imported"
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
