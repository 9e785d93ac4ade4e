"""A custom node pack for tests: the host's loader nodes give tiny models for the file names that the shipped workflows ask for.

All are of the host's own classes with random weights, except text and vision encoders, which the host knows in one size each, of
gigabytes, and the decoder of sounds: these are stand-ins. See tests/architectures.py for what passes through the host's detection.
"""

import copy
import functools
import hashlib
import os
import sys
import time

import architectures
import comfy.clip_vision
import comfy.controlnet
import comfy.hooks
import comfy.ldm.flux.redux
import comfy.sd
import comfy.supported_models
import comfy.taesd.taehv
import comfy.utils
import controlnets
import folder_paths
import nodes
import tiny
import torch
from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS = {}
# SDXL's pooled text has the width of unCLIP's image embedding, which replaces it.
POOLED = 1280
SDXL = {**architectures.SDXL, "adm_in_channels": POOLED + 6 * 256}

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
    "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors": "Wan text to video",
}
# The same model as another one, for a second stage.
OTHER_WEIGHTS = {"wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors": "Wan text to video"}
# With the latent channels of their VAEs.
CHECKPOINTS = {
    "v1-5-pruned-emaonly-fp16.safetensors": ("SD 1.5", 4),
    "sd_xl_base_1.0.safetensors": ("SDXL", 4),
    "sd_xl_refiner_1.0.safetensors": ("SDXL refiner", 4),
    "sd_xl_turbo_1.0_fp16.safetensors": ("SDXL", 4),
    "sd3_medium_incl_clips_t5xxlfp8.safetensors": ("SD3", 16),
    "instruct-pix2pix-00-22000.safetensors": ("instruct-pix2pix", 4),
    "ltx-2-19b-distilled.safetensors": ("LTX with sound", 128),
}
TEXT_WIDTHS = {"umt5_xxl_fp8_e4m3fn_scaled.safetensors": 4096}


class Text:
    """Embeddings drawn by the text. Hooks change nothing in them; they go on to the model."""

    apply_hooks_to_conds = None

    def __init__(self, width=tiny.WIDTH, pooled=tiny.WIDTH):
        self.width, self.pooled, self.patcher = width, pooled, self

    def clone(self, **kwargs):
        return copy.copy(self)

    def register_all_hook_patches(self, hooks, targets):
        pass

    def tokenize(self, text, **kwargs):
        return text

    def encode_from_tokens_scheduled(self, text):
        generator = torch.Generator().manual_seed(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
        draw = lambda *shape: torch.randn(shape, generator=generator)
        encoded = [[draw(1, tiny.TOKENS, self.width), {"pooled_output": draw(1, self.pooled)}]]
        return comfy.hooks.set_hooks_for_conditioning(encoded, self.apply_hooks_to_conds)


class Vision:
    """What the host's CLIP vision says of a picture, drawn by its brightness."""

    def encode_image(self, image, crop=True):
        generator = torch.Generator().manual_seed(int(image.mean() * 1e6))
        draw = lambda *shape: torch.randn(shape, generator=generator)
        out = comfy.clip_vision.Output()
        out["image_embeds"], out["penultimate_hidden_states"] = draw(1, POOLED), draw(1, 5, POOLED)
        out["last_hidden_state"] = draw(1, 5, 1152)
        return out


class Sound:
    """The audio VAE, without its decoder: what the empty latent node asks of it."""

    latent_channels, latent_frequency_bins, sample_rate = 8, 16, 16000

    def __init__(self):
        self.first_stage_model = self

    def num_of_latents_from_frames(self, frames, rate):
        return frames // 2


def sound(latent):
    """AUDIO of a latent [B, 8, T, 16]: a thousand samples for each of the T."""
    waveform = latent.mean((1, 3)).repeat_interleave(1000, 1).tanh()
    return {"waveform": waveform[:, None].expand(-1, 2, -1), "sample_rate": Sound.sample_rate}


def video_vae(channels):
    return comfy.sd.VAE(sd=tiny.random_weights(comfy.taesd.taehv.TAEHV(latent_channels=channels)).state_dict())


def checkpoint(name, channels):
    vae = video_vae(channels) if name == "LTX with sound" else tiny.small_vae(channels)
    if name == "SDXL":
        return tiny.patcher(comfy.supported_models.SDXL(dict(SDXL))), Text(pooled=POOLED), vae, None
    return architectures.build(name), Text(), vae, None


def redux():
    return comfy.sd.StyleModel(tiny.random_weights(comfy.ldm.flux.redux.ReduxImageEncoder(txt_in_features=tiny.WIDTH)))


def text_encoder(ckpt_paths, **kwargs):
    return Text(TEXT_WIDTHS.get(os.path.basename(ckpt_paths[0]), tiny.WIDTH))


def instead(module, function, made):
    """Replace a loader of the host; made: {file name: a function that gives what it loads}. Other files go to the host."""
    original = getattr(module, function)

    def load(*args, **kwargs):
        name = os.path.basename(next(value for value in (*args, *kwargs.values()) if isinstance(value, str)))
        return made[name]() if name in made else original(*args, **kwargs)

    setattr(module, function, load)


def each(table, load):
    return {file: lambda entry=entry: load(entry) for file, entry in table.items()}


diffusion_models = each(DIFFUSION_MODELS, architectures.build) | each(OTHER_WEIGHTS, lambda name: architectures.made(name, seed=1))
instead(comfy.sd, "load_diffusion_model", diffusion_models)
instead(comfy.sd, "load_checkpoint_guess_config", each(CHECKPOINTS, lambda entry: checkpoint(*entry)))
vaes = each({"ae.safetensors": 16, "flux2-vae.safetensors": 128}, lambda channels: (tiny.small_vae(channels),))
vaes |= each({"qwen_image_vae.safetensors": 16, "wan_2.1_vae.safetensors": 16}, lambda channels: (video_vae(channels),))
instead(nodes.VAELoader, "load_vae", vaes)
comfy.utils.save_torch_file(controlnets.lora(), folder_paths.get_full_path("loras", "flux1-depth-dev-lora.safetensors"))
instead(comfy.controlnet, "load_controlnet", {
    "controlnet-union-sdxl-promax.safetensors": lambda: controlnets.unet({**SDXL, "num_head_channels": 64, "num_heads": -1}),
    "flux.1-dev-controlnet-union.safetensors": lambda: controlnets.flux(True, control_latent_channels=16, num_union_modes=10),
})  # fmt: skip
comfy.sd.load_style_model = lambda path: redux()
comfy.sd.load_clip = text_encoder
comfy.clip_vision.load = lambda path: Vision()
nodes.NODE_CLASS_MAPPINGS["LTXVAudioVAELoader"].execute = classmethod(lambda cls, ckpt_name: (Sound(),))
nodes.NODE_CLASS_MAPPINGS["LTXVAudioVAEDecode"].execute = classmethod(lambda cls, samples, audio_vae: (sound(samples["samples"]),))


def pack(module):
    """One of Group Inference's, whatever the host calls it."""
    (found,) = (loaded for name, loaded in sys.modules.items() if name.endswith(f".board.{module}"))
    return found


@PromptServer.instance.routes.post("/tiny/pause/{seconds}")
async def pause(request):
    """How long paused runs wait from now on."""
    pack("question").SECONDS = float(request.match_info["seconds"])
    return web.Response()


@PromptServer.instance.routes.post("/tiny/slow/{seconds}")
async def slow(request):
    """How much longer each look takes from now on, for who watches."""
    seconds, watched = float(request.match_info["seconds"]), pack("watched").Watched
    say = getattr(watched.say, "__wrapped__", watched.say)

    @functools.wraps(say)
    def slowly(run):
        say(run)
        time.sleep(seconds)

    watched.say = slowly
    return web.Response()
