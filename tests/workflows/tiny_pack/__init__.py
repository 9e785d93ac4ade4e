"""A custom node pack for tests: the host's loader nodes give tiny models for the file names that the shipped workflows ask for.

Diffusion models, VAEs, the style model and ControlNets are of the host's own classes with random weights. Those that the host
detects in small sizes lie as real files in the test's folder (see conftest.py); the others are made here, as the reasons in
tests/architectures.py say. Text and vision encoders are stand-ins: the host knows them in one size each, of gigabytes.
"""

import hashlib
import os

import architectures
import comfy.clip_vision
import comfy.controlnet
import comfy.ldm.flux.redux
import comfy.sd
import comfy.supported_models
import comfy.taesd.taehv
import comfy.taesd.taesd
import nodes
import tiny
import torch

NODE_CLASS_MAPPINGS = {}
# SDXL's pooled text has the width of unCLIP's image embedding, which replaces it.
POOLED = 1280

DIFFUSION_MODELS = {
    "flux1-schnell.safetensors": "FLUX.1 Schnell",
    "flux1-dev.safetensors": "FLUX.1 Dev",
    "flux1-canny-dev.safetensors": "FLUX.1 Depth",
    "flux1-fill-dev.safetensors": "FLUX.1 Fill",
    "flux1-dev-kontext_fp8_scaled.safetensors": "FLUX.1 Kontext",
    "flux2_dev_fp8mixed.safetensors": "FLUX.2",
    "qwen_image_fp8_e4m3fn.safetensors": "Qwen-Image",
    "qwen_image_edit_2509_fp8_e4m3fn.safetensors": "Qwen-Image-Edit",
    "z_image_turbo_bf16.safetensors": "Z-Image",
    "wan2.1_t2v_1.3B_fp16.safetensors": "Wan text to video",
    "wan2.1_i2v_480p_14B_fp16.safetensors": "Wan image to video",
}
# name: architecture, latent channels
CHECKPOINTS = {
    "v1-5-pruned-emaonly-fp16.safetensors": ("SD 1.5", 4),
    "sd_xl_base_1.0.safetensors": ("SDXL", 4),
    "sd_xl_turbo_1.0_fp16.safetensors": ("SDXL", 4),
    "sd3_medium_incl_clips_t5xxlfp8.safetensors": ("SD3", 16),
    "instruct-pix2pix-00-22000.safetensors": ("instruct-pix2pix", 4),
}


def random(module):
    generator = torch.Generator().manual_seed(0)
    return {name: 0.1 * torch.randn(value.shape, generator=generator) for name, value in module.state_dict().items()}


def picture_vae(channels):
    metadata = {"tae_latent_channels": channels} if channels == 128 else None
    return comfy.sd.VAE(sd=random(comfy.taesd.taesd.TAESD(latent_channels=channels)), metadata=metadata)


def video_vae(channels):
    return comfy.sd.VAE(sd=random(comfy.taesd.taehv.TAEHV(latent_channels=channels)))


VAES = {
    "ae.safetensors": lambda: picture_vae(16),
    "flux2-vae.safetensors": lambda: picture_vae(128),
    "qwen_image_vae.safetensors": lambda: video_vae(16),
    "wan_2.1_vae.safetensors": lambda: video_vae(16),
}


class Text:
    """Embeddings drawn by the text."""

    def __init__(self, pooled=tiny.WIDTH):
        self.pooled = pooled

    def tokenize(self, text, **kwargs):
        return text

    def encode_from_tokens_scheduled(self, text):
        generator = torch.Generator().manual_seed(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
        draw = lambda *shape: torch.randn(shape, generator=generator)
        return [[draw(1, tiny.TOKENS, tiny.WIDTH), {"pooled_output": draw(1, self.pooled)}]]


class Vision:
    """What the host's CLIP vision says of a picture, drawn by its brightness."""

    def encode_image(self, image, crop=True):
        generator = torch.Generator().manual_seed(int(image.mean() * 1e6))
        draw = lambda *shape: torch.randn(shape, generator=generator)
        out = comfy.clip_vision.Output()
        out["image_embeds"], out["penultimate_hidden_states"] = draw(1, POOLED), draw(1, 5, POOLED)
        out["last_hidden_state"] = draw(1, 5, 1152)
        return out


def checkpoint(name, channels):
    if name == "SDXL":
        model = tiny.patcher(comfy.supported_models.SDXL({**architectures.SDXL, "adm_in_channels": POOLED + 6 * 256}))
        return model, Text(POOLED), picture_vae(channels), None
    return architectures.build(name), Text(), picture_vae(channels), None


def redux():
    model = comfy.ldm.flux.redux.ReduxImageEncoder(txt_in_features=tiny.WIDTH)
    model.load_state_dict(random(model))
    return comfy.sd.StyleModel(model)


def instead(module, function, made):
    """Replace a loader of the host; made: file name -> what to give for it, others go to the host."""
    original = getattr(module, function)

    def load(*args, **kwargs):
        name = os.path.basename(next(value for value in (*args, *kwargs.values()) if isinstance(value, str)))
        return made[name]() if name in made else original(*args, **kwargs)

    setattr(module, function, load)


instead(comfy.sd, "load_diffusion_model", {file: lambda name=name: architectures.build(name) for file, name in DIFFUSION_MODELS.items()})
instead(comfy.sd, "load_checkpoint_guess_config", {file: lambda made=made: checkpoint(*made) for file, made in CHECKPOINTS.items()})
instead(nodes.VAELoader, "load_vae", {file: lambda made=made: (made(),) for file, made in VAES.items()})
comfy.sd.load_clip = lambda *args, **kwargs: Text()
comfy.clip_vision.load = lambda path: Vision()
comfy.sd.load_style_model = lambda path: redux()
