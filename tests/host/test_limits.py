"""Memory, interrupt and bad input: what must happen before, instead of or in the middle of the work."""

import copy
from types import SimpleNamespace

import comfy.model_management
import pytest
import tiny
import torch
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.sampling import kept
from group_inference.sampling.candidates import Candidate, RandomState
from group_inference.sampling.rows import RowConditioning, rows_that_fit
from group_inference.scorers.latent import LatentDistance
from tiny import group


@pytest.fixture
def counted(flow_model, monkeypatch):
    """The flow model with the rows of each real model call."""
    rows, forward = [], flow_model.model.apply_model

    def apply_model(x, *args, **kwargs):
        rows.append(x.shape[0])
        return forward(x, *args, **kwargs)

    monkeypatch.setattr(flow_model.model, "apply_model", apply_model)
    return flow_model, rows


def test_slices_follow_the_hosts_memory_estimate(counted, monkeypatch):
    model, rows = counted
    per_row = model.model.memory_required([2, 16, 8, 8])
    monkeypatch.setattr(model, "get_free_memory", lambda device: 3.5 * per_row * 1.5)
    latent, report = group(model, 7, tiny.empty_latent(model), candidates=8, size=2)
    assert max(rows) == 2 * 3
    assert torch.allclose(latent["samples"], tiny_group(model, monkeypatch), atol=1e-4)
    assert report["model_rows"] == 8 + 4 + 4 * 2


def tiny_group(model, monkeypatch):
    monkeypatch.setattr(model, "get_free_memory", lambda device: 1e12)
    return group(model, 7, tiny.empty_latent(model), candidates=8, size=2)[0]["samples"]


@pytest.mark.parametrize(("rows", "fit"), [(1, 8), (3, 1)])
def test_control_images_in_a_batch_are_evaluated_one_row_at_a_time(flow_model, rows, fit):
    """The host hands the first rows of a hint to whoever is in the call, also to later controls of a chain."""
    last = SimpleNamespace(cond_hint_original=torch.zeros(rows, 3, 8, 8), previous_controlnet=None)
    first = SimpleNamespace(cond_hint_original=None, previous_controlnet=last)
    conds = {"positive": [{"model_conds": {}, "control": first, "pooled_output": torch.zeros(1, tiny.WIDTH)}]}
    guider = SimpleNamespace(conds=conds, model_patcher=flow_model, inner_model=flow_model.model)
    blank = torch.zeros(1, 16, 8, 8)
    candidate = Candidate(0, 0, blank, blank, None, RandomState(blank.device))
    entries = RowConditioning(guider, [candidate], [blank.shape], 0).of(candidate)
    assert rows_that_fit(guider, entries, blank.shape, 8) == fit


def test_out_of_memory_halves_the_slice_and_goes_on(flow_model, monkeypatch, caplog):
    forward, rows = flow_model.model.apply_model, []

    def apply_model(x, *args, **kwargs):
        if x.shape[0] > 2 * 3:
            raise comfy.model_management.OOM_EXCEPTION("out of memory")
        rows.append(x.shape[0])
        return forward(x, *args, **kwargs)

    expected = group(flow_model, 7, tiny.empty_latent(flow_model), candidates=8, size=2)[0]["samples"]
    kept.STORE.clear()
    monkeypatch.setattr(flow_model.model, "apply_model", apply_model)
    latent, report = group(flow_model, 7, tiny.empty_latent(flow_model), candidates=8, size=2)
    assert torch.allclose(latent["samples"], expected, atol=1e-4)
    assert max(rows) == 2 * 2
    assert [w for w in report["warnings"] if "Out of memory with 8 candidates" in w] and "Out of memory" in caplog.text
    monkeypatch.setattr(
        flow_model.model, "apply_model", lambda x, *a, **k: (_ for _ in ()).throw(comfy.model_management.OOM_EXCEPTION("none at all"))
    )
    kept.STORE.clear()
    with pytest.raises(comfy.model_management.OOM_EXCEPTION):
        group(flow_model, 7, tiny.empty_latent(flow_model))


@pytest.mark.parametrize("call", [1, 4])
def test_interrupt_stops_within_one_model_call_and_leaves_nothing_behind(counted, monkeypatch, call):
    model, rows = counted
    forward = model.model.apply_model

    def apply_model(x, *args, **kwargs):
        out = forward(x, *args, **kwargs)
        if len(rows) == call:
            comfy.model_management.interrupt_current_processing()
        return out

    before = copy.deepcopy(model.model_options)
    monkeypatch.setattr(model.model, "apply_model", apply_model)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        group(model, 7, tiny.empty_latent(model), candidates=8)
    assert len(rows) == call
    assert model.model_options == before
    latent, report = group(model, 7, tiny.empty_latent(model), candidates=8)
    assert tiny.relative_error(latent["samples"][:1], tiny.stock(model, report["seeds"][0], tiny.empty_latent(model))) < 1e-4


ERRORS = [
    ({"candidates": 2, "size": 3}, "output_group_size .3. is larger than the number of candidates .2."),
    ({"denoise": 0.0}, "denoise is 0"),
    ({"rows": 2, "size": 3}, "output_group_size .3. is larger than the number of candidates .2."),
]


@pytest.mark.parametrize(("change", "sentence"), ERRORS)
def test_bad_input_is_named_before_the_model_is_loaded(counted, change, sentence, monkeypatch):
    model, rows = counted
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *args, **kwargs: rows.append("loaded"))
    inputs = {"candidates": 4, "size": 2, "denoise": 1.0, "pairwise": LatentDistance(), "rows": 1, **change}
    with pytest.raises(ValueError, match=sentence), torch.inference_mode():
        GroupKSampler.execute(
            model, 1, 4, 4.0, "euler", "normal", tiny.text(1), tiny.text(2), tiny.picture_latent(model, inputs["rows"]), inputs["denoise"],
            inputs["candidates"], inputs["size"], 0.5, pairwise=inputs["pairwise"],
        )  # fmt: skip
    assert rows == []
