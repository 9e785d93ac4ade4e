"""How much of the noise is gone: the inverse of what the host's nodes mean by a percentage of sampling."""

import comfy.model_sampling
import comfy.supported_models
import pytest
from group_inference.sampling.schedule import noise_progress

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
    assert noise_progress(sampling, float(sampling.percent_to_sigma(percent))) == pytest.approx(percent, abs=0.0011)
    assert noise_progress(sampling, 1e9) <= 0.001 and noise_progress(sampling, 0.0) == 1.0
