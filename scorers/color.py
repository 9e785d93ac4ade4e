"""Difference in colour, whatever the layout; no weights."""

import math

import torch

from .pool import squared_distance, squashed

BINS = 8
WORKING_SIZE = 64
# Of each channel of kornia's colour spaces: the ends of its range, and the width (standard deviation) of the window through which
# bins see it. Hue is in radians. So wide that no picture is further than 0.05 from itself made brighter by 4/255.
CHANNELS = {
    "rgb": ((0, 1, 0.2), (0, 1, 0.2), (0, 1, 0.2)),
    "lab": ((0, 100, 15), (-86.2, 98.3, 25), (-107.9, 94.5, 25)),
    "hsv": ((0, 2 * math.pi, 0.4), (0, 1, 0.14), (0, 1, 0.14)),
}


class ColorHistogram:
    """Hellinger distance of soft joint colour histograms, b_ij = sqrt(1 - sum_k sqrt(h_ik h_jk)), in 0..1.

    8 x 8 x 8 bins over `space` ("rgb", "lab" or "hsv"), of the picture squashed to 64 x 64. A pixel belongs to every bin with a
    weight that falls with the distance of its colour from the bin's centre as a Gaussian: an edge between bins would put colours
    that nobody can tell apart at distance 1, and linear weights, whose square root starts steeply, at 0.15. Bins of hue are
    centred on red and go round. Saturation says less the darker, hue less the greyer a pixel is: their windows are 1 / value and
    1 / chroma times as wide.
    """

    needs_images = True

    def __init__(self, space):
        self.name, self.space = f"color {space}", space

    def score(self, pool):
        return (squared_distance(self.histograms(pool.images).sqrt()) / 2).sqrt()

    def histograms(self, images):
        """[M, 512], rows sum to 1."""
        from kornia.color import rgb_to_hsv, rgb_to_lab

        x = {"rgb": lambda v: v, "lab": rgb_to_lab, "hsv": rgb_to_hsv}[self.space](squashed(images, WORKING_SIZE))
        certainty = [1, 1, 1] if self.space != "hsv" else [x[:, 1] * x[:, 2], x[:, 2], 1]
        a, b, c = (self._weights(x[:, i].flatten(1), i, certainty[i]) for i in range(3))
        return torch.stack([((p[:, :, None] * q[:, None]).flatten(1).T @ r).flatten() / len(p) for p, q, r in zip(a, b, c, strict=True)])

    def _weights(self, values, channel, certainty):
        """[M, P, 8], rows sum to 1: how much each of the P pixels belongs to each bin of a channel."""
        low, high, width = CHANNELS[self.space][channel]
        size, circular = (high - low) / BINS, self.space == "hsv" and channel == 0
        away = values[..., None] - (low + size * (torch.arange(BINS) + (0 if circular else 0.5)))
        away = (away + math.pi).remainder(2 * math.pi) - math.pi if circular else away
        certainty = certainty.flatten(1)[..., None] if torch.is_tensor(certainty) else certainty
        return (-((away * certainty / width) ** 2) / 2).softmax(-1)
