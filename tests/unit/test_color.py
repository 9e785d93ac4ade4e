"""Colour histograms against a pixel-by-pixel computation in float64, and what nobody can see must not count."""

import colorsys
import itertools
import math

import numpy as np
import pytest
import torch
from group_inference.scorers import color
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.pool import Pool

SPACES = ["rgb", "lab", "hsv"]


def pictures(count, side=64, seed=0):
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear").movedim(1, -1)


def flat(*colours):
    return torch.tensor(colours, dtype=torch.float32)[:, None, None].expand(-1, 2, 2, 3)


def lab(r, g, b):
    """CIE L*a*b* of sRGB under D65."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (r, g, b)]
    xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]) @ linear
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 4 / 29 for v in xyz / [0.95047, 1, 1.08883])
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def weights(away, width):
    """Of one pixel: a Gaussian of its distances from the centres of the bins, normalised."""
    powers = [math.exp(-(d**2) / (2 * width**2)) for d in away]
    return np.array(powers) / sum(powers)


def seen_by_bins(space, pixel):
    """[8, 8, 8], the sum is 1."""
    if space == "hsv":
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        turns = [abs(h - k / 8) for k in range(8)]
        hue = [2 * math.pi * min(t, 1 - t) * s * v for t in turns]
        parts = (
            weights(hue, 0.4),
            weights([(s - (k + 0.5) / 8) * v for k in range(8)], 0.14),
            weights([v - (k + 0.5) / 8 for k in range(8)], 0.14),
        )
    else:
        values = lab(*pixel) if space == "lab" else pixel
        ranges = ((0, 100, 15), (-86.2, 98.3, 25), (-107.9, 94.5, 25)) if space == "lab" else ((0, 1, 0.2),) * 3
        parts = [
            weights([value - low - (high - low) * (k + 0.5) / 8 for k in range(8)], width)
            for value, (low, high, width) in zip(values, ranges, strict=True)
        ]
    return np.multiply.outer(np.multiply.outer(parts[0], parts[1]), parts[2])


@pytest.mark.parametrize("space", SPACES)
def test_distances_by_pixel(space):
    images = pictures(4)
    images[3] = images[2].flip(0) * 0.9
    histograms = [np.mean([seen_by_bins(space, pixel) for pixel in image.reshape(-1, 3)], axis=0) for image in images.double().numpy()]
    expected = [[math.sqrt(max(0, 1 - np.sqrt(a * b).sum())) for b in histograms] for a in histograms]
    found = ColorHistogram(space).score(Pool(images)).numpy()
    assert np.allclose(found, expected, atol=1e-3) and found[0, 1] > 0.1


@pytest.mark.parametrize("space", SPACES)
def test_what_is_made_brighter_by_four_levels_stays_near(space, monkeypatch):
    """Every colour of a grid as a picture of its own. Of mixtures no more can come: the product of square roots is concave."""
    levels = torch.cat([torch.linspace(0, 1, 9), torch.tensor([1, 3, 252, 254]) / 255]).tolist()
    scorer, found = ColorHistogram(space), []
    for images, side in ((pictures(8), color.WORKING_SIZE), (flat(*itertools.product(levels, repeat=3)), 1)):
        monkeypatch.setattr(color, "WORKING_SIZE", side)
        before, after = (scorer.histograms(x).sqrt() for x in (images, (images + 4 / 255).clamp(0, 1)))
        found.append(((before - after).square().sum(1) / 2).sqrt())
    assert float(torch.cat(found).max()) <= 0.05


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("a", "b"), [
    ((0.499,) * 3, (0.501,) * 3), ((0.4375,) * 3, (0.4395,) * 3),  # on both sides of an edge, and at a centre, of hard bins
    ((1, 0, 0.01), (1, 0.01, 0)),  # red from both ends of the circle of hues
    ((0.5, 0.5, 0.501), (0.501, 0.5, 0.5)), ((0.004, 0, 0), (0, 0, 0.004)),  # hues of greys, saturations of blacks
])  # fmt: skip
def test_colours_that_nobody_can_tell_apart_are_near(space, a, b):
    assert float(ColorHistogram(space).score(Pool(flat(a, b)))[0, 1]) < 0.025


@pytest.mark.parametrize("space", SPACES)
def test_colours_that_everybody_can_tell_apart_are_far(space):
    distances = ColorHistogram(space).score(Pool(flat((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0))))
    assert float(distances[np.triu_indices(5, 1)].min()) > 0.9
