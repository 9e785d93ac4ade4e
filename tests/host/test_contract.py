"""A candidate is an ordinary run: every survivor equals the stock KSampler alone with its seed and batch size 1."""

from itertools import cycle

import comfy.samplers
import pytest
import tiny
import torch
from tiny import group

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
TOLERANCE = 1e-4


@pytest.mark.parametrize(("model", "cfg"), [("flow", 1.0), ("eps", 4.0)], indirect=["model"])
@pytest.mark.parametrize("sampler_name", SAMPLERS)
def test_survivors_equal_stock_single_runs(sampler_name, model, cfg):
    latent, report = group(model, 7, tiny.empty_latent(model), sampler_name=sampler_name, cfg=cfg, ratio=0.25)
    assert len(report["seeds"]) == 2 and [len(r["kept"]) for r in report["rounds"]] == [3, 2]
    for row, seed in zip(latent["samples"], report["seeds"], strict=True):
        alone = tiny.stock(model, seed, tiny.empty_latent(model), sampler_name=sampler_name, cfg=cfg)
        assert torch.isfinite(alone).all()
        assert tiny.relative_error(row[None], alone) < TOLERANCE


# What these two look at does not depend on how a model says what it predicts, so samplers take turns.
IN_TURN = list(zip(SAMPLERS, cycle(["flow", "eps"]), strict=False))


@pytest.mark.parametrize(("sampler_name", "model"), IN_TURN, indirect=["model"])
def test_image_to_image_with_a_mask(sampler_name, model):
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:7, 1:6] = 1
    latent = {**tiny.picture_latent(model), "noise_mask": mask}
    got, report = group(model, 3, latent, sampler_name=sampler_name, denoise=0.7, steps=4)
    assert got["noise_mask"] is mask
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(model, seed, latent, sampler_name=sampler_name, denoise=0.7, steps=4)) < TOLERANCE


@pytest.mark.parametrize(("sampler_name", "model"), IN_TURN, indirect=["model"])
def test_rows_of_a_batch_keep_their_own_latent_mask_and_text(sampler_name, model):
    rows = 3
    masks = torch.rand(rows, 1, 8, 8, generator=torch.Generator().manual_seed(9)).round()
    latent = {**tiny.picture_latent(model, rows), "noise_mask": masks}
    positive = tiny.text(1, rows)
    got, report = group(model, 11, latent, candidates=16, positive=positive, sampler_name=sampler_name, denoise=0.8, steps=4)
    assert report["settings"]["starting_candidates"] == rows and len(report["seeds"]) == 2
    for i, seed in enumerate(report["seeds"]):
        at = slice(seed - 11, seed - 10)
        own = {"samples": latent["samples"][at], "noise_mask": masks[at]}
        own_text = [[positive[0][0][at], {"pooled_output": positive[0][1]["pooled_output"][at]}]]
        assert (
            tiny.relative_error(
                got["samples"][i : i + 1], tiny.stock(model, seed, own, positive=own_text, sampler_name=sampler_name, denoise=0.8, steps=4)
            )
            < TOLERANCE
        )
        assert torch.equal(got["noise_mask"][i : i + 1], masks[at])
