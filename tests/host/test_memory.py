"""Models share the device where they fit, and take turns where they do not."""

from types import SimpleNamespace

import comfy.model_management as host
import pytest
import tiny
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


def test_a_run_says_once_that_models_take_turns(flow_model, monkeypatch):
    free = host.get_free_memory
    monkeypatch.setattr(
        host,
        "get_free_memory",
        lambda device=None, *more, **named: 1000 if device == torch.device("cuda") else free(device, *more, **named),
    )
    scorer = SimpleNamespace(name="large", needs_images=False, patcher=patcher(1001), score=lambda pool: pool.x0.mean((1, 2, 3)))
    warnings = tiny.group(flow_model, 1, tiny.empty_latent(flow_model), candidates=8, size=2, unary=scorer)[1]["warnings"]
    assert len([w for w in warnings if "do not fit into memory together and take turns" in w]) == 1


def test_every_backbone_counts_once_whatever_wraps_it():
    backbone, other = SimpleNamespace(patcher=patcher(1)), SimpleNamespace(patcher=patcher(2))
    scorer = lambda b: SimpleNamespace(name="s", needs_images=True, backbone=b, score=None)
    unary = Combined([(QualityFloor(scorer(backbone), 0.2), 1.0), (scorer(backbone), 1.0)])
    weightless = SimpleNamespace(name="w", needs_images=True, score=None)
    assert Objective(unary, Combined([(scorer(other), 1.0), (weightless, 1.0)])).patchers == [backbone.patcher, other.patcher]
