"""What scorers get to see, and what they have to be.

A scorer is any object with

    name           str, for the report
    needs_images   bool; False saves the decoding when no other scorer needs pictures
    score(pool)    unary: float tensor [M], higher is better; pairwise: float tensor [M, M], symmetric, zero diagonal, >= 0

and may have

    min_progress   share of the schedule, 0..1, before which its scores cannot be trusted and are left out
    patcher        the host's patcher of its weights, so that they are loaded with the sampling model where all fits
    over_frames    True for one that wants a video's frames together: without it a scorer that needs images is called once for
                   each of `pool.frames`, sees pictures only, and the mean of its answers counts

A scorer that works on a backbone's features asks for them with `pool.features(backbone)`, so that several scorers of
one backbone share a single forward pass.
"""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F


@dataclass
class Pool:
    """One round's candidates. images: float [M, H, W, 3] in 0..1 on the CPU, of videos [M, F, H, W, 3], F key frames in order, None
    if no scorer needs them; x0: predicted final latents [M, C, ...] in the model's space, None for pictures that come from
    elsewhere; progress: share of the schedule that is done, 0..1 (1 for finished pictures); sigma: noise level of the step;
    guidance: [M], see cfg_agreement.py, None unless a scorer with `needs_guidance` is in a sampler."""

    images: torch.Tensor | None
    x0: torch.Tensor | None = None
    progress: float = 1.0
    sigma: float = 0.0
    guidance: torch.Tensor | None = None
    _features: dict = field(default_factory=dict, init=False, repr=False)
    _frames: list = field(default_factory=list, init=False, repr=False)

    @property
    def frames(self):
        """Pools of pictures [M, H, W, 3]: one for each key frame of videos, of anything else the pool itself."""
        if self.images is None or self.images.ndim == 4:
            return [self]  # not kept: a pool that holds itself would live on, with its pictures, after its round
        if not self._frames:
            self._frames = [replace(self, images=frame) for frame in self.images.unbind(1)]
        return self._frames

    def features(self, backbone):
        """backbone(images), computed once per pool; of videos ask their `frames`."""
        if backbone not in self._features:
            self._features[backbone] = backbone(self.images)
        return self._features[backbone]


def cosine_distance(features):
    """1 - cos of every pair of rows of [M, D], float32 [M, M], in 0..2, zero diagonal. One matrix product."""
    flat = F.normalize(features.float().flatten(1), dim=1)
    return symmetric((1 - flat @ flat.T).clamp(min=0))


def squared_distance(rows):
    """|x_i - x_j|^2 of every pair of rows of [M, D], [M, M], zero diagonal. One matrix product."""
    squares = rows.square().sum(1)
    return symmetric((squares[:, None] + squares - 2 * (rows @ rows.T)).clamp(min=0))


def symmetric(distance):
    """[M, M] without what rounding leaves: as far from i to j as from j to i, and nothing from i to i."""
    return ((distance + distance.T) / 2).fill_diagonal_(0)


def squashed(images, side):
    """IMAGE tensors [M, H, W, 3] of any shape as [M, 3, side, side], averaged by area."""
    return F.interpolate(images[..., :3].movedim(-1, 1).float(), size=(side, side), mode="area")
