"""What scorers get to see, and what they have to be.

A scorer is any object with

    name           str, for the report
    needs_images   bool; False saves the decoding when no other scorer needs pictures
    score(pool)    unary: float tensor [M], higher is better; pairwise: float tensor [M, M], symmetric, zero diagonal, >= 0

and may have

    reliability    [(share of the noise that is gone, what an early score knows of the final one, both 0..1), ...], see reliability.py
    patcher        the host's patcher of its weights, so that they are loaded with the sampling model where all fits
    over_frames    True for one that wants a video's frames together: without it a scorer that needs images is called once for
                   each of `pool.frames`, sees pictures only, and the mean of its answers counts

A pairwise scorer that says something of each candidate alone and compares that should be a RowDistance, or have its two methods: then
pictures may come a few at a time, and what was said of some of them be kept. Unary scores are of one candidate, whoever else is there.

A scorer that works on a backbone's features asks for them with `pool.features(backbone)`, so that several scorers of
one backbone share a single forward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement

import torch
import torch.nn.functional as F

RESOLUTION = 64 * torch.finfo(torch.float32).eps
# Rows of a matrix that are worked on at a time: beside one of many thousands there is no room for a second.
BLOCK = 1024


@dataclass
class Pool:
    """One round's candidates. images: [M, H, W, 3], of videos [M, F, H, W, 3], F key frames in order, None if no scorer needs them;
    scorers get what `pictures` makes of them: float32 in 0..1 on the CPU; x0: predicted final latents [M, C, ...] in the model's
    space, None for pictures that come from elsewhere; progress: share of the noise that is gone, 0..1 (1 for finished pictures);
    sigma: noise level of the step; guidance: [M], see cfg_agreement.py, None unless a scorer with `needs_guidance` is in a sampler;
    text: of the prompt, for scorers without a text of their own, "" where none was found; texts: [M], where each candidate has a
    prompt of its own; given: how many of the last rows are no candidates but what these shall differ from, see different_from.py;
    to_model: brings a LATENT of the host's into the space of x0, None where it is there already; told: what scorers have said of parts of
    it, see Told."""

    images: torch.Tensor | None
    x0: torch.Tensor | None = None
    progress: float = 1.0
    sigma: float = 0.0
    guidance: torch.Tensor | None = None
    text: str = ""
    texts: list[str] | None = None
    given: int = 0
    to_model: Callable | None = None
    told: "Told | None" = None
    _features: dict = field(default_factory=dict, init=False, repr=False)
    _frames: list = field(default_factory=list, init=False, repr=False)

    def __post_init__(self):
        if self.images is not None:
            self.images = pictures(self.images)

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


@dataclass
class Told:
    """What scorers say of each candidate alone, so that it can be said of a few at a time, wherever these are. answers: by a scorer's id,
    for each picture of a candidate that it sees, the scores [M], or the rows [M, D] of a RowDistance; size: (height, width) of the
    pictures, None without."""

    answers: dict
    size: tuple[int, int] | None


class RowDistance:
    """A pairwise scorer in two parts: rows(pool), float32 [M, D], of which each row depends on its own candidate alone, and
    between(rows), [M, M], the distances."""

    needs_images = True

    def score(self, pool):
        return self.between(self.rows(pool))


def pictures(images):
    """IMAGE tensors [..., H, W, C] of any kind as float32 [..., H, W, 3] in 0..1 on the CPU: one channel thrice, of four the first
    three, pixels outside cut off, uint8 as 0..255. NaN stays NaN. Raises ValueError for what are no pictures."""
    if not torch.is_tensor(images) or images.ndim not in (4, 5):
        found = f"a tensor of the shape {tuple(images.shape)}" if torch.is_tensor(images) else f"a {type(images).__name__}"
        raise ValueError(f"Pictures are tensors of the shape (count, height, width, 3), and here is {found}: connect an IMAGE.")
    if images.numel() == 0:
        raise ValueError(f"The image has no pixels (its shape is {tuple(images.shape)}): connect at least one picture.")
    if images.dtype == torch.uint8:
        images = images / 255
    if not images.is_floating_point():
        raise ValueError(f"The pixels are of the type {images.dtype}, whose range is unknown: connect an IMAGE of floats from 0 to 1.")
    images = images[..., :3] if images.shape[-1] >= 3 else images[..., :1].expand(*images.shape[:-1], 3)
    images = images.to("cpu", torch.float32)
    low, high = images.aminmax()
    return images if low >= 0 and high <= 1 else images.clamp(0, 1)


def finite_pictures(images, name):
    """IMAGE tensors that were given beside the candidates, as [M, H, W, 3] like `pictures`, frames of videos too. Raises ValueError
    for what are no pictures, and for NaN."""
    images = pictures(images).flatten(0, -4)
    if not images.isfinite().all():
        raise ValueError(f"The {name} holds NaN pixels: decode it again at higher precision, or connect another picture.")
    return images


def cosine_distance(features):
    """1 - cos of every pair of rows of [M, D], float32 [M, M], in 0..2, zero diagonal. A row of zeros is 0 from its like, 1/2 from
    all others."""
    return squared_distance(F.normalize(features.float().flatten(1), dim=1)).div_(2)


def squared_distance(rows):
    """|x_i - x_j|^2 of every pair of rows of [M, D], [M, M], zero diagonal. One matrix product. What float32 cannot tell apart is 0:
    rows that differ by RESOLUTION of their length, squares by RESOLUTION of those of the rows without their mean."""
    noise = RESOLUTION**2 * rows.square().sum(1)
    # What all rows share would only cost precision. A broken row must not reach the others through the mean.
    finite = rows.isfinite().all(1)
    rows = rows - (rows if finite.all() else rows[finite]).mean(0)
    squares = rows.square().sum(1)
    distance, noise = rows @ rows.T, noise + RESOLUTION * squares
    for at in _blocks(distance):
        part = squares[at, None] + squares - 2 * distance[at]
        distance[at] = part.where(~(part < noise[at, None] + noise), 0)
    return symmetric(distance)


def symmetric(distance):
    """[M, M], in place, without what rounding leaves: as far from i to j as from j to i, and nothing from i to i. NaN stays there
    too: it tells who is broken from who is only compared with it."""
    for a, b in combinations_with_replacement(_blocks(distance), 2):
        mean = (distance[a, b] + distance[b, a].T) / 2
        distance[a, b], distance[b, a] = mean, mean.T
    own = distance.diagonal()
    own.masked_fill_(own.isfinite(), 0)
    return distance


def _blocks(matrix):
    return [slice(start, start + BLOCK) for start in range(0, len(matrix), BLOCK)]


def fitted(images, longest):
    """IMAGE tensors [M, H, W, 3] whose longer side is at most `longest`, of the same shape."""
    shrink = longest / max(images.shape[1:3])
    return images if shrink >= 1 else resized(images, [max(1, round(side * shrink)) for side in images.shape[1:3]])


def resized(images, size):
    """IMAGE tensors [M, H, W, 3] at another size (height, width), bilinear with antialiasing."""
    return F.interpolate(images.movedim(-1, 1), size=size, mode="bilinear", antialias=True).movedim(1, -1)


def squashed(images, side):
    """IMAGE tensors [M, H, W, 3] of any shape as [M, 3, side, side], averaged by area."""
    return F.interpolate(images.movedim(-1, 1), size=(side, side), mode="area")
