"""Difference in colour, whatever the layout; no weights."""

import math

import torch

from .pool import squashed, symmetric

BINS = 8
WORKING_SIZE = 128
# Ranges of kornia's colour spaces; hue is in radians.
RANGES = {
    "rgb": ((0, 1), (0, 1), (0, 1)),
    "lab": ((0, 100), (-86.2, 98.3), (-107.9, 94.5)),
    "hsv": ((0, 2 * math.pi), (0, 1), (0, 1)),
}


class ColorHistogram:
    """Hellinger distance of joint colour histograms, b_ij = sqrt(1 - sum_k sqrt(h_ik h_jk)), in 0..1.

    8 x 8 x 8 bins over `space` ("rgb", "lab" or "hsv"), of the picture squashed to 128 x 128.
    """

    needs_images = True

    def __init__(self, space):
        self.name, self.space = f"color {space}", space

    def score(self, pool):
        roots = self.histograms(pool.images).sqrt()
        return symmetric((1 - roots @ roots.T).clamp(min=0).sqrt())

    def histograms(self, images):
        """[M, 512], rows sum to 1."""
        from kornia.color import rgb_to_hsv, rgb_to_lab

        x = {"rgb": lambda v: v, "lab": rgb_to_lab, "hsv": rgb_to_hsv}[self.space](squashed(images, WORKING_SIZE))
        low, high = (torch.tensor(v).view(3, 1, 1) for v in zip(*RANGES[self.space], strict=True))
        level = ((x - low) / (high - low) * BINS).long().clamp(0, BINS - 1)
        joint = ((level[:, 0] * BINS + level[:, 1]) * BINS + level[:, 2]).flatten(1)
        counts = torch.zeros(len(joint), BINS**3).scatter_add_(1, joint, torch.ones(joint.shape))
        return counts / joint.shape[1]
