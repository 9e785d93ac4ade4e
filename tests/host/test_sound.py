"""Video with sound: a latent of two tensors, which the host packs into one row of numbers per candidate."""

import json

import architectures
import comfy.samplers
import comfy_extras.nodes_custom_sampler as custom
import pytest
import tiny
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_lt import LTXVConcatAVLatent
from group_inference.nodes.group_sampler import GroupReport, GroupSamplerNode
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.scorers.latent import LatentDistance

TOLERANCE = 1e-4
NAME = "LTX with sound"


@pytest.fixture(scope="module")
def case():
    return architectures.build(NAME), architectures.text(NAME, 1), architectures.text(NAME, 2)


def random_latent(model, rows, **more):
    torch.manual_seed(5)
    video, sound = architectures.latent(NAME, model, rows, torch.randn)["samples"].unbind()
    return LTXVConcatAVLatent.execute({"samples": video, **more}, {"samples": sound})[0]


def part(latent, i):
    return {key: value[i : i + 1] for key, value in latent.items()}


def test_a_mask_for_each_row(case):
    """First frames that stay, as image to video has them: other ones in each row, and all of the sound is made."""
    model, positive, negative = case
    mask = torch.ones(3, 1, 3, 8, 8)
    for row in range(3):
        mask[row, :, :row] = 0.0
    latent = random_latent(model, 3, noise_mask=mask)
    got, report = tiny.group(model, 11, latent, positive=positive, negative=negative)
    for i, seed in enumerate(report["seeds"]):
        own = part(latent, seed - 11)
        assert tiny.relative_error(got["samples"][i : i + 1], tiny.stock(model, seed, own, positive, negative)) < TOLERANCE
        for ours, theirs in zip(got["noise_mask"][i : i + 1].unbind(), own["noise_mask"].unbind(), strict=True):
            assert torch.equal(ours, theirs)


def test_scorers_see_the_video(case, monkeypatch):
    model, positive, negative = case
    seen, score = [], LatentDistance.score
    monkeypatch.setattr(LatentDistance, "score", lambda self, pool: seen.append(pool.x0.shape) or score(self, pool))
    tiny.group(model, 7, architectures.latent(NAME, model), positive=positive, negative=negative)
    assert seen == [(2, 128, 3, 8, 8), (4, 128, 3, 8, 8)]  # the first is the scorer's trial


def test_custom_sampling_and_its_report(case):
    model, positive, negative = case
    euler, latent = comfy.samplers.sampler_object("euler"), architectures.latent(NAME, model)

    def sample(sampler, seed):
        with torch.inference_mode():
            guider = custom.CFGGuider.execute(model, positive, negative, 4.0)[0]
            sigmas = custom.BasicScheduler.execute(model, "normal", 6, 1.0)[0]
            out = custom.SamplerCustomAdvanced.execute(custom.RandomNoise.execute(seed)[0], guider, sampler, sigmas, latent)
        return [o["samples"] for o in out.args]

    group = GroupSamplerNode.execute(euler, 4, 2, 0.25, pairwise=LatentDistance())[0]
    found = sample(group, 7)
    seeds = json.loads(GroupReport.execute(group, {"samples": found[0]})[0])["seeds"]
    for i, seed in enumerate(seeds):
        for ours, alone in zip(found, sample(euler, seed), strict=True):
            assert tiny.relative_error(ours[i : i + 1], alone) < TOLERANCE


def test_the_selector_keeps_picture_and_sound_together():
    video, sound = torch.randn(4, 128, 1, 2, 2), torch.arange(4.0).reshape(4, 1, 1, 1)
    batches = [{"samples": NestedTensor([video[:3], sound[:3]])}, {"samples": NestedTensor([video[3:], sound[3:]])}]
    images = torch.rand(4, 8, 8, 3)
    _, latent, indices, report = QIPSelector.execute([images], [2], [1.5], pairwise=(LatentDistance(),), latent=batches).args
    own_video = QIPSelector.execute([images], [2], [1.5], pairwise=(LatentDistance(),), latent=[{"samples": video}]).args
    assert indices == own_video[2] and json.loads(report)["rounds"][0]["pairwise"] == json.loads(own_video[3])["rounds"][0]["pairwise"]
    assert torch.equal(latent["samples"].unbind()[0], video[indices]) and latent["samples"].unbind()[1].flatten().tolist() == indices
    with pytest.raises(ValueError, match="latents have different sizes"):
        other = {"samples": NestedTensor([video[3:, :, :, :1], sound[3:]])}
        QIPSelector.execute([images], [2], [1.5], pairwise=(LatentDistance(),), latent=[batches[0], other])
