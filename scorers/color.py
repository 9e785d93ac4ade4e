"""Difference in colour, whatever the layout; no weights."""

import math

import torch

from .pool import RowDistance, squared_distance, squashed
from .reliability import COLORS

BINS = 8
WORKING_SIZE = 64
# Of each channel of kornia's colour spaces: the ends of its range, and the width (standard deviation) of the window through which
# bins see it. Hue is in radians. So wide that no picture is further than 0.05 from itself made brighter by 4/255.
CHANNELS = {
    "rgb": ((0, 1, 0.2), (0, 1, 0.2), (0, 1, 0.2)),
    "lab": ((0, 100, 15), (-86.2, 98.3, 25), (-107.9, 94.5, 25)),
    "hsv": ((0, 2 * math.pi, 0.4), (0, 1, 0.14), (0, 1, 0.14)),
}


class ColorHistogram(RowDistance):
    """Hellinger distance of soft joint colour histograms, b_ij = sqrt(1 - sum_k sqrt(h_ik h_jk)), in 0..1.

    8 x 8 x 8 bins over `space` ("rgb", "lab" or "hsv"), of the picture squashed to 64 x 64. A pixel belongs to every bin with a
    weight that falls with the distance of its colour from the bin's centre as a Gaussian: an edge between bins would put colours
    that nobody can tell apart at distance 1, and linear weights, whose square root starts steeply, at 0.15. Bins of hue are
    centred on red and go round. Saturation says less the darker, hue less the greyer a pixel is: their windows are 1 / value and
    1 / chroma times as wide.
    """

    reliability = COLORS

    def __init__(self, space):
        self.name, self.space = f"color {space}", space

    def rows(self, pool):
        return self.histograms(pool.images).sqrt()

    def between(self, rows):
        return squared_distance(rows).div_(2).sqrt_()

    def histograms(self, images):
        """[M, 512], rows sum to 1."""
        from kornia.color import rgb_to_hsv, rgb_to_lab

        x = {"rgb": lambda v: v, "lab": rgb_to_lab, "hsv": rgb_to_hsv}[self.space](squashed(images, WORKING_SIZE))
        return torch.stack([self._histogram(*picture.flatten(1)) for picture in x])

    def _histogram(self, a, b, c):
        """[512] of one picture's channels [P]."""
        certainty = (b * c, c, None) if self.space == "hsv" else (None,) * 3
        p, q, r = (self._weights(*one) for one in zip((a, b, c), CHANNELS[self.space], certainty, strict=True))
        return ((p[:, :, None] * q[:, None]).flatten(1).T @ r).flatten() / len(p)

    def _weights(self, values, channel, certainty):
        """[P, 8], rows sum to 1: how much each pixel belongs to each bin of a channel."""
        low, high, width = channel
        circular = channel is CHANNELS["hsv"][0]
        centres = low + (high - low) / BINS * (torch.arange(BINS) + (0 if circular else 0.5))
        away = values[:, None] - centres
        if circular:
            away = (away + math.pi).remainder(2 * math.pi) - math.pi
        if certainty is not None:
            away = away * certainty[:, None]
        return (-((away / width) ** 2) / 2).softmax(1)
