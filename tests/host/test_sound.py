"""Video with sound: a latent of two tensors, which the host packs into one row of numbers per candidate."""

import json

import architectures
import contract
import pytest
import tiny
import torch
from comfy.conds import CONDRegular
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_custom_sampler import BasicScheduler, CFGGuider
from comfy_extras.nodes_lt import LTXVConcatAVLatent
from group_inference.nodes.group_sampler import GroupReport
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.scorers.latent import LatentDistance

NAME = "LTX with sound"


@pytest.fixture(scope="module")
def case():
    return architectures.build(NAME), architectures.text(NAME, 1), architectures.text(NAME, 2)


def random_latent(model, rows, **more):
    torch.manual_seed(5)
    video, sound = architectures.latent(NAME, model, rows, torch.randn)["samples"].unbind()
    return LTXVConcatAVLatent.execute({"samples": video, **more}, {"samples": sound})[0]


def test_a_mask_for_each_row(case):
    """First frames that stay, as image to video has them: other ones in each row, and all of the sound is made."""
    model, positive, negative = case
    mask = torch.ones(3, 1, 3, 8, 8)
    for row in range(3):
        mask[row, :, :row] = 0.0
    latent = random_latent(model, 3, noise_mask=mask)
    rows = lambda at: {key: value[at] for key, value in latent.items()}
    contract.assert_rows_equal_stock(model, lambda at: (rows(at), positive, negative))
    got, report = tiny.group(model, 11, latent, positive=positive, negative=negative)
    for i, seed in enumerate(report["seeds"]):
        own = rows(slice(seed - 11, seed - 10))
        for ours, theirs in zip(got["noise_mask"][i : i + 1].unbind(), own["noise_mask"].unbind(), strict=True):
            assert torch.equal(ours, theirs)
    got, _ = tiny.group(model, 11, random_latent(model, 3, noise_mask=mask[2:]), positive=positive, negative=negative)
    assert [len(part) for part in got["noise_mask"].unbind()] == [1, 2]


def test_scorers_see_the_video(case, monkeypatch):
    model, positive, negative = case
    seen, score = [], LatentDistance.score
    monkeypatch.setattr(LatentDistance, "score", lambda self, pool: seen.append(pool.x0.shape) or score(self, pool))
    tiny.group(model, 7, architectures.latent(NAME, model), positive=positive, negative=negative)
    assert seen == [(2, 128, 3, 8, 8), (4, 128, 3, 8, 8)]  # the first is the scorer's trial


def test_conditioning_that_draws_noise_by_the_seed(case, monkeypatch):
    """As unCLIP does; a nested latent is encoded with the shapes of both its tensors."""
    model, positive, negative = case
    extra_conds = model.model.extra_conds

    def noisy(**kwargs):
        out, (video, sound) = extra_conds(**kwargs), kwargs["latent_shapes"]
        text = out["c_crossattn"].cond
        noise = torch.randn(text.shape, generator=torch.Generator().manual_seed(kwargs["seed"]))
        out["c_crossattn"] = CONDRegular(text + 10 * noise * sound[2] / video[2])
        return out

    latent = architectures.latent(NAME, model)
    plain = tiny.stock(model, 7, latent, positive, negative)
    monkeypatch.setattr(model.model, "extra_conds", noisy)
    assert tiny.relative_error(tiny.stock(model, 7, latent, positive, negative), plain) > 10 * contract.TOLERANCE
    contract.assert_survivors_equal_stock(model, latent, positive, negative)


def test_custom_sampling_and_its_report(case):
    model, positive, negative = case
    guider = CFGGuider.execute(model, positive, negative, 4.0)[0]
    sigmas = BasicScheduler.execute(model, "normal", 6, 1.0)[0]
    group, samples = contract.assert_custom_sampling_equals_stock(guider, sigmas, architectures.latent(NAME, model))
    assert json.loads(GroupReport.execute(group, {"samples": samples})[0])["seeds"] == group.last_run.seeds


def test_the_selector_keeps_picture_and_sound_together():
    video, sound = torch.randn(4, 128, 1, 2, 2), torch.arange(4.0).reshape(4, 1, 1, 1)
    batches = [{"samples": NestedTensor([video[:3], sound[:3]])}, {"samples": NestedTensor([video[3:], sound[3:]])}]
    images = torch.rand(4, 8, 8, 3)
    _, latent, indices, report, *_ = QIPSelector.execute([images], [2], [1.5], pairwise=(LatentDistance(),), latent=batches).args
    own_video = QIPSelector.execute([images], [2], [1.5], pairwise=(LatentDistance(),), latent=[{"samples": video}]).args
    assert indices == own_video[2] and json.loads(report)["rounds"][0]["pairwise"] == json.loads(own_video[3])["rounds"][0]["pairwise"]
    assert torch.equal(latent["samples"].unbind()[0], video[indices]) and latent["samples"].unbind()[1].flatten().tolist() == indices
    with pytest.raises(ValueError, match="latents have different sizes"):
        other = {"samples": NestedTensor([video[3:, :, :, :1], sound[3:]])}
        QIPSelector.execute([images], [2], [1.5], pairwise=(LatentDistance(),), latent=[batches[0], other])
