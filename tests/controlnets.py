"""Tiny ControlNets of the host's own classes and a control LoRA, with random weights."""

import copy

import architectures
import comfy.cldm.cldm
import comfy.cldm.mmdit
import comfy.controlnet
import comfy.latent_formats
import comfy.ldm.flux.controlnet
import comfy.ops
import tiny
import torch
from comfy_extras.nodes_controlnet import SetUnionControlNetType

ON_CPU = {"dtype": torch.float32, "operations": comfy.ops.manual_cast}


def unet(config, **more):
    unused = ("out_channels", "transformer_depth_output", "use_temporal_resblock", "use_temporal_attention")
    config = copy.deepcopy({key: value for key, value in config.items() if key not in unused})
    return comfy.controlnet.ControlNet(tiny.random_weights(comfy.cldm.cldm.ControlNet(**config, **more, hint_channels=3, **ON_CPU)))


def flux(latent_hint=False, **more):
    """A hint of pixels as XLabs', or of latents as InstantX'."""
    net = comfy.ldm.flux.controlnet.ControlNetFlux(latent_input=latent_hint, **architectures.FLUX, **more, **ON_CPU)
    latents = {"compression_ratio": 1, "latent_format": comfy.latent_formats.Flux()} if latent_hint else {}
    concat_mask = more.get("control_latent_channels") == 17
    return comfy.controlnet.ControlNet(tiny.random_weights(net), extra_conds=["y", "guidance"], concat_mask=concat_mask, **latents)


def sd3(config):
    net = comfy.cldm.mmdit.ControlNet(num_blocks=1, control_latent_channels=16, **{**config, "out_channels": None}, **ON_CPU)
    return comfy.controlnet.ControlNet(tiny.random_weights(net), compression_ratio=1, latent_format=comfy.latent_formats.SD3())


def typed(net, kind):
    return SetUnionControlNetType.execute(net, kind)[0]


def lora(rank=4):
    """A file like the LoRAs of FLUX.1 Depth and Canny, which widen the model's input for a picture beside the latent."""
    hidden = architectures.FLUX["hidden_size"]
    random = lambda *shape: torch.randn(*shape, generator=torch.Generator().manual_seed(8))
    return {
        "img_in.lora_A.weight": random(rank, 128),
        "img_in.lora_B.weight": 0.2 * random(hidden, rank),
        "img_in.lora_B.bias": 0.1 * random(hidden),
        "single_blocks.0.norm.key_norm.scale": 1 + 0.1 * random(hidden),
    }
