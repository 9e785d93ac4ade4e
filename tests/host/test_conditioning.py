"""Scheduled LoRA hooks and context windows: survivors equal stock single runs."""

import architectures
import comfy.hooks
import contract
import pytest
import tiny
import torch


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
