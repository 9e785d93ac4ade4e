"""A prompt and a mask for each candidate: batches of them with a batch of latents, all through the host's nodes."""

import json
from types import SimpleNamespace

import comfy.samplers
import contract
import nodes
import pytest
import tiny
import torch
from comfy_extras import nodes_custom_sampler
from group_inference.nodes.group_sampler import GroupReport, GroupSamplerNode
from group_inference.sampling.candidates import different_rows


def prompts(at):
    ((texts, options),) = tiny.text(1, 4)
    return [[texts[at], {"pooled_output": options["pooled_output"][at]}]]


@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
def test_as_many_results_as_prompts(model):
    latent = nodes.RepeatLatentBatch().repeat(tiny.empty_latent(model), 4)[0]
    got, report = tiny.group(model, 11, latent, candidates=2, size=4, positive=prompts(slice(None)))
    assert sorted(report["seeds"]) == [11, 12, 13, 14] and report["warnings"] == []
    for i, seed in enumerate(report["seeds"]):
        alone = tiny.stock(model, seed, tiny.empty_latent(model), prompts(slice(seed - 11, seed - 10)))
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < contract.TOLERANCE


def test_one_latent_uses_one_prompt_and_says_so(flow_model):
    report = contract.assert_survivors_equal_stock(flow_model, tiny.empty_latent(flow_model), prompts(slice(None)))
    (warning,) = report["warnings"]
    assert "4 prompts but the latent has one row: every candidate uses the first" in warning and "Repeat Latent Batch" in warning


def test_masks_for_each_row_leave_with_the_group_they_belong_to(flow_model):
    """The sampling node hands on the latent's masks in their old order; Group Report has them in the group's."""
    masks = torch.zeros(4, 8, 8)
    for i in range(4):
        masks[i, :, : 2 + 2 * i] = 1.0
    latent = {**tiny.picture_latent(flow_model, 4), "noise_mask": masks}
    guider = nodes_custom_sampler.CFGGuider.execute(flow_model, tiny.text(1), tiny.text(2), 4.0)[0]
    sigmas = comfy.samplers.calculate_sigmas(flow_model.get_model_object("model_sampling"), "normal", 6)
    group = GroupSamplerNode.execute(comfy.samplers.sampler_object("euler"), 4, 2, 0.25, unary=tiny.LastRows())[0]
    with torch.inference_mode():
        noise = nodes_custom_sampler.RandomNoise.execute(11)[0]
        out = nodes_custom_sampler.SamplerCustomAdvanced.execute(noise, guider, group, sigmas, latent)[0]
    report, whole, *_ = GroupReport.execute(group, out).args
    (warning,) = json.loads(report)["warnings"]
    assert "take the LATENT of Group Report" in warning
    rows = [seed - 11 for seed in json.loads(report)["seeds"]]
    assert sorted(rows) == [1, 2] and torch.equal(whole["noise_mask"], masks[rows]) and torch.equal(whole["samples"], out["samples"])
    second = tiny.stock(flow_model, 5, whole, denoise=0.5)
    for i, row in enumerate(rows):
        own = {"samples": out["samples"][i : i + 1], "noise_mask": masks[row : row + 1]}
        kept = masks[row] == 0
        assert torch.allclose(second[i][:, kept], own["samples"][0][:, kept], atol=1e-5)


def five_from_three_rows(model, given):
    latent = {"samples": torch.zeros(3, 16, 8, 8), **{name: value for name, value in given.items() if name != "positive"}}
    _, report = tiny.group(model, 11, latent, candidates=5, size=2, positive=given.get("positive"))
    return report


@pytest.mark.parametrize(
    "given", [{}, {"noise_mask": torch.ones(3, 8, 8)}, {"noise_mask": torch.ones(1, 8, 8)}], ids=["rows", "masks", "a mask"]
)
def test_rows_that_are_all_the_same_are_one_latent(flow_model, given):
    """batch_size 4 in Empty Latent, as everybody has it, is no wish to finish four."""
    report = five_from_three_rows(flow_model, given)
    assert len(report["rounds"][0]["seeds"]) == 5 and report["warnings"] == [] and "on row" not in report["reproduce"]


OWN = {
    "latents": {"samples": torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(0))},
    "masks": {"noise_mask": torch.tril(torch.ones(8, 8)).repeat(3, 1, 1) * torch.tensor([1.0, 1.0, 0.5])[:, None, None]},
    "batch_index": {"batch_index": [4, 0, 2]},
    "prompts": {"positive": prompts(slice(0, 3))},
}


@pytest.mark.parametrize("given", OWN.values(), ids=OWN)
def test_rows_with_anything_of_their_own_are_candidates(flow_model, given):
    report = five_from_three_rows(flow_model, given)
    assert sorted(report["rounds"][0]["seeds"]) == [11, 12, 13] and "on row" in report["reproduce"]


def test_rows_are_told_apart_by_the_hints_of_a_control():
    control = lambda hint, before=None: SimpleNamespace(cond_hint_original=hint, previous_controlnet=before)
    latent, same, other = torch.zeros(2, 4, 8, 8), torch.ones(2, 3, 8, 8), torch.arange(2.0)[:, None, None, None].expand(2, 3, 8, 8)
    found = lambda given: different_rows(latent, None, None, [{"control": given, "model_conds": {}, "strength": 1.0}])
    assert found(control(same, control(None))) == 1 and found(control(other)) == 2 and found(control(same, control(other))) == 2


def test_a_batch_of_one_latent_gives_what_the_latent_alone_gives(flow_model):
    alone, _ = tiny.group(flow_model, 11, tiny.empty_latent(flow_model))
    batch, report = tiny.group(flow_model, 11, tiny.empty_latent(flow_model, 4))
    assert torch.equal(alone["samples"], batch["samples"])
    stock = tiny.stock(flow_model, report["seeds"][0], tiny.empty_latent(flow_model))
    assert tiny.relative_error(batch["samples"][:1], stock) < contract.TOLERANCE


def test_no_warning_of_masks_that_are_alike(flow_model):
    latent = {**tiny.picture_latent(flow_model, 3), "noise_mask": torch.ones(1, 8, 8)}
    assert tiny.group(flow_model, 11, latent, candidates=3, size=2)[1]["warnings"] == []
