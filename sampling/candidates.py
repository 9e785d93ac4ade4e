"""Latent to candidates: everything that belongs to one of the M, drawn as a stock KSampler alone would draw it."""

from dataclasses import dataclass

import comfy.sample
import comfy.utils
import torch
from comfy.nested_tensor import NestedTensor
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers

SEEDS = 2**64
# The host draws in float32 and rounds to the type of the latent, whatever that is.
TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class RandomState:
    """The global random generators as one candidate left them; samplers of other packs draw from those."""

    def __init__(self, device):
        self.cuda = device if device.type == "cuda" else None
        self.save()

    def save(self):
        self.cpu_state = torch.get_rng_state()
        self.cuda_state = torch.cuda.get_rng_state(self.cuda) if self.cuda else None

    def restore(self):
        torch.set_rng_state(self.cpu_state)
        if self.cuda:
            torch.cuda.set_rng_state(self.cuda_state, self.cuda)


@dataclass
class Candidate:
    """noise, latent_image and denoise_mask are batches of 1; row: which row of the incoming latent it grows from."""

    seed: int
    row: int
    noise: torch.Tensor
    latent_image: torch.Tensor
    denoise_mask: torch.Tensor | None
    random: RandomState


def different_rows(latent_image, mask, batch_index, conditioning):
    """How many rows of a latent [B, ...] are latents of their own: 1 if all are the same and nothing else differs by row, else B.
    latent_image, mask: tensors, nested ones too; conditioning: entries of the host's, as dictionaries."""
    if latent_image.shape[0] < 2 or batch_index is not None or not (_alike(latent_image) and _alike(mask)):
        return latent_image.shape[0]
    return 1 if all(_alike(value) for entry in conditioning for value in entry.values()) else latent_image.shape[0]


def _alike(value):
    """Whether all rows of what may be a tensor, several, or a control with its hints are the same."""
    if isinstance(value, list | tuple):
        return all(map(_alike, value))
    if hasattr(value, "cond_hint_original"):
        return _alike(value.cond_hint_original) and _alike(value.previous_controlnet)
    if getattr(value, "is_nested", False):
        return all(map(_alike, value.unbind()))
    return not torch.is_tensor(value) or value.ndim == 0 or torch.equal(value, value[:1].expand_as(value))


def make_candidates(grown, seed, noise, latent_image, denoise_mask, shapes, batch_index=None, rewrapped=lambda noise, seed: noise):
    """One candidate for each of `grown`: its seed, and the row of the latent that it grows from.

    noise: what the host drew for `seed`; checked, since the candidates' noise has to be drawn the same way.
    shapes: of the latent's tensors before the host packs a nested latent. batch_index: the incoming latent's, if any.
    rewrapped: (noise, seed) -> what the model's patches make of the noise of a run with that seed.
    Raises ValueError when the noise is not the host's ordinary noise for that seed.
    """
    silent = not noise.any()  # DisableNoise: the latent already has its noise
    plain = lambda noise, seed: noise
    ways = ((change, dtype) for change in (plain, rewrapped) for dtype in TYPES)
    right = (way for way in ways if _same(noise, way[0](_draw(shapes, seed, way[1], batch_index).to(noise), seed)))
    change, dtype = (plain, torch.float32) if silent else next(right, (None, None))
    if dtype is None:
        raise ValueError(
            "The noise is not what RandomNoise draws for its seed, so the other candidates' noise cannot be drawn: connect RandomNoise, and a latent without batch_index (Latent Batch Seed Behavior with random takes it out)."
        )
    candidates = []
    for own_seed, row in grown:
        own_index = None if batch_index is None else [batch_index[row]]
        own_noise = change(_draw([(1, *shape[1:]) for shape in shapes], own_seed, dtype, own_index).to(noise), own_seed) * (not silent)
        at = slice(row, row + 1)
        mask = None if denoise_mask is None else denoise_mask[at]
        candidates.append(Candidate(own_seed, row, own_noise, latent_image[at], mask, RandomState(noise.device)))
    return candidates


def as_the_sampler_gets_it(noise, guider, sigmas, extra_args, latent_image):
    """Noise of a run as the model's wrappers of samplers change it; context windows shuffle it over time (FreeNoise)."""
    wrappers, taken = get_all_wrappers(WrappersMP.SAMPLER_SAMPLE, extra_args["model_options"], is_model_options=True), [noise]

    def sample(guider, sigmas, extra_args, callback, noise, *_, **__):
        taken.append(noise)
        return noise

    executor = WrapperExecutor.new_executor(sample, wrappers)
    executor.execute(guider, sigmas, extra_args, None, noise.clone(), latent_image, None, True)
    return taken[-1]


def _draw(shapes, seed, dtype, batch_index):
    blanks = [torch.zeros(tuple(shape), dtype=dtype) for shape in shapes]
    if len(blanks) == 1:
        return comfy.sample.prepare_noise(blanks[0], seed, batch_index).float()
    nested = comfy.sample.prepare_noise(NestedTensor(blanks), seed, batch_index)
    return comfy.utils.pack_latents(nested.unbind())[0].float()


def _same(noise, drawn):
    return noise.shape == drawn.shape and torch.equal(noise, drawn)
