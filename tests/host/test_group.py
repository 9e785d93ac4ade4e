"""What happens around the contract: rounds, memory, interrupt, broken candidates, caches, previews, errors."""

import json
import logging

import comfy.model_management
import comfy.samplers
import comfy_extras.nodes_custom_sampler as custom
import pytest
import tiny
import torch
from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode
from comfy_extras.nodes_flux import FluxKVCache
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.group_sampler import GroupReport, GroupSamplerNode
from group_inference.sampling.choose import Objective
from group_inference.sampling.group import GroupSampler
from group_inference.sampling.schedule import Schedule
from group_inference.scorers.latent import LatentDistance
from tiny import group


class Unary:
    """Scores by a function of the pool; what a scorer from another pack would look like."""

    name, needs_images = "given", False

    def __init__(self, function):
        self.function = function

    def score(self, pool):
        return self.function(pool)


def custom_sampling(model, sampler, seed, latent, steps=6):
    """SamplerCustomAdvanced with a CFG guider."""
    with torch.inference_mode():
        guider = custom.CFGGuider.execute(model, tiny.text(1), tiny.text(2), 4.0)[0]
        sigmas = custom.BasicScheduler.execute(model, "normal", steps, 1.0)[0]
        return custom.SamplerCustomAdvanced.execute(custom.RandomNoise.execute(seed)[0], guider, sampler, sigmas, latent)


def group_sampler(sampler="euler", candidates=4, size=2, ratio=0.25, **more):
    inner = comfy.samplers.sampler_object(sampler) if isinstance(sampler, str) else sampler
    return GroupSamplerNode.execute(inner, candidates, size, ratio, pairwise=LatentDistance(), **more)[0]


def test_the_report_holds_every_round(flow_model):
    torch.manual_seed(0)
    _, report = group(flow_model, 5, tiny.empty_latent(flow_model), candidates=8, size=2, unary=Unary(lambda pool: pool.x0.mean((1, 2, 3))))
    assert set(report) >= {"version", "settings", "seeds", "rounds", "model_rows", "warnings"}
    assert [len(r["seeds"]) for r in report["rounds"]] == [8, 4]
    assert report["model_rows"] == 8 + 4 + 4 * 2
    for r in report["rounds"]:
        n = len(r["seeds"])
        assert set(r) >= {"step", "sigma", "seeds", "unary", "pairwise", "kept", "objective", "bound", "gap", "status", "seconds"}
        assert len(r["unary"]) == n and [len(row) for row in r["pairwise"]] == [len(r["kept"])] * len(r["kept"])
        assert set(r["kept"]) < set(r["seeds"]) and r["status"] == "optimal" and r["bound"] >= r["objective"]
        chosen = [r["seeds"].index(s) for s in r["kept"]]
        unary, pairwise = sum(r["unary"][i] for i in chosen), sum(map(sum, r["pairwise"])) / 2
        total = r["by"][report["settings"]["unary"]] * unary + 1.5 * r["by"]["latent"] * pairwise
        assert r["objective"] == pytest.approx(total, rel=1e-4)
        assert set(r["seconds"]) == {"model", "preview", "scores", "solver"}
    assert report["rounds"][0]["sigma"] > report["rounds"][1]["sigma"]
    assert report["rounds"][1]["kept"] == report["seeds"]
    assert report["settings"]["seed"] == 5 and report["settings"]["sampler_name"] == "euler" and report["settings"]["pairwise"] == "latent"


def test_x0_is_the_predicted_final_latent(flow_model):
    """Selecting by a score of the last round's x0 is selecting by the result itself: euler's last step lands on x0."""
    latent, report = group(
        flow_model,
        1,
        tiny.empty_latent(flow_model),
        candidates=5,
        size=5 - 1,
        ratio=0.0,
        unary=Unary(lambda pool: pool.x0.flatten(1).norm(dim=1)),
    )
    final = report["rounds"][-1]
    fmt = flow_model.get_model_object("latent_format")
    norms = [float(fmt.process_in(row).norm()) for row in latent["samples"]]
    assert final["step"] == 5
    for seed, norm in zip(report["seeds"], norms, strict=True):
        assert final["unary"][final["seeds"].index(seed)] == pytest.approx(norm, rel=1e-3)


def test_the_custom_sampler_gives_what_the_node_gives(flow_model):
    sampler = group_sampler()
    out, denoised = custom_sampling(flow_model, sampler, 7, tiny.empty_latent(flow_model)).args
    expected, report = group(flow_model, 7, tiny.empty_latent(flow_model), ratio=0.25)
    assert torch.equal(out["samples"], expected["samples"])
    assert denoised["samples"].shape == out["samples"].shape
    assert json.loads(GroupReport.execute(sampler, out)[0])["seeds"] == report["seeds"]


def test_reports_belong_to_the_latent_not_to_the_last_run(flow_model):
    sampler = group_sampler()
    first = custom_sampling(flow_model, sampler, 7, tiny.empty_latent(flow_model))[0]
    second = custom_sampling(flow_model, sampler, 100, tiny.empty_latent(flow_model))[0]
    assert json.loads(GroupReport.execute(sampler, first)[0])["settings"]["seed"] == 7
    assert json.loads(GroupReport.execute(sampler, second)[0])["settings"]["seed"] == 100
    with pytest.raises(ValueError, match="did not come from"):
        GroupReport.execute(sampler, tiny.picture_latent(flow_model, 2))
    with pytest.raises(ValueError, match="connect the SAMPLER output"):
        GroupReport.execute(comfy.samplers.sampler_object("euler"), first)


@pytest.mark.parametrize("guided", ["basic", "dual"])
def test_other_guiders(flow_model, guided):
    with torch.inference_mode():
        texts = [tiny.text(i) for i in (1, 3, 2)]
        basic = lambda: custom.BasicGuider.execute(flow_model, texts[0])
        dual = lambda: custom.DualCFGGuider.execute(flow_model, *texts, 3.0, 2.0, "regular")
        guider = {"basic": basic, "dual": dual}[guided]()[0]
        sigmas = custom.BasicScheduler.execute(flow_model, "simple", 4, 1.0)[0]
        sampler = group_sampler("dpmpp_2m_sde")
        out = custom.SamplerCustomAdvanced.execute(
            custom.RandomNoise.execute(3)[0], guider, sampler, sigmas, tiny.empty_latent(flow_model)
        )[0]
        for row, seed in zip(out["samples"], sampler.last_run.seeds, strict=True):
            alone = custom.SamplerCustomAdvanced.execute(
                custom.RandomNoise.execute(seed)[0],
                guider,
                comfy.samplers.sampler_object("dpmpp_2m_sde"),
                sigmas,
                tiny.empty_latent(flow_model),
            )[0]
            assert tiny.relative_error(row[None], alone["samples"]) < 1e-4


def test_a_sampler_that_draws_from_the_global_generator(flow_model):
    """Samplers of other packs do; each candidate must still see the numbers that it would see alone."""

    def restless(model, x, sigmas, extra_args=None, callback=None, disable=None):
        for i in range(len(sigmas) - 1):
            denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]), **extra_args)
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
            x = denoised + sigmas[i + 1] * torch.randn_like(x)
        return x

    inner = comfy.samplers.KSAMPLER(restless)
    sampler = group_sampler(inner)
    out = custom_sampling(flow_model, sampler, 7, tiny.empty_latent(flow_model))[0]
    for row, seed in zip(out["samples"], sampler.last_run.seeds, strict=True):
        assert tiny.relative_error(row[None], custom_sampling(flow_model, inner, seed, tiny.empty_latent(flow_model))[0]["samples"]) < 1e-4


def test_a_text_with_several_rows_gives_every_candidate_the_first(flow_model):
    positive = tiny.text(1, rows=3)
    latent, report = group(flow_model, 2, tiny.empty_latent(flow_model), positive=positive)
    for row, seed in zip(latent["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, tiny.empty_latent(flow_model), positive=positive)) < 1e-4


def test_a_latent_with_batch_index_keeps_its_meaning(flow_model):
    latent = {**tiny.empty_latent(flow_model), "batch_index": [2]}
    got, report = group(flow_model, 2, latent)
    assert "batch_index" not in got
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, latent)) < 1e-4


def test_seeds_wrap_around_at_the_largest(flow_model):
    _, report = group(flow_model, 2**64 - 2, tiny.empty_latent(flow_model), size=3)
    assert set(report["seeds"]) < {2**64 - 2, 2**64 - 1, 0, 1}


def test_a_candidate_that_breaks_is_dropped_by_name(flow_model, monkeypatch, caplog):
    forward = flow_model.model.apply_model

    def apply_model(x, *args, **kwargs):
        out = forward(x, *args, **kwargs)
        return out.index_fill(0, torch.tensor([1]), float("nan")) if len(out) > 1 else out

    monkeypatch.setattr(flow_model.model, "apply_model", apply_model)
    _, report = group(flow_model, 40, tiny.empty_latent(flow_model), cfg=1.0, candidates=4, size=2, steps=1, ratio=0.25)
    assert 41 not in report["seeds"] and len(report["seeds"]) == 2
    assert any("seed 41" in w and "x0" in w for w in report["warnings"]) and "seed 41" in caplog.text


def test_all_candidates_broken_is_an_error_not_a_black_image(flow_model, monkeypatch):
    monkeypatch.setattr(flow_model.model, "apply_model", lambda x, *a, **k: x * float("nan"))
    with pytest.raises(ValueError, match="All candidates became NaN"):
        group(flow_model, 40, tiny.empty_latent(flow_model))


def test_a_broken_score_is_dropped_by_name(flow_model):
    def score(pool):
        return torch.tensor([0.0, 1.0, float("nan"), 3.0])[: len(pool.x0)]

    _, report = group(flow_model, 40, tiny.empty_latent(flow_model), candidates=4, size=2, ratio=0.5, unary=Unary(score))
    assert 42 not in report["seeds"] and any("seed 42" in w and "score" in w for w in report["warnings"])
    assert report["rounds"][0]["unary"][2] is None


def test_nothing_to_prune_needs_no_scorer_and_no_decoding(flow_model):
    with torch.inference_mode():
        out = GroupKSampler.execute(
            flow_model, 3, 4, 1.0, "euler", "normal", tiny.text(1), tiny.text(2), tiny.empty_latent(flow_model), 1.0, 3, 3, 0.5
        )
    report = json.loads(out[1])
    assert report["seeds"] == [3, 4, 5] and report["rounds"] == []


def test_progress_counts_model_rows_and_shows_all_living_candidates(flow_model, monkeypatch):
    import latent_preview

    seen = []
    monkeypatch.setattr(
        latent_preview, "prepare_callback", lambda model, steps: lambda step, x0, x, total: seen.append((step, total, tuple(x0.shape)))
    )
    group(flow_model, 3, tiny.empty_latent(flow_model), candidates=5, size=2)
    assert [s[0] + 1 for s in seen] == [5, 8, 10, 12, 14, 16] and {s[1] for s in seen} == {16}
    assert seen[0][2] == (1, 16, 16, 16)  # 3 left of 5: two columns, two rows of 8 x 8
    assert seen[-1][2] == (1, 16, 8, 16)


@pytest.mark.parametrize("node", [EasyCacheNode, LazyCacheNode])
def test_caches_between_calls_are_refused(flow_model, node):
    with torch.inference_mode():
        cached = node.execute(flow_model, 0.2, 0.15, 0.95, False)[0]
    with pytest.raises(ValueError, match="cache.* remove that node"):
        group(cached, 3, tiny.empty_latent(flow_model))


def test_kept_keys_and_values_are_refused(flow_model):
    cached = FluxKVCache.execute(flow_model)[0]
    with pytest.raises(ValueError, match="Flux KV Cache, which reuses one call.* remove that node"):
        group(cached, 3, tiny.empty_latent(flow_model))


class OtherNoise:
    seed = 3

    def generate_noise(self, latent):
        return torch.rand(latent["samples"].shape)


def sample_with(noise, model, sampler, latent, denoise=1.0):
    with torch.inference_mode():
        guider = custom.BasicGuider.execute(model, tiny.text(1))[0]
        sigmas = custom.BasicScheduler.execute(model, "simple", 4, denoise)[0]
        return custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent)[0]["samples"]


def test_noise_that_cannot_be_drawn_again_is_refused(flow_model):
    with pytest.raises(ValueError, match="connect RandomNoise"):
        sample_with(OtherNoise(), flow_model, group_sampler(), tiny.empty_latent(flow_model))


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_sde"])
def test_rows_that_have_their_noise_are_reproduced_by_the_graph_that_the_report_names(flow_model, name):
    latent, sampler, silence = tiny.picture_latent(flow_model, 3), group_sampler(name), custom.DisableNoise.execute()[0]
    out = sample_with(silence, flow_model, sampler, latent, denoise=0.6)
    run, inner = sampler.last_run, comfy.samplers.sampler_object(name)
    assert "SamplerCustom without add_noise" in run.reproduce and "row seed - 0 of the latent (Latent From Batch)" in run.reproduce
    sigmas = custom.BasicScheduler.execute(flow_model, "simple", 4, 0.6)[0]
    for row, seed in zip(out, run.seeds, strict=True):
        with torch.inference_mode():
            own = {"samples": latent["samples"][seed : seed + 1]}
            alone = custom.SamplerCustom.execute(flow_model, False, seed, 1.0, tiny.text(1), tiny.text(2), inner, sigmas, own)[0]["samples"]
        assert tiny.relative_error(row[None], alone) < 1e-4


def test_candidates_that_nothing_tells_apart_are_refused(flow_model):
    silence, one = custom.DisableNoise.execute()[0], tiny.picture_latent(flow_model)
    with pytest.raises(ValueError, match="All candidates are the same.*RandomNoise instead of DisableNoise"):
        sample_with(silence, flow_model, group_sampler("euler"), one, denoise=0.6)
    out = sample_with(silence, flow_model, group_sampler("euler_ancestral"), one, denoise=0.6)
    assert not torch.allclose(out[0], out[1], atol=1e-3)
    with pytest.raises(ValueError, match="a mask that leaves something to sample"):
        group(flow_model, 3, {**one, "noise_mask": torch.zeros(1, 8, 8)})


def test_a_group_of_everybody_is_in_order_of_quality_too(flow_model):
    quality = Unary(lambda pool: pool.x0.flatten(1).norm(dim=1))
    latent, report = group(flow_model, 1, tiny.empty_latent(flow_model), candidates=4, size=4, unary=quality)
    (last,) = report["rounds"]
    shares = [last["unary"][last["seeds"].index(s)] + 1.5 * sum(row) / 2 for s, row in zip(last["kept"], last["pairwise"], strict=True)]
    assert report["seeds"] == last["kept"] != sorted(report["seeds"]) and shares == sorted(shares, reverse=True)
    for row, seed in zip(latent["samples"], report["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(flow_model, seed, tiny.empty_latent(flow_model))) < 1e-4
    assert report["model_rows"] == 4 * 6


def test_nothing_finished_is_lost_when_a_scorer_fails_at_the_end(flow_model):
    def failing(pool):
        if len(pool.x0) == 2:  # the trial before sampling
            return torch.zeros(2)
        raise RuntimeError("no more")

    latent, report = group(flow_model, 1, tiny.empty_latent(flow_model), candidates=3, size=3, unary=Unary(failing))
    (warning,) = report["warnings"]
    assert report["seeds"] == [1, 2, 3] and "in the order of their seeds, not of their quality: The scorer given failed: no more" in warning
    unjudged = Unary(lambda pool: torch.tensor([float("nan"), 1.0, 2.0])[: len(pool.x0)])
    latent, report = group(flow_model, 1, tiny.empty_latent(flow_model), candidates=3, size=3, unary=unjudged)
    assert report["seeds"][2] == 1 and len(latent["samples"]) == 3


def test_a_result_that_breaks_at_the_end_is_not_returned(flow_model, monkeypatch):
    forward, calls = flow_model.model.apply_model, []

    def apply_model(x, *args, **kwargs):
        calls.append(1)
        out = forward(x, *args, **kwargs)
        return out.index_fill(0, torch.tensor([0]), float("nan")) if len(calls) == 7 else out

    monkeypatch.setattr(flow_model.model, "apply_model", apply_model)
    latent, report = group(flow_model, 40, tiny.empty_latent(flow_model), cfg=1.0)
    assert len(report["seeds"]) == len(latent["samples"]) == 1 and torch.isfinite(latent["samples"]).all()
    assert any("result is not finite" in w for w in report["warnings"])
    assert report["warnings"][-1] == "Only 1 of 2 results are left: the other candidates were dropped, for the reasons above."


def test_a_group_sampler_inside_another_is_refused():
    with pytest.raises(ValueError, match="ordinary SAMPLER"):
        group_sampler(group_sampler())


def test_a_fallback_preview_is_logged(flow_model, caplog):
    class Bright(Unary):
        needs_images = True

    with caplog.at_level(logging.WARNING):
        _, report = group(flow_model, 3, tiny.empty_latent(flow_model), unary=Bright(lambda pool: pool.images.mean((1, 2, 3))))
    assert any("connect a VAE" in w for w in report["warnings"]) and "connect a VAE" in caplog.text


def test_it_is_an_ordinary_sampler():
    assert isinstance(GroupSampler(comfy.samplers.sampler_object("euler"), Schedule(2), Objective()), comfy.samplers.Sampler)
