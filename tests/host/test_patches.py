"""The contract under the host's model patches and guiders, and what is said about those that cannot keep it by themselves."""

import importlib

import comfy.samplers
import contract
import node_helpers
import pytest
import tiny
import torch
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.sampling import coupling
from group_inference.sampling.coupling import mixing
from group_inference.scorers.latent import LatentDistance


def patched(file, node, *arguments):
    """A function that applies one of the host's nodes to a model."""

    def apply(model):
        found = getattr(importlib.import_module(f"comfy_extras.{file}"), node)
        if hasattr(found, "execute"):
            return found.execute(model, *arguments).args[0]
        return getattr(found(), found.FUNCTION)(model, *arguments)[0]

    return apply


def lora(model):

    name = "diffusion_model.final_layer.linear" if hasattr(model.model.diffusion_model, "final_layer") else "diffusion_model.out.2"
    weight = model.model.state_dict()[f"{name}.weight"]
    change = {f"{name}.weight": ("diff", (0.1 * torch.ones_like(weight),))}
    model = model.clone()
    model.add_patches(change, 1.0)
    return model


APART = {
    "LoRA": lora,
    "APG without momentum": patched("nodes_apg", "APG", 1.0, 5.0, 0.0),
    "CFG-Zero*": patched("nodes_cfg", "CFGZeroStar"),
    "CFGNorm": patched("nodes_cfg", "CFGNorm", 1.0),
    "RescaleCFG": patched("nodes_model_advanced", "RescaleCFG", 0.7),
    "TCFG": patched("nodes_tcfg", "TCFG"),
    "NAG": patched("nodes_nag", "NAGuidance", 5.0, 0.5, 1.5),
    "FreSca": patched("nodes_fresca", "FreSca", 1.0, 1.25, 20),
    "EpsilonScaling": patched("nodes_eps", "EpsilonScaling", 1.05),
    "DifferentialDiffusion": patched("nodes_differential_diffusion", "DifferentialDiffusion"),
    "Skip Layer Guidance": patched("nodes_slg", "SkipLayerGuidanceDiTSimple", 0.0, 1.0, "0", "0"),
}
# Need the layers of a U-Net.
APART_UNET = {
    "PAG": patched("nodes_pag", "PerturbedAttentionGuidance", 3.0),
    "SAG": patched("nodes_sag", "SelfAttentionGuidance", 0.5, 2.0),
    "FreeU": patched("nodes_freelunch", "FreeU", 1.1, 1.2, 0.9, 0.2),
    "FreeU V2": patched("nodes_freelunch", "FreeU_V2", 1.3, 1.4, 0.9, 0.2),
}
MIXED = {
    "Mahiro": patched("nodes_mahiro", "Mahiro"),
    "Perp-Neg": lambda model: patched("nodes_perpneg", "PerpNeg", tiny.text(5), 1.0)(model),
    "Skip Layer Guidance with rescaling": patched("nodes_slg", "SkipLayerGuidanceDiT", 3.0, 0.0, 1.0, "0", "0", 0.5),
    "Tome": patched("nodes_tomesd", "TomePatchModel", 0.3),
    "Video CFG guidance": patched("nodes_video_model", "VideoLinearCFGGuidance", 1.0),
}


def check(patch, model, positive=None, **settings):
    return contract.assert_survivors_equal_stock(patch(model), tiny.empty_latent(model), positive, **settings)


@pytest.mark.parametrize(("kind", "patch"), [
    *((kind, patch) for patch in APART.values() for kind in ("flow_model", "eps_model")), *(("eps_model", patch) for patch in APART_UNET.values()),
], ids=[*(f"{name}-{kind}" for name in APART for kind in ("flow", "eps")), *APART_UNET])  # fmt: skip
def test_survivors_equal_stock_runs_under_a_patch(kind, patch, request):
    model = request.getfixturevalue(kind)
    assert not check(patch, model)["warnings"] and not mixing(comfy.samplers.CFGGuider(patch(model)))


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_a_batch_is_named_and_given_one_candidate_at_a_time(name, eps_model, monkeypatch):
    (warning,) = check(MIXED[name], eps_model)["warnings"]
    assert warning.startswith(f"{name} does not keep the images of a batch apart: candidates are evaluated one at a time")
    # Without a name it is seen in the first call.
    monkeypatch.setattr(coupling, "MIXING", {})
    report = check(MIXED[name], eps_model)
    (warning,) = report["warnings"]
    assert warning.startswith(
        "What the model makes of a candidate depends on the others in the call: candidates are evaluated one at a time"
    )
    assert report["check_rows"] == 1
    monkeypatch.setattr(coupling, "ROUNDING", dict.fromkeys(coupling.ROUNDING, 1e9))
    with pytest.raises(AssertionError):
        check(MIXED[name], eps_model)


FAILING = {
    "RenormCFG": patched("nodes_lumina2", "RenormCFG", 100.0, 1.0),
    "TemporalScoreRescaling": patched("nodes_eps", "TemporalScoreRescaling", 0.95, 1.0),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_fails_for_a_batch_is_given_one_candidate_at_a_time(name, flow_model):
    (warning,) = check(FAILING[name], flow_model)["warnings"]
    assert warning.startswith("With several candidates in one call the model fails (Boolean value of Tensor")


def test_a_batch_is_looked_at_once_per_model_patches_and_guidance(flow_model):
    seen = lambda model, **settings: check(lambda m: m, model, **settings)["check_rows"]
    assert [seen(flow_model), seen(flow_model), seen(flow_model, cfg=2.0), seen(flow_model, cfg=2.0)] == [1, 0, 1, 0]
    assert [seen(flow_model.clone()), seen(flow_model, positive=regional(1, start_percent=0.0, end_percent=0.4) + tiny.text(3))] == [1, 1]


def test_a_patch_that_draws_random_numbers_draws_those_of_the_candidate(flow_model):
    """Not in a batch, where all draw from one generator; also when the first call was evaluated twice."""

    def noisy(model):
        model = model.clone()
        model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] + 0.1 * torch.randn_like(args["denoised"]))
        return model

    (warning,) = check(noisy, flow_model)["warnings"]
    assert "depends on the others in the call" in warning


def test_what_adds_up_over_calls_is_refused(flow_model):
    with pytest.raises(ValueError, match="Guidance with momentum, which adds up one call .* set its momentum to 0"):
        check(patched("nodes_apg", "APG", 1.0, 5.0, -0.5), flow_model)


def guiders(model):
    from comfy_extras import nodes_custom_sampler, nodes_perpneg

    return {
        "basic": nodes_custom_sampler.BasicGuider.execute(model, tiny.text(1)),
        "cfg": nodes_custom_sampler.CFGGuider.execute(model, tiny.text(1), tiny.text(2), 3.0),
        "dual cfg": nodes_custom_sampler.DualCFGGuider.execute(model, tiny.text(1), tiny.text(3), tiny.text(2), 3.0, 2.0, "regular"),
        "dual cfg nested": nodes_custom_sampler.DualCFGGuider.execute(model, tiny.text(1), tiny.text(3), tiny.text(2), 3.0, 2.0, "nested"),
        "perp-neg": nodes_perpneg.PerpNegGuider.execute(model, tiny.text(1), tiny.text(2), tiny.text(4), 3.0, 1.0),
    }


@pytest.mark.parametrize("name", ["basic", "cfg", "dual cfg", "dual cfg nested", "perp-neg"])
@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
def test_survivors_equal_stock_runs_under_a_guider(model, name):
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 6)
    contract.assert_custom_sampling_equals_stock(guiders(model)[name].args[0], sigmas, tiny.empty_latent(model))


def test_split_sigmas_finish_what_a_group_began(flow_model):
    """High sigmas choose the group, low sigmas finish its members as a batch."""
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    guider, latent = guiders(flow_model)["cfg"].args[0], tiny.empty_latent(flow_model)
    euler = comfy.samplers.sampler_object("euler")
    sigmas = comfy.samplers.calculate_sigmas(flow_model.get_model_object("model_sampling"), "normal", 6)
    group = GroupSamplerNode.execute(euler, 4, 2, 0.5, pairwise=LatentDistance()).args[0]
    half, _ = contract.custom_sampling(guider, group, sigmas[:4], 7, latent)
    with torch.inference_mode():
        whole = SamplerCustomAdvanced.execute(DisableNoise.execute().args[0], guider, euler, sigmas[3:], {"samples": half}).args[0][
            "samples"
        ]
    for row, seed in zip(whole, group.last_run.seeds, strict=True):
        assert tiny.relative_error(row[None], contract.custom_sampling(guider, euler, sigmas, seed, latent)[0]) < contract.TOLERANCE


def regional(seed, **options):
    return node_helpers.conditioning_set_values(tiny.text(seed), options)


@pytest.mark.parametrize("positive", [
    tiny.text(1) + regional(3, area=(4, 4, 0, 4), strength=0.8, set_area_to_bounds=False),
    tiny.text(1) + regional(3, mask=(torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1)) > 0.5).float(), mask_strength=0.7, set_area_to_bounds=False),
    regional(1, start_percent=0.0, end_percent=0.4) + regional(3, start_percent=0.4, end_percent=1.0),
], ids=["area", "mask", "timestep range"])  # fmt: skip
@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
def test_regional_and_timed_prompts(model, positive):
    check(lambda m: m, model, positive)
    whole, changed = (tiny.stock(model, 7, tiny.empty_latent(model), p) for p in (tiny.text(1), positive))
    assert tiny.relative_error(changed, whole) > 1e-5


@pytest.mark.parametrize("scheduler", comfy.samplers.KSampler.SCHEDULERS)
def test_every_scheduler(flow_model, scheduler):
    check(lambda m: m, flow_model, scheduler=scheduler)
