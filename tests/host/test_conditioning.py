"""Scheduled LoRA hooks, context windows, and guiders that keep conditioning in places of their own: survivors equal stock single runs."""

import architectures
import comfy.hooks
import comfy.samplers
import contract
import pytest
import tiny
import torch
from comfy_extras import nodes_custom_sampler
from group_inference.nodes.group_sampler import GroupSamplerNode


@pytest.mark.parametrize("kind", ["flow", "eps"])
def test_a_lora_that_is_scheduled_by_hooks(kind, request):
    model = request.getfixturevalue(f"{kind}_model")
    layer = "final_layer.linear" if kind == "flow" else "out.2"
    weight = model.model.state_dict()[f"diffusion_model.{layer}.weight"]
    group, hook = comfy.hooks.HookGroup(), comfy.hooks.WeightHook(strength_model=1.0, strength_clip=1.0)
    hook.weights, hook.need_weight_init = {f"diffusion_model.{layer}.weight": ("diff", (0.1 * torch.ones_like(weight),))}, False
    group.add(hook)
    keyframes = comfy.hooks.HookKeyframeGroup()
    for strength, start in ((1.0, 0.0), (0.2, 0.5)):
        keyframes.add(comfy.hooks.HookKeyframe(strength=strength, start_percent=start))
    group.set_keyframes_on_hooks(hook_kf=keyframes)
    positive = comfy.hooks.set_hooks_for_conditioning(tiny.text(1), hooks=group)
    latent = tiny.empty_latent(model)
    contract.assert_survivors_equal_stock(model, latent, positive, tiny.text(2))
    assert tiny.relative_error(tiny.stock(model, 7, latent, positive), tiny.stock(model, 7, latent)) > 1e-3


def test_context_windows_over_frames():
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

    name = "Wan text to video"
    plain = architectures.build(name)
    model = WanContextWindowsManualNode.execute(plain, 9, 4, "standard_static", 1, False, "pyramid", False).args[0]
    latent = {"samples": torch.zeros(1, 16, 6, 8, 8)}
    positive, negative = architectures.text(name, 1), architectures.text(name, 2)
    contract.assert_survivors_equal_stock(model, latent, positive, negative)
    whole, windows = (tiny.stock(m, 7, latent, positive, negative) for m in (plain, model))
    assert tiny.relative_error(windows, whole) > 1e-6


@pytest.mark.parametrize("rows", [1, 3])
def test_noise_that_context_windows_shuffle(rows):
    """FreeNoise repeats the first window's noise in an order of the run's seed; it is on by default in the Wan and LTXV nodes."""
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

    name = "Wan text to video"
    plain = architectures.build(name)
    settings = (plain, 9, 4, "standard_static", 1, False, "pyramid")
    kept, shuffled = (WanContextWindowsManualNode.execute(*settings, freenoise).args[0] for freenoise in (False, True))
    positive, negative = architectures.text(name, 1), architectures.text(name, 2)
    latent = {"samples": torch.randn(rows, 16, 6, 8, 8, generator=torch.Generator().manual_seed(3))}
    got, report = tiny.group(shuffled, 7, latent, 4, 2, positive, negative, ratio=0.25)
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        own = {"samples": latent["samples"][[(seed - 7) % rows]]}
        alone, without = (tiny.stock(model, seed, own, positive, negative) for model in (shuffled, kept))
        assert tiny.relative_error(row[None], alone) < contract.TOLERANCE < tiny.relative_error(without, alone)


def dual_model_guider(model, other, positive, negative):
    return nodes_custom_sampler.DualModelGuider.execute(model, positive, 4.0, other, negative)[0]


class Wrapping(comfy.samplers.CFGGuider):
    """A guider of another pack: its negative conditioning lies in a guider of its own, a level below."""

    def inner_sample(self, noise, latent_image, device, sampler, sigmas, denoise_mask, callback, disable_pbar, seed, latent_shapes=None):
        self.negative_of = {"kept": comfy.samplers.CFGGuider(self.model_patcher)}
        negative = {"negative": self.conds.pop("negative")}
        self.negative_of["kept"].conds = comfy.samplers.process_conds(
            self.inner_model, noise, negative, device, latent_image, denoise_mask, seed, latent_shapes
        )
        return super().inner_sample(
            noise, latent_image, device, sampler, sigmas, denoise_mask, callback, disable_pbar, seed, latent_shapes=latent_shapes
        )

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        negative = self.negative_of["kept"].conds["negative"]
        return comfy.samplers.sampling_function(self.inner_model, x, timestep, negative, self.conds["positive"], self.cfg, model_options)


def wrapping_guider(model, other, positive, negative):
    guider = Wrapping(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(4.0)
    return guider


GUIDERS = [wrapping_guider]
if hasattr(nodes_custom_sampler, "DualModelGuider"):  # ComfyUI 0.18.2 has none
    GUIDERS.append(dual_model_guider)


@pytest.mark.parametrize("guider", GUIDERS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
def test_each_row_has_its_own_conditioning_wherever_a_guider_keeps_it(model, guider, masked):
    negatives, latent = tiny.text(2, rows=3), tiny.picture_latent(model, 3)
    masks = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(4))
    other = model.clone()
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 6)

    def run(sampler, seed, at):
        ((text, options),) = negatives
        options = {"pooled_output": options["pooled_output"][at]} | ({"mask": masks[at], "mask_strength": 0.7} if masked else {})
        made = guider(model, other, tiny.text(1), [[text[at], options]])
        return contract.custom_sampling(made, sampler, sigmas, seed, {"samples": latent["samples"][at]})[0]

    euler = comfy.samplers.sampler_object("euler")
    group = GroupSamplerNode.execute(euler, 4, 2, 0.25, unary=tiny.LastRows())[0]
    got = run(group, 7, slice(None))
    assert sorted(group.last_run.seeds) == [8, 9]
    for row, seed in zip(got, group.last_run.seeds, strict=True):
        own = slice(seed - 7, seed - 6)
        assert tiny.relative_error(row[None], run(euler, seed, own)) < contract.TOLERANCE
