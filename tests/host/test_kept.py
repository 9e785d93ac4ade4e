"""The kept pool: to choose again is not to sample again, and gives what a run from the start would give."""

import gc

import comfy.model_management
import comfy.samplers
import comfy_extras.nodes_custom_sampler as custom
import pytest
import tiny
import torch
from comfy_extras.nodes_model_advanced import RescaleCFG
from contract import custom_sampling
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.sampling import kept
from group_inference.sampling.fingerprint import Fingerprint
from group_inference.scorers.cfg_agreement import CfgAgreement
from group_inference.scorers.latent import LatentDistance
from tiny import group


def run(model, latent, **more):
    """GroupKSampler on 6 candidates, of which after each step a half leaves."""
    return group(model, 7, latent, **{"candidates": 6, "size": 2, "unary": None, "vae": None} | more)


CHANGES = {
    "lambda": {"lambda_score": 0.3},
    "objective": {"objective": "max_min"},
    "limit": {"solver_time_limit": 3.0},
    "solver": {"solver": "highs"},
    "fewer": {"size": 1},
    "banned": {"banned": "8"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_later_run_chooses_is_what_it_would_choose_from_the_start(flow_model, rows, change):
    latent, bright = tiny.empty_latent(flow_model), tiny.Bright()
    run(flow_model, latent, unary=bright)
    rows()
    again, told = run(flow_model, latent, unary=bright, **CHANGES[change])
    taken = rows()
    kept.STORE.clear()
    fresh, report = run(flow_model, latent, unary=bright, **CHANGES[change])
    assert told["seeds"] == report["seeds"] and tiny.relative_error(again["samples"], fresh["samples"]) < 1e-5
    assert [r["kept"] for r in told["rounds"]] == [r["kept"] for r in report["rounds"]]
    assert taken < rows() and told["known"] > 0 == report["known"]


def test_nothing_is_sampled_nor_scored_when_all_is_there(flow_model, rows):
    latent, bright = tiny.empty_latent(flow_model), tiny.Bright()
    first, report = run(flow_model, latent, unary=bright)
    rows()
    asked = bright.asked
    again, told = run(flow_model, latent, unary=bright, solver_time_limit=2.0)
    assert rows() == 0 == told["model_rows"] and bright.asked == asked
    assert torch.equal(first["samples"], again["samples"]) and told["seeds"] == report["seeds"]


@pytest.mark.parametrize(
    "sampler_name", ["euler", "dpmpp_2m_sde", "euler_ancestral_cfg_pp", "dpmpp_2s_ancestral", "lms", "dpm_adaptive", "uni_pc"]
)
def test_one_that_had_left_is_finished_alone_and_exactly(flow_model, rows, sampler_name):
    latent, bright = tiny.empty_latent(flow_model), tiny.Bright()
    settings = {"unary": bright, "sampler_name": sampler_name}
    _, report = run(flow_model, latent, **settings)
    whole = rows()
    (loser, *_) = [s for s in report["rounds"][0]["seeds"] if s not in report["rounds"][0]["kept"]]
    again, told = run(flow_model, latent, pinned=str(loser), **settings)
    alone = rows()
    assert loser in told["seeds"] and len(told["seeds"]) == 2
    for row, seed in zip(again["samples"], told["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, latent, sampler_name=sampler_name)) < 1e-4
    if sampler_name != "dpm_adaptive":  # it has no steps to look after, so all its candidates are finished
        rows()
        tiny.stock(flow_model, loser, latent, sampler_name=sampler_name)
        once = rows()
        assert once <= alone <= 2 * once < whole  # the other winner may be a new one too


def test_what_decides_a_candidate_is_never_taken_from_another_set_up(flow_model):
    latent = tiny.empty_latent(flow_model)
    masked = {**tiny.picture_latent(flow_model), "noise_mask": torch.ones(1, 8, 8)}
    with torch.inference_mode():
        patched = RescaleCFG().patch(flow_model, 0.7)[0]
    scaled = [[tiny.text(1)[0][0] * 1.0001, tiny.text(1)[0][1]]]
    others = [
        {"cfg": 4.1}, {"steps": 7}, {"sampler_name": "heun"}, {"scheduler": "simple"}, {"positive": tiny.text(3)}, {"positive": scaled},
        {"negative": tiny.text(4)}, {"denoise": 0.5, "latent": tiny.picture_latent(flow_model)}, {"latent": tiny.picture_latent(flow_model)},
        {"latent": masked}, {"latent": {**masked, "noise_mask": torch.full((1, 8, 8), 0.5)}}, {"latent": tiny.empty_latent(flow_model, side=6)},
        {"model": patched}, {"latent": {**latent, "batch_index": [1]}}, {"seed": 8},
    ]  # fmt: skip
    settings = {"model": flow_model, "latent": latent, "seed": 7}
    told = group(**settings)[1]
    pools = {told["pool"]}
    for other in others:
        told = group(**settings | other)[1]
        assert told["known"] == 0 and told["pool"] not in pools, other
        pools.add(told["pool"])
    assert group(**settings)[1]["known"] == 4


def test_a_model_that_is_gone_is_not_taken_for_a_new_one_at_its_place():
    class Model:
        pass

    model = Model()
    found = Fingerprint(model, {"a": [1.0, torch.ones(2)]})
    assert found.valid and found.digest == Fingerprint(model, {"a": [1.0, torch.ones(2)]}).digest
    assert (
        found.digest != Fingerprint(model, {"a": [1.0, torch.zeros(2)]}).digest != Fingerprint(Model(), {"a": [1.0, torch.ones(2)]}).digest
    )
    del model
    gc.collect()
    assert not found.valid


def test_objects_that_hold_each_other_end():
    one, other = {}, []
    one["other"], other[:] = other, [one, one]
    assert Fingerprint(one).digest == Fingerprint(one).digest


def test_a_pool_holds_no_model(flow_model):
    run(flow_model, tiny.empty_latent(flow_model), unary=tiny.Bright())
    (pool,) = kept.STORE._pools.values()
    seen, todo = set(), [pool]
    while todo:
        value = todo.pop()
        if id(value) in seen or isinstance(value, type):
            continue
        seen.add(id(value))
        assert not isinstance(value, torch.nn.Module), value
        todo += [part for part in gc.get_referents(value) if not callable(part)]


def test_both_outputs_of_the_custom_sampler_are_kept(flow_model):
    with torch.inference_mode():
        guider = custom.CFGGuider.execute(flow_model, tiny.text(1), tiny.text(2), 4.0)[0]
        sigmas = custom.BasicScheduler.execute(flow_model, "normal", 6, 1.0)[0]
    node = lambda **more: GroupSamplerNode.execute(comfy.samplers.sampler_object("euler"), 6, 2, 0.5, pairwise=LatentDistance(), **more)[0]
    first = custom_sampling(guider, node(), sigmas, 7, tiny.empty_latent(flow_model))
    sampler = node(solver_time_limit=2.0)
    again = custom_sampling(guider, sampler, sigmas, 7, tiny.empty_latent(flow_model))
    assert all(map(torch.equal, first, again)) and sampler.last_run.model_rows == 0


def test_what_a_scorer_watches_in_the_model_is_kept_too(flow_model, rows):
    latent, agreement = tiny.empty_latent(flow_model), CfgAgreement()
    _, report = run(flow_model, latent, unary=agreement)
    rows()
    _, again = run(flow_model, latent, unary=agreement, solver_time_limit=2.0)
    assert rows() == 0 and [r["unary"] for r in again["rounds"]] == [r["unary"] for r in report["rounds"]]
    (loser, *_) = [s for s in report["rounds"][0]["seeds"] if s not in report["rounds"][0]["kept"]]
    _, told = run(flow_model, latent, unary=agreement, pinned=str(loser))
    kept.STORE.clear()
    _, fresh = run(flow_model, latent, unary=agreement, pinned=str(loser))
    for one, other in zip(told["rounds"], fresh["rounds"], strict=True):
        assert one["seeds"] == other["seeds"] and one["unary"] == pytest.approx(other["unary"], rel=1e-3)


def test_pools_go_to_disk_and_then_go_oldest_first(flow_model, monkeypatch, rows, tmp_path):
    monkeypatch.setattr("folder_paths.get_temp_directory", lambda: str(tmp_path / "temp"))
    latent = tiny.empty_latent(flow_model)
    first, report = run(flow_model, latent)
    size = next(iter(kept.STORE._pools.values())).tensors.bytes
    monkeypatch.setattr(kept, "MOST_IN_MEMORY", int(1.5 * size))
    run(flow_model, latent, cfg=3.0)
    assert len(list((tmp_path / "temp").iterdir())) == 1
    rows()
    again, told = run(flow_model, latent, solver_time_limit=2.0)
    assert rows() == 0 and torch.equal(again["samples"], first["samples"]) and told["seeds"] == report["seeds"]
    monkeypatch.setattr(kept, "MOST_IN_ALL", int(1.5 * size))
    run(flow_model, latent, cfg=2.0)
    assert len(kept.STORE._pools) == 1
    with pytest.raises(ValueError, match="no longer kept.*change the seed"):
        kept.STORE.by_id(report["pool"])
    kept.STORE.clear()
    assert list((tmp_path / "temp").iterdir()) == []


def test_what_was_done_before_an_interrupt_is_not_done_again(flow_model, monkeypatch, rows):
    latent, calls, forward = tiny.empty_latent(flow_model), [], flow_model.model.apply_model

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            comfy.model_management.interrupt_current_processing()
        return forward(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(flow_model.model, "apply_model", interrupted)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            run(flow_model, latent)
    rows()
    _, told = run(flow_model, latent)
    taken = rows()
    kept.STORE.clear()
    _, fresh = run(flow_model, latent)
    assert told["known"] > 0 and told["seeds"] == fresh["seeds"] and taken < rows()


def test_a_disk_that_fails_costs_what_was_kept_and_nothing_else(flow_model, monkeypatch, rows, tmp_path, caplog):
    monkeypatch.setattr("folder_paths.get_temp_directory", lambda: str(tmp_path / "temp"))
    monkeypatch.setattr(kept, "MOST_IN_MEMORY", 0)
    latent = tiny.empty_latent(flow_model)
    first, report = run(flow_model, latent)
    (file,) = (tmp_path / "temp").iterdir()
    file.write_bytes(b"no tensors")
    again, told = run(flow_model, latent)
    assert told["known"] == 0 and told["seeds"] == report["seeds"] and "temp folder fails" in caplog.text
    assert torch.allclose(again["samples"], first["samples"], atol=1e-5)
    (tmp_path / "none").write_text("a file where a folder should be")
    monkeypatch.setattr("folder_paths.get_temp_directory", lambda: str(tmp_path / "none" / "temp"))
    finished, _ = run(flow_model, latent, cfg=3.0)
    assert finished["samples"].shape == (2, 16, 8, 8)


def test_what_is_only_there_for_a_moment_is_not_taken_for_what_came_before():
    """Two nested latents hand out lists that may get the same place in memory, one after the other."""

    class Nested:
        is_nested = True

        def __init__(self, *parts):
            self.parts = parts

        def unbind(self):
            return [part + 0 for part in self.parts]

    one, other = torch.ones(3), torch.zeros(3)
    assert Fingerprint(Nested(one), Nested(one)).digest != Fingerprint(Nested(one), Nested(other)).digest
