"""Models share the device where they fit, and take turns where they do not."""

from types import SimpleNamespace

import comfy.model_management as host
import pytest
import torch
from group_inference.sampling.choose import Objective
from group_inference.sampling.resident_models import load_together
from group_inference.scorers.combine import Combined, QualityFloor


def patcher(size, device="cuda"):
    return SimpleNamespace(load_device=torch.device(device), model_size=lambda: size)


@pytest.fixture
def calls(monkeypatch):
    made, sampler = [], patcher(5000)
    monkeypatch.setattr(host, "load_models_gpu", made.append)
    monkeypatch.setattr(host, "loaded_models", lambda only_currently_used=False: [sampler])
    monkeypatch.setattr(host, "minimum_inference_memory", lambda: 100)
    monkeypatch.setattr(host, "get_free_memory", lambda device: 1000)
    return made, sampler


def test_what_fits_is_loaded_in_one_call(calls):
    made, sampler = calls
    vae, clip = patcher(400), patcher(500)
    assert load_together([vae, clip]) and made == [[sampler, vae, clip]]


def test_what_does_not_fit_is_not_loaded_and_takes_turns(calls):
    made, sampler = calls
    assert not load_together([patcher(400), patcher(501)]) and made == []
    assert load_together([sampler, patcher(900), patcher(10**9, "cpu")])


def test_every_backbone_counts_once_whatever_wraps_it():
    backbone, other = SimpleNamespace(patcher=patcher(1)), SimpleNamespace(patcher=patcher(2))
    scorer = lambda b: SimpleNamespace(name="s", needs_images=True, backbone=b, score=None)
    unary = Combined([(QualityFloor(scorer(backbone), 0.2), 1.0), (scorer(backbone), 1.0)])
    weightless = SimpleNamespace(name="w", needs_images=True)
    assert Objective(unary, Combined([(scorer(other), 1.0), (weightless, 1.0)])).patchers == [backbone.patcher, other.patcher]
