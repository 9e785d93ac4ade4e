"""Two stages, each with a model of its own: the group is chosen in the first, and each of its results is what the stock graph of two
KSampler (Advanced) makes of its seed alone, whether the second stage draws noise or not."""

from dataclasses import dataclass
from itertools import cycle

import architectures
import comfy.samplers
import contract
import pytest
import tiny
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_custom_sampler import BasicScheduler, CFGGuider, SamplerCustom, SplitSigmas
from comfy_extras.nodes_model_advanced import ModelSamplingSD3
from comfy_extras.nodes_rebatch import LatentRebatch
from group_inference.nodes.group_sampler import GroupReport, GroupSamplerNode
from group_inference.scorers.latent import LatentDistance
from nodes import KSamplerAdvanced

STEPS, SWITCH, SEED, CFG = 6, 3, 7, 4.0
# For these KSampler (Advanced) takes other noise levels than BasicScheduler gives.
OTHER_SCHEDULES = comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS
SAMPLERS = [name for name in comfy.samplers.KSampler.SAMPLERS if name not in OTHER_SCHEDULES]


@dataclass
class Stages:
    """The two models, each with its prompts, and the latent that both start from."""

    models: list[ModelPatcher]
    texts: list[list]
    latent: dict
    scheduler: str

    def alone(self, seed, sampler_name):
        """[1, ...]: what two KSampler (Advanced) give, the second one with the seed that it has in the host's templates, 0."""
        first = KSamplerAdvanced().sample(
            self.models[0], "enable", seed, STEPS, CFG, sampler_name, self.scheduler, *self.texts[0], self.latent, 0, SWITCH, "enable"
        )[0]
        return self.second_stage(first, sampler_name)

    def second_stage(self, latent, sampler_name):
        return KSamplerAdvanced().sample(
            self.models[1], "disable", 0, STEPS, CFG, sampler_name, self.scheduler, *self.texts[1], latent, SWITCH, 10000, "disable"
        )[0]["samples"]  # fmt: skip

    def group(self, sampler_name, size=2):
        """(LATENT of Group Report, its seeds, noise levels of the second stage): the first stage with a group of 5 candidates."""
        high, low = SplitSigmas.execute(BasicScheduler.execute(self.models[0], self.scheduler, STEPS, 1.0)[0], SWITCH).args
        sampler = comfy.samplers.sampler_object(sampler_name)
        group = GroupSamplerNode.execute(sampler, 5, size, 0.25, pairwise=LatentDistance(), schedule="paper")[0]
        guider = CFGGuider.execute(self.models[0], *self.texts[0], CFG)[0]
        chosen = {"samples": contract.custom_sampling(guider, group, high, SEED, self.latent)[0]}
        _, latent, seeds, *_ = GroupReport.execute(group, chosen).args
        assert len(set(seeds)) == size
        return latent, seeds, low


def stages_of(first, second, scheduler, patch=lambda model: model):
    models = [patch(architectures.made(name, seed)) for seed, name in enumerate((first, second))]
    texts = [[architectures.text(name, seed) for seed in (2 * i, 2 * i + 1)] for i, name in enumerate((first, second))]
    return Stages(models, texts, architectures.latent(first, models[0]), scheduler)


@pytest.fixture(scope="module")
def wan():
    name = "Wan text to video"
    shifted = lambda model: ModelSamplingSD3().patch(model, 5.0)[0]
    return stages_of(name, name, "simple", shifted)


@pytest.fixture(scope="module")
def sdxl():
    return stages_of("SDXL", "SDXL refiner", "normal")


PAIRS = ["wan", "sdxl"]


@pytest.fixture(params=PAIRS)
def stages(request):
    return request.getfixturevalue(request.param)


def one_by_one(latent):
    """What Rebatch Latents makes of it: a list, for each of which the host runs what follows."""
    return LatentRebatch.execute([latent], [1])[0]


@pytest.mark.parametrize(("pair", "sampler_name"), [(pair, name) for name, pair in zip(SAMPLERS[::2], cycle(PAIRS), strict=False)])
def test_every_result_is_what_two_stock_samplers_make_of_its_seed(request, pair, sampler_name):
    """Every second sampler with one of the pairs: what differs between pairs does not depend on the sampler."""
    stages = request.getfixturevalue(pair)
    with torch.inference_mode():
        latent, seeds, low = stages.group(sampler_name)
        for row, seed in zip(one_by_one(latent), seeds, strict=True):
            sampler = comfy.samplers.sampler_object(sampler_name)
            got = SamplerCustom.execute(stages.models[1], False, 0, CFG, *stages.texts[1], sampler, low, row)[0]["samples"]
            alone = stages.alone(seed, sampler_name)
            assert torch.isfinite(alone).all()
            assert tiny.relative_error(got, alone) < contract.TOLERANCE


DRAW_NONE = ["euler", "dpmpp_2m", "heun", "res_multistep", "deis"]
DRAW_NOISE = ["euler_ancestral", "dpmpp_2m_sde", "lcm", "er_sde", "seeds_2"]


@pytest.mark.parametrize("sampler_name", DRAW_NONE + DRAW_NOISE)
def test_as_one_batch_only_samplers_that_draw_no_noise_make_the_same(stages, sampler_name):
    """Why each goes on alone: the host draws a batch's noise for the batch."""
    with torch.inference_mode():
        latent, seeds, _ = stages.group(sampler_name)
        got = stages.second_stage(latent, sampler_name)
        off = [tiny.relative_error(row[None], stages.alone(seed, sampler_name)) for row, seed in zip(got, seeds, strict=True)]
    assert (max(off) < contract.TOLERANCE) == (sampler_name in DRAW_NONE)


def test_more_are_kept_for_a_second_choice(stages):
    """A group sampler in the second stage: the rows are its candidates, in the order of the first stage's report."""
    with torch.inference_mode():
        latent, seeds, low = stages.group("euler", size=3)
        group = GroupSamplerNode.execute(comfy.samplers.sampler_object("euler"), 16, 2, 0.25, unary=tiny.LastRows())[0]
        got = SamplerCustom.execute(stages.models[1], False, 0, CFG, *stages.texts[1], group, low, latent)[0]["samples"]
        assert sorted(group.last_run.seeds) == [1, 2]
        for row, own in zip(got, group.last_run.seeds, strict=True):
            assert tiny.relative_error(row[None], stages.alone(seeds[own], "euler")) < contract.TOLERANCE
