"""Difference in composition, whatever the colours; no weights."""

import torch
import torch.nn.functional as F

from .pool import RowDistance, cosine_distance, squashed, symmetric
from .reliability import COLORS, PLACES

SIZE = 64
CELLS = 32
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5


def luminance(images, side):
    """[M, 1, side, side] in 0..1, squashed."""
    from kornia.color import rgb_to_grayscale

    return rgb_to_grayscale(squashed(images, side))


class Edges(RowDistance):
    """b_ij = 1 - cos of where the edges are, in 0..1: the Sobel magnitude of the luminance at 64 x 64, averaged to 32 x 32."""

    name = "structure edges"
    reliability = COLORS

    def rows(self, pool):
        from kornia.filters import sobel

        return F.adaptive_avg_pool2d(sobel(luminance(pool.images, SIZE)), CELLS).flatten(1)

    def between(self, rows):
        return cosine_distance(rows)


class Ssim:
    """b_ij = (1 - SSIM) / 2, in 0..1, of the luminance at 32 x 32 (Wang et al., IEEE TIP 13(4), 2004; Gaussian window of 11
    pixels, sigma 1.5, constants for a range of 1). One candidate against all others at a time: memory grows with M only."""

    name = "structure ssim"
    needs_images = True
    reliability = PLACES

    def score(self, pool):
        from kornia.filters import gaussian_blur2d

        blur = lambda x: gaussian_blur2d(x, (SSIM_WINDOW, SSIM_WINDOW), (SSIM_SIGMA, SSIM_SIGMA))
        x = luminance(pool.images, CELLS)
        mean = blur(x)
        variance = blur(x * x) - mean * mean
        rows = []
        for one, its_mean, its_variance in zip(x, mean, variance, strict=True):
            both, covariance = its_mean * mean, blur(one * x) - its_mean * mean
            top = (2 * both + 0.01**2) * (2 * covariance + 0.03**2)
            bottom = (its_mean**2 + mean**2 + 0.01**2) * (its_variance + variance + 0.03**2)
            rows.append(((1 - (top / bottom).mean((1, 2, 3))) / 2).clamp(min=0))
        return symmetric(torch.stack(rows))
