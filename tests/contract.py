"""The contract as assertions, for whatever a model is given."""

import comfy.model_management
import comfy.samplers
import pytest
import tiny
import torch
from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.scorers.latent import LatentDistance

TOLERANCE = 1e-4


def assert_survivors_equal_stock(model, latent, positive=None, negative=None, seed=7, **settings):
    """Of 4 candidates the 2 that are kept are what the stock KSampler gives alone with their seeds. Returns the report."""
    got, report = tiny.group(model, seed, latent, positive=positive, negative=negative, ratio=0.25, **settings)
    for i, own in enumerate(report["seeds"]):
        alone = tiny.stock(model, own, latent, positive, negative, **settings)
        assert all(torch.isfinite(part).all() for part in (alone.unbind() if alone.is_nested else [alone]))
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < TOLERANCE
    assert len(set(report["seeds"])) == 2
    return report


def custom_sampling(guider, sampler, sigmas, seed, latent):
    """Both outputs of SamplerCustomAdvanced."""
    with torch.inference_mode():
        out = SamplerCustomAdvanced.execute(Noise_RandomNoise(seed), guider, sampler, sigmas, latent)
    return [output["samples"] for output in out.args]


def assert_custom_sampling_equals_stock(guider, sigmas, latent, sampler_name="euler"):
    """The same for SamplerCustomAdvanced and both its outputs. Returns the GroupSampler and its results."""
    sampler = comfy.samplers.sampler_object(sampler_name)
    group = GroupSamplerNode.execute(sampler, 4, 2, 0.25, pairwise=LatentDistance())[0]
    found = custom_sampling(guider, group, sigmas, 7, latent)
    for i, own in enumerate(group.last_run.seeds):
        for ours, alone in zip(found, custom_sampling(guider, sampler, sigmas, own, latent), strict=True):
            assert tiny.relative_error(ours[i : i + 1], alone) < TOLERANCE
    assert len(set(group.last_run.seeds)) == 2
    return group, found[0]


def assert_rows_equal_stock(model, inputs, seed=11, **settings):
    """Row i of a latent batch of 3 is what the stock KSampler gives alone with its own latent, prompts and seed.

    inputs: slice -> (latent, positive, negative) of these rows. The last rows win: a mistake usually takes the first.
    """
    latent, positive, negative = inputs(slice(None))
    got, report = tiny.group(model, seed, latent, positive=positive, negative=negative, unary=tiny.LastRows(), **settings)
    assert sorted(report["seeds"]) == [seed + 1, seed + 2]
    for i, own in enumerate(report["seeds"]):
        alone = tiny.stock(model, own, *inputs(slice(own - seed, own - seed + 1)), **settings)
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < TOLERANCE


def assert_interruption_is_harmless(model, latent, positive, negative, monkeypatch):
    """Interrupted in the fifth model call it stops within a call, and the next run of everything is a right one."""
    calls, apply_model = [], model.model.apply_model

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 5:
            comfy.model_management.interrupt_current_processing()
        return apply_model(*args, **kwargs)

    monkeypatch.setattr(model.model, "apply_model", interrupted)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        tiny.group(model, 7, latent, positive=positive, negative=negative)
    assert len(calls) <= 6
    monkeypatch.undo()
    assert_survivors_equal_stock(model, latent, positive, negative)
