"""ControlNets of every kind: survivors equal stock single runs, and a batch of hints or masks gives each row its own."""

import architectures
import comfy.supported_models as models
import contract
import nodes
import pytest
import tiny
import torch
from comfy_extras.nodes_controlnet import ControlNetInpaintingAliMamaApply
from controlnets import flux, sd3, typed, unet

# SDXL's union net is made for 320 channels: a U-Net of those, without levels and transformers.
WIDE = {
    **architectures.SDXL, "model_channels": 320, "num_res_blocks": [1], "channel_mult": [1], "transformer_depth": [0], "transformer_depth_output": [0, 0],
    "transformer_depth_middle": -1,
}  # fmt: skip
# A net for SD3 gives nothing to the last block.
DEEP = {**architectures.SD3, "depth": 2}
DEEP["context_embedder_config"] = {"target": "torch.nn.Linear", "params": {"in_features": tiny.WIDTH, "out_features": 128}}


def on(name):
    return lambda: architectures.build(name)


# name: (the model, the ControlNet, its hint goes through a VAE of so many channels)
KINDS = {
    "SD 1.5": (on("SD 1.5"), lambda: unet(architectures.UNET), None),
    "SDXL": (on("SDXL"), lambda: unet({**architectures.SDXL, "num_head_channels": 64, "num_heads": -1}), None),
    "SDXL union": (
        lambda: tiny.patcher(models.SDXL(dict(WIDE))),
        lambda: typed(unet(WIDE, union_controlnet_num_control_type=6), "depth"),
        None,
    ),
    "SD3": (lambda: tiny.patcher(models.SD3(dict(DEEP))), lambda: sd3(DEEP), 16),
    "FLUX": (on("FLUX.1 Dev"), flux, None),
    "FLUX with latents": (on("FLUX.1 Dev"), lambda: flux(True, control_latent_channels=16), 16),
    "FLUX union": (on("FLUX.1 Dev"), lambda: typed(flux(True, control_latent_channels=16, num_union_modes=6), "depth"), 16),
}
HINTS = torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """(model, a function that applies a ControlNet to both prompts)"""
    model, net, channels = KINDS[request.param]
    net, vae = net(), channels and tiny.small_vae(channels)

    def apply(hints, start=0.0, end=1.0):
        with torch.inference_mode():
            return nodes.ControlNetApplyAdvanced().apply_controlnet(tiny.text(1), tiny.text(2), net, hints, 1.0, start, end, vae)

    return model(), apply


@pytest.mark.parametrize("end", [1.0, 0.5])
def test_survivors_equal_stock_runs(case, end):
    model, apply = case
    prompts, latent = apply(HINTS[:1], end=end), tiny.empty_latent(model)
    assert contract.assert_survivors_equal_stock(model, latent, *prompts)["warnings"] == []
    controlled, plain = tiny.stock(model, 7, latent, *prompts), tiny.stock(model, 7, latent)
    others = [tiny.stock(model, 7, latent, *apply(HINTS[1:2], end=end))]
    if end < 1.0:
        others.append(tiny.stock(model, 7, latent, *apply(HINTS[:1])))
    for other in (plain, *others):
        assert tiny.relative_error(controlled, other) > 10 * contract.TOLERANCE


def test_a_hint_for_each_row(case):
    """A batch of hints with a latent batch: row i is drawn with hint i."""
    model, apply = case
    latent = tiny.picture_latent(model, 3)["samples"]
    contract.assert_rows_equal_stock(model, lambda at: ({"samples": latent[at]}, *apply(HINTS[at])))


def test_an_inpainting_mask_for_each_row():
    model, net, vae = architectures.build("FLUX.1 Dev"), flux(True, control_latent_channels=17), tiny.small_vae(16)
    masks = (torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(4)) > torch.tensor([0.2, 0.5, 0.8]).view(3, 1, 1)).float()
    latent, texts = tiny.picture_latent(model, 3)["samples"], (tiny.text(1), tiny.text(2))

    def inputs(at):
        with torch.inference_mode():
            applied = ControlNetInpaintingAliMamaApply.execute(*texts, net, vae, HINTS[at], masks[at], 1.0, 0.0, 1.0)
        return {"samples": latent[at]}, *applied.args

    contract.assert_rows_equal_stock(model, inputs)


def test_interruption_halfway_leaves_the_controlnet_usable(case, monkeypatch):
    model, apply = case
    contract.assert_interruption_is_harmless(model, tiny.empty_latent(model), *apply(HINTS[:1]), monkeypatch)
