"""Models of the host's own classes, small and with random weights, and the stock run that everything is compared to."""

import json
import os
import tempfile
from contextlib import contextmanager

import comfy.model_patcher
import comfy.sample
import comfy.sd
import comfy.utils
import folder_paths
import nodes
import torch
from comfy.taesd.taesd import TAESD

TOKENS, WIDTH = 6, 32


def random_weights(model, seed=0):
    """The model itself, with weights; the host leaves fresh ones uninitialised."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(False)
        is_scale = parameter.ndim == 1 and not name.endswith("bias")
        # Convolutions keep the size of what they are given: hints go through eight of them.
        spread = (2 / parameter[0].numel()) ** 0.5 if parameter.ndim == 4 else 0.05
        parameter.copy_(torch.ones(parameter.shape) if is_scale else spread * torch.randn(parameter.shape, generator=generator))
    for name, buffer in model.named_buffers():
        if name.endswith(("pos_embed", "inv_freq")):
            buffer.copy_(0.05 * torch.randn(buffer.shape, generator=generator))
    return model.eval()


def patcher(config, seed=0):
    config.set_inference_dtype(torch.float32, None)
    model = random_weights(config.get_model({}, "", device="cpu"), seed)
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def small_vae(channels=16):
    """A real comfy VAE with TAESD's layers and random weights."""
    torch.manual_seed(0)
    module = TAESD(latent_channels=channels)
    weights = {
        k: torch.randn(v.shape) * (2 / max(1, v[0].numel())) ** 0.5 if v.ndim > 1 else torch.zeros(v.shape)
        for k, v in module.state_dict().items()
    }
    # FLUX.2's has its 128 channels from places, not from weights.
    metadata = {"tae_latent_channels": channels} if channels == 128 else None
    return comfy.sd.VAE(sd={**weights, "vae_scale": torch.tensor(0.3611), "vae_shift": torch.tensor(0.1159)}, metadata=metadata)


@contextmanager
def as_file(kind, tensors, metadata=None):
    """Its name while there is a file of these tensors in one of the host's model folders, such as loras."""
    paths, _ = folder_paths.folder_names_and_paths[kind]
    with tempfile.TemporaryDirectory() as folder:
        comfy.utils.save_torch_file(tensors, os.path.join(folder, "tiny.safetensors"), metadata)
        paths.insert(0, folder)
        try:
            yield "tiny.safetensors"
        finally:
            paths.remove(folder)


def channels(model):
    return model.get_model_object("latent_format").latent_channels


def text(seed, rows=1, width=WIDTH):
    """CONDITIONING as CLIPTextEncode makes it."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(rows, TOKENS, width, generator=generator), {"pooled_output": torch.randn(rows, WIDTH, generator=generator)}]]


def empty_latent(model, rows=1, side=8):
    return {"samples": torch.zeros(rows, channels(model), side, side)}


def picture_latent(model, rows=1, side=8):
    return {"samples": torch.randn(rows, channels(model), side, side, generator=torch.Generator().manual_seed(5))}


class LastRows:
    """A unary scorer: the last candidates win, whose rows are the ones that a mistake takes for the first."""

    name, needs_images = "last rows", False

    def score(self, pool):
        return 100 * torch.arange(len(pool.x0), dtype=torch.float32)


class Bright:
    """A unary scorer that says when it is asked."""

    name, needs_images = "bright", True

    def __init__(self):
        self.asked = 0

    def score(self, pool):
        self.asked += 1
        return pool.images.flatten(1).mean(1)


def stock(model, seed, latent, positive=None, negative=None, steps=6, cfg=4.0, sampler_name="euler", scheduler="normal", denoise=1.0):
    """What the host's KSampler gives."""
    with torch.inference_mode():
        return nodes.common_ksampler(
            model, seed, steps, cfg, sampler_name, scheduler, positive or text(1), negative or text(2), latent, denoise=denoise
        )[0]["samples"]


def group(
    model,
    seed,
    latent,
    candidates=4,
    size=2,
    positive=None,
    negative=None,
    steps=6,
    cfg=4.0,
    sampler_name="euler",
    scheduler="normal",
    denoise=1.0,
    ratio=0.5,
    **more,
):
    """LATENT and report of GroupKSampler with a scorer that needs no pictures."""
    # Not above: in a server, where the models are used too, the pack has another name.
    from group_inference.nodes.group_ksampler import GroupKSampler
    from group_inference.scorers.latent import LatentDistance

    with torch.inference_mode():
        out = GroupKSampler.execute(
            model, seed, steps, cfg, sampler_name, scheduler, positive or text(1), negative or text(2), latent, denoise,
            candidates, size, ratio, pairwise=LatentDistance(), **more,
        )  # fmt: skip
    latent, report, _ = out.args
    return latent, json.loads(report)


def relative_error(a, b):
    """Largest difference by largest number, of any tensor of a nested latent."""
    pairs = zip(a.unbind(), b.unbind(), strict=True) if b.is_nested else [(a, b)]
    return max(float((x - y).abs().max() / y.abs().max()) for x, y in pairs)
