"""x0 to pictures: what scorers look at, and what the user sees while sampling."""

import math

import comfy.model_management
import folder_paths
import latent_preview
import nodes as host_nodes
import numpy as np
import torch
import torch.nn.functional as F

from ..scorers.pool import fitted, pictures
from .work import decode_work

CHUNK = 8
KEY_FRAMES = 4
# Four frames of half the side have as many pixels as one picture, so a pool of videos takes no more memory than one of pictures.
LONGEST_SIDE, LONGEST_SIDE_OF_FRAMES = 512, 256


class Previewer:
    """Decodes x0 to IMAGE tensors, by the best decoder at hand: the VAE given, else the host's TAESD for the model's
    latents if its files are there, else the host's latent-to-RGB factors (then `warning` says so).

    Raises ValueError when there is none of them, for what is no VAE, and for latents of sound or shapes.
    """

    def __init__(self, patcher, vae=None):
        # The host's CLIP has `decode` as well, for tokens.
        if vae is not None and (not callable(getattr(vae, "decode", None)) or hasattr(vae, "cond_stage_model")):
            raise ValueError(f"The input vae got a {type(vae).__name__}, which decodes no latents: connect a VAE.")
        self.model = patcher.model
        self.format = patcher.get_model_object("latent_format")
        # A picture's VAE has channels of colour; ACE-Step's latents look like a picture's, and its VAE gives stereo.
        if self.format.latent_dimensions == 1 or getattr(vae, "output_channels", 3) < 3:
            raise ValueError(
                "This model's latents are no pictures (but sound or a shape), so no scorer can look at them: connect no scorers, or the pairwise scorer latent, which compare the latents themselves."
            )
        self.warning = None
        self.vae = vae or _taesd(self.format)
        self.decoder = "VAE" if vae is not None else "latent-to-RGB" if self.vae is None else "TAESD"
        if self.vae is None:
            self.rgb = _to_rgb(self.format)
            if self.rgb is None:
                raise ValueError(
                    "There is nothing to turn this model's latents into pictures with: connect a VAE to the vae input, or if they are no pictures connect no scorers."
                )
            self.warning = f"Candidates are scored on the host's coarse latent-to-RGB pictures: connect a VAE, or put {self.format.taesd_decoder_name or 'a small decoder'} into models/vae_approx."

    def __call__(self, x0):
        """x0 [B, C, ..., h, w] in the model's space -> float [B, H, W, 3] in 0..1 on the CPU, longest side at most 512.

        Of a video [B, C, T, h, w] with T > 1 its F key frames, each decoded alone: [B, F, H, W, 3], longest side at most 256.
        """
        shown, parts = key_frames(x0), []
        longest = LONGEST_SIDE if len(shown) == 1 else LONGEST_SIDE_OF_FRAMES
        for chunk in x0.split(CHUNK):
            comfy.model_management.throw_exception_if_processing_interrupted()
            frames = [chunk[:, :, t : t + 1] for t in shown] if x0.ndim == 5 else [chunk]
            parts.append(torch.stack([self._decode(frame, longest) for frame in frames], dim=1))
        return torch.cat(parts).squeeze(1)

    def work(self, shape):
        """Operations for the picture of one latent of this shape [1, C, ..., h, w], all its key frames."""
        if self.vae is None or len(shape) < 4:
            return 0
        height, width = self._decoded_size(shape)
        return decode_work(self.vae, height, width) * len(key_frames(torch.empty(shape, device="meta")))

    def in_words(self, shape):
        """What decodes such a latent, for the report."""
        return self.decoder if self.vae is None else "{} at {} x {} pixels".format(self.decoder, *reversed(self._decoded_size(shape)))

    def _decoded_size(self, shape):
        """(height, width) in pixels of such a latent's picture."""
        scale = getattr(self.vae, "spacial_compression_decode", lambda: 1)()
        return tuple(round(side * scale) for side in shape[-2:])

    def _decode(self, x0, longest):
        if self.vae is not None:
            return decode(self.vae, self.model.process_latent_out(x0.float()), longest)
        return pictures(fitted(torch.stack([as_tensor(self.rgb.decode_latent_to_preview(row[None])) for row in x0]), longest))


def decode(vae, latents, longest):
    """Latents [B, C, ..., h, w] in the host's space -> float [B, H, W, 3] in 0..1 on the CPU, of videos their first frames."""
    images = vae.decode(latents).float().cpu()
    return pictures(fitted(images[:, 0] if images.ndim == 5 else images, longest))


def key_frames(x0):
    """Which latent frames of x0 [B, C, T, h, w] are looked at: up to 4, evenly spaced from the first to the last; [0] of a still."""
    last = x0.shape[2] - 1 if x0.ndim == 5 else 0
    count = min(KEY_FRAMES, last + 1)
    return [round(i * last / max(1, count - 1)) for i in range(count)]


def _to_rgb(latent_format):
    """The host's previewer of these latents by its factors; None where it has none."""
    factors = latent_format.latent_rgb_factors
    if factors is None:
        return None
    return latent_preview.Latent2RGBPreviewer(
        factors, latent_format.latent_rgb_factors_bias, getattr(latent_format, "latent_rgb_factors_reshape", None)
    )


def paint(x0, latent_format):
    """A coarse picture [h, w, 3] uint8 of one x0 [1, ...] that needs no decoder, None where latents are no pictures."""
    rgb = _to_rgb(latent_format) if latent_format.latent_dimensions > 1 else None
    return rgb and torch.from_numpy(np.array(rgb.decode_latent_to_preview(x0).convert("RGB")))


def small(picture, longest):
    """[h, w, 3] in 0..1 as uint8 on the CPU, longest side at most that."""
    return (fitted(picture[None], longest)[0] * 255).round().to("cpu", torch.uint8)


def still(picture):
    """[h, w, 3] of a picture, or of the first frame of a video."""
    return picture if picture.ndim == 3 else picture[0]


def first_tensor(x0, shapes):
    """The picture part of latents [B, ...] that the host has packed from several tensors of these shapes."""
    if len(shapes) == 1:
        return x0
    shape = shapes[0][1:]
    return x0.flatten(1)[:, : shape.numel()].reshape(-1, *shape)


def as_tensor(picture):
    """[H, W, 3] in 0..1 of a picture of PIL's."""
    return torch.from_numpy(np.asarray(picture.convert("RGB")).astype(np.float32) / 255)


def _taesd(latent_format):
    """The host's small VAE for these latents, through its own loader; None if its files are not there."""
    decoder = latent_format.taesd_decoder_name
    if decoder is None:
        return None
    name, loader = decoder.removesuffix("_decoder"), host_nodes.VAELoader()
    files = folder_paths.get_filename_list("vae_approx")
    if any(f.startswith(f"{name}_encoder.") for f in files) and any(f.startswith(f"{name}_decoder.") for f in files):
        return loader.load_vae(name)[0]
    video = next((f for f in files if f.startswith(decoder)), None)
    return loader.load_vae(video)[0] if video and decoder in getattr(loader, "video_taes", ()) else None


def tile(x0, longest=128):
    """One latent [1, C, ..., H, W] that shows all rows of x0 [B, C, ..., h, w] as a grid.

    The host's previewers decode only the first row; a grid in latent space shows all of them through whichever
    previewer the user has chosen. Averaged down where its longer side would pass `longest` and twice a single latent.
    """
    if x0.ndim < 4 or x0.shape[0] == 1:
        return x0[:1]
    columns = math.ceil(math.sqrt(x0.shape[0]))
    rows = math.ceil(x0.shape[0] / columns)
    h, w = x0.shape[-2:]
    shrink = math.ceil(max(rows * h, columns * w) / max(longest, 2 * max(h, w)))
    if shrink > 1 and min(h, w) >= shrink:
        flat = F.avg_pool2d(x0.reshape(-1, 1, h, w), shrink)
        x0 = flat.reshape(*x0.shape[:-2], *flat.shape[-2:])
    blank = x0.new_zeros(x0.shape[1:])
    cells = [*x0, *[blank] * (rows * columns - len(x0))]
    return torch.cat([torch.cat(cells[r * columns : (r + 1) * columns], dim=-1) for r in range(rows)], dim=-2)[None]
