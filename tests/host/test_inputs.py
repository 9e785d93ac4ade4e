"""Inputs that cannot work get one sentence before the model is loaded; unusual ones that the stock sampler takes are taken."""

import architectures
import comfy.model_management
import comfy.samplers
import comfy.supported_models
import pytest
import tiny
import torch
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.group_sampler import GroupReport, GroupSamplerNode
from group_inference.scorers.latent import LatentDistance


def svd():
    config = {**architectures.UNCLIP, "in_channels": 8, "adm_in_channels": 768}
    return tiny.patcher(comfy.supported_models.SVD_img2vid(config))


BAD = [
    ({"model": "a string"}, "model is a str, not a MODEL: connect the output of a model loader"),
    ({"model": svd}, "frames of one video as the rows of its batch .* use the host's KSampler, or a video model"),
    ({"positive": 3}, "positive is no CONDITIONING: connect the output of CLIP Text Encode"),
    ({"negative": [torch.zeros(1)]}, "negative is no CONDITIONING"),
    ({"latent": 5}, "The latent is no LATENT: connect an empty latent"),
    ({"latent": {}}, "The latent is no LATENT"),
    ({"latent": {"samples": torch.zeros(0, 16, 8, 8)}}, "The latent is an empty batch"),
    ({"latent": {"samples": torch.randn(1, 16, 3, 8, 8)}}, r"The latent has 5 dimensions .1 x 16 x 3 x 8 x 8., but this model's latents have 4"),
    ({"latent": {"samples": torch.randn(16, 8, 8)}}, "The latent has 3 dimensions"),
    ({"latent": {"samples": torch.randn(1, 4, 8, 8)}}, "The latent has 4 channels, but this model's latents have 16"),
    ({"latent": {"samples": torch.randn(1, 16, 8, 8), "noise_mask": torch.zeros(0, 8, 8)}}, "The mask of the latent is empty"),
    ({"latent": {"samples": torch.randn(3, 16, 8, 8), "batch_index": [0, 1]}}, "batch_index of the latent names 2 of its 3 rows"),
    ({"denoise": float("nan")}, "denoise is nan, but must be a number"),
    ({"cfg": float("inf")}, "cfg is inf, but must be"),
    ({"seed": -1}, "seed is -1, but must be a whole number from 0 to 18446744073709551615"),
    ({"seed": 2**64}, "seed is 18446744073709551616, but"),
    ({"seed": 1.5}, "seed is 1.5, but"),
    ({"size": 2.0}, "output_group_size is 2.0, but must be a whole number from 1 to 10000"),
    ({"candidates": "many"}, "starting_candidates is 'many', but"),
    ({"weight": float("nan")}, "lambda_score is nan, but must be a number that is not negative"),
    ({"weight": -1.0}, "lambda_score is -1.0, but must be a number that is not negative"),
    ({"cfg": None}, "cfg is None, but must be"),
    ({"ratio": float("nan")}, "pruning_ratio is nan, but must be"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), BAD, ids=[f"{next(iter(c))} {i}" for i, (c, _) in enumerate(BAD)])
def test_what_cannot_work_is_named_before_the_model_is_loaded(flow_model, monkeypatch, change, sentence):
    loaded = []
    given = {"model": flow_model, "positive": tiny.text(1), "negative": tiny.text(2), "latent": tiny.empty_latent(flow_model), "vae": None}
    given |= {"denoise": 1.0, "cfg": 4.0, "seed": 7, "ratio": 0.5, "candidates": 4, "size": 2, "weight": 1.5, **change}
    if given["model"] is svd:
        given["model"], given["latent"] = svd(), {"samples": torch.zeros(1, 4, 8, 8)}
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *args, **kwargs: loaded.append(1))
    with pytest.raises(ValueError, match=sentence) as error, torch.inference_mode():
        GroupKSampler.execute(
            given["model"], given["seed"], 4, given["cfg"], "euler", "normal", given["positive"], given["negative"], given["latent"],
            given["denoise"], given["candidates"], given["size"], given["ratio"], given["weight"], pairwise=LatentDistance(), vae=given["vae"],
        )  # fmt: skip
    assert "\n" not in str(error.value) and loaded == []


def test_a_report_on_no_latent_is_refused(flow_model):
    with pytest.raises(ValueError, match="GroupReport reports on a Group Sampler"):
        GroupReport.execute(None, tiny.empty_latent(flow_model))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float64, torch.float16])
def test_latents_of_other_types_are_what_the_stock_sampler_makes_of_them(flow_model, dtype):
    latent = {"samples": (2 * tiny.picture_latent(flow_model)["samples"].abs()).to(dtype)}
    got, report = tiny.group(flow_model, 7, latent, denoise=0.7)
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, latent, denoise=0.7)) < 1e-4


def test_the_last_seed_does_not_end_the_others(flow_model):
    """The host adds 1 to the seed of a sampler that adds noise, which is too much for the largest."""
    latent, last = tiny.empty_latent(flow_model), 2**64 - 1
    with pytest.raises((RuntimeError, ValueError, OverflowError)):
        tiny.stock(flow_model, last, latent, sampler_name="euler_ancestral")
    got, report = tiny.group(flow_model, last - 1, latent, candidates=4, size=2, sampler_name="euler_ancestral")
    assert set(report["seeds"]) < {last - 1, 0, 1} and len(got["samples"]) == 2
    (warning,) = report["warnings"]
    assert warning.startswith(f"The candidate with seed {last} was dropped: its sampler failed (")
    with pytest.raises((RuntimeError, ValueError, OverflowError)):
        tiny.group(flow_model, last, latent, candidates=1, size=1, sampler_name="euler_ancestral")


def test_a_sampler_that_is_none_is_refused():
    with pytest.raises(ValueError, match="sampler is a Tensor, not a SAMPLER: connect KSamplerSelect"):
        GroupSamplerNode.execute(torch.zeros(1), 4, 2, 0.5, pairwise=LatentDistance())


@pytest.mark.parametrize("change", [{"candidates": 4.5}, {"size": 1.5}])
def test_the_wrapper_names_wrong_numbers_too(change):
    sizes = {"candidates": 4, "size": 2, **change}
    with pytest.raises(ValueError, match="must be a whole number"):
        GroupSamplerNode.execute(comfy.samplers.sampler_object("euler"), sizes["candidates"], sizes["size"], 0.5)
