"""How much of the noise is gone: the inverse of what the host's nodes mean by a percentage of sampling."""

import comfy.model_sampling
import comfy.supported_models
import pytest
import torch
from group_inference.sampling.plan import noise_gone, noise_progress

KINDS = {
    "flow": (comfy.model_sampling.ModelSamplingDiscreteFlow, {"shift": 3.0}),
    "flux": (comfy.model_sampling.ModelSamplingFlux, {"shift": 1.15}),
    "eps": (comfy.model_sampling.ModelSamplingDiscrete, {}),
    "edm": (comfy.model_sampling.ModelSamplingContinuousEDM, {"sigma_min": 0.002, "sigma_max": 120.0}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("percent", [0.001, 0.15, 0.3, 0.5, 0.85, 0.999])
def test_it_is_the_inverse_of_the_hosts_percentages(kind, percent):
    cls, settings = KINDS[kind]
    sampling = cls(type("Config", (), {"sampling_settings": settings}))
    assert noise_progress(sampling, [float(sampling.percent_to_sigma(percent))]) == [pytest.approx(percent, abs=0.0011)]
    few, most = noise_progress(sampling, [1e9, 0.0])
    assert few <= 0.001 and most == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_that_is_gone_after_each_step(kind):
    cls, settings = KINDS[kind]
    sampling = cls(type("Config", (), {"sampling_settings": settings}))
    sigmas = torch.tensor([float(sampling.percent_to_sigma(max(1e-6, i / 20))) for i in range(20)] + [0.0])
    assert noise_gone(sigmas, sampling) == pytest.approx([(i + 1) / 20 for i in range(20)], abs=0.0011)
    # Image to image: halfway between the model's noise and the run's own.
    assert noise_gone(sigmas[10:], sampling) == pytest.approx([(0.5 + (i + 1) / 20 + (i + 1) / 10) / 2 for i in range(9)] + [1], abs=0.0025)
    # The first part of a split schedule ends with the best look that there will be.
    assert noise_gone(sigmas[:5], sampling) == pytest.approx([0.05, 0.1, 0.15, 1], abs=0.0011)
    assert noise_gone(sigmas[-2:], sampling) == [1.0]
