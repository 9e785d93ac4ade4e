"""What is wrong with the inputs of a run, in one sentence each, before any work starts."""

import math

import comfy.model_base
import torch
from comfy.model_patcher import ModelPatcher

from .candidates import SEEDS

MOST = 10000


def check_model(model):
    """Raise ValueError for what is no model or cannot be sampled candidate by candidate. model: the host's ModelPatcher."""
    if not isinstance(model, ModelPatcher):
        raise ValueError(f"model is a {type(model).__name__}, not a MODEL: connect the output of a model loader.")
    if isinstance(model.model, comfy.model_base.SVD_img2vid):
        raise ValueError(
            "This model keeps the frames of one video as the rows of its batch (SVD, SV3D), so they cannot be told from candidates: use the host's KSampler, or a video model that has its frames in an own dimension (Wan, LTX, Hunyuan)."
        )


def check_conditioning(name, conditioning):
    """Raise ValueError for what is no CONDITIONING."""
    entries = conditioning if isinstance(conditioning, list) else [conditioning]
    if not all(isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[1], dict) for entry in entries):
        raise ValueError(f"{name} is no CONDITIONING: connect the output of CLIP Text Encode or of another node that makes conditioning.")


def check_numbers(**numbers):
    """Raise ValueError for what is no finite number or negative; the host lets anything through a link."""
    for name, value in numbers.items():
        if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value!r}, but must be a number that is not negative.")


def check_whole_numbers(**numbers):
    """Raise ValueError for what is no whole number of at least 1, seeds apart, which go from 0."""
    for name, value in numbers.items():
        low, high = (0, SEEDS - 1) if name == "seed" else (1, MOST)
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}, but must be a whole number from {low} to {high}.")


def check_text(name, text):
    """The text. Raises ValueError for what no tokenizer and no report can hold."""
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a text, but it is a {type(text).__name__}: connect a STRING, or type it.")
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise ValueError(
            f"{name} holds half a character at place {e.start + 1} (a lone surrogate, as is left of an emoji cut in two): type it anew."
        ) from e
    return text


def check_latent(latent):
    """Raise ValueError for what is no LATENT, or carries a mask or batch_index of other sizes."""
    samples = latent.get("samples") if isinstance(latent, dict) else None
    if not torch.is_tensor(samples) and not getattr(samples, "is_nested", False):
        raise ValueError("The latent is no LATENT: connect an empty latent, or the output of VAE Encode.")
    rows = samples.shape[0]
    mask, index = latent.get("noise_mask"), latent.get("batch_index")
    masks = mask.unbind() if getattr(mask, "is_nested", False) else [mask]
    if mask is not None and any(not torch.is_tensor(m) or m.ndim < 2 or 0 in m.shape for m in masks):
        raise ValueError("The mask of the latent is empty: connect a mask that has at least one row, or none.")
    if index is not None and len(index) < rows:
        raise ValueError(
            f"The batch_index of the latent names {len(index)} of its {rows} rows: use the latent as it left the node that made it."
        )


def check_sigmas(sigmas):
    """Raise ValueError for noise levels that are no schedule of at least one step."""
    if sigmas.ndim != 1 or len(sigmas) < 2:
        raise ValueError(
            f"The sigmas ({' x '.join(map(str, sigmas.shape))}) are no schedule: connect a scheduler that makes a row of at least two noise levels."
        )


def check_shape(samples, latent_format):
    """Raise ValueError for a latent tensor of other dimensions or channels than the model's. Nested ones are the host's matter."""
    if samples.is_nested:
        return
    wanted = latent_format.latent_dimensions + 2
    if samples.ndim != wanted:
        raise ValueError(
            f"The latent has {samples.ndim} dimensions ({' x '.join(map(str, samples.shape))}), but this model's latents have {wanted}: connect an empty latent that is made for this model."
        )
    if samples.shape[1] != latent_format.latent_channels:
        raise ValueError(
            f"The latent has {samples.shape[1]} channels, but this model's latents have {latent_format.latent_channels}: connect an empty latent, or encode the picture with the model's own VAE."
        )
