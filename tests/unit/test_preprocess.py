"""What of a picture a model gets to see: letterboxed for hpsv2, or the model's own centre crop, against PIL."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from group_inference.scorers.clip import Clip
from group_inference.scorers.dinov2 import Dinov2
from group_inference.scorers.open_clip import OpenClip
from PIL import Image


def pictures(count, seed=0, height=40, width=28):
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(height, width), mode="bilinear").movedim(1, -1)


def normalised(x, backbone):
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (backbone.mean, backbone.std))
    return (x - mean) / std


def pil_resized(image, height, width):
    """[H, W, 3] by PIL's antialiased bicubic filter, channel by channel in float."""
    channels = [Image.fromarray(image[..., c].numpy()).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
    return torch.from_numpy(np.stack([np.asarray(c) for c in channels])).double().clamp(0, 1)


@pytest.mark.parametrize(("height", "width", "box"), [(40, 28, (0, 5, 32, 22)), (36, 64, (7, 0, 18, 32)), (8, 2048, (15, 0, 1, 32))])
def test_hpsv2_sees_letterboxed_pictures(installed, height, width, box):
    """As its own transform: the longer side at the model's size, black bars, normalised afterwards."""
    backbone, images = OpenClip.shared("tiny-hps"), pictures(2, height=height, width=width)
    top, left, inner_height, inner_width = box
    expected = torch.zeros(2, 3, 32, 32, dtype=torch.float64)
    for i, image in enumerate(images):
        expected[i, :, top : top + inner_height, left : left + inner_width] = pil_resized(image, inner_height, inner_width)
    assert torch.allclose(backbone.pixels(images, torch.float64), normalised(expected, backbone), atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(256, 512), (512, 256), (300, 300)])
@pytest.mark.parametrize(("kind", "name", "edge", "size"), [(Clip, "tiny-clip", 32, 32), (Dinov2, "tiny-dinov2", 64, 56)])
def test_crop_is_the_models_own_centre_crop(installed, kind, name, edge, size, height, width):
    """Its processor scales the shorter side and then cuts, which differs at the border of the cut, by part of a pixel at most."""
    backbone, images = kind.shared(name, "crop"), pictures(2, height=height, width=width)
    shape = [round(side * edge / min(height, width)) for side in (height, width)]
    top, left = ((side - size) // 2 for side in shape)
    whole = torch.stack([pil_resized(image, *shape) for image in images])
    expected = normalised(whole[..., top : top + size, left : left + size], backbone)
    found = backbone.pixels(images, torch.float64)
    assert found.shape == expected.shape and (found - expected).abs().mean() < 0.02 * expected.std()
    assert backbone.resident is kind.shared(name).resident


def test_a_crop_of_an_extreme_shape_takes_little_memory(installed):
    pixels = Clip.shared("tiny-clip", "crop").pixels(pictures(1, height=2, width=100_000), torch.float32)
    assert pixels.shape == (1, 3, 32, 32) and pixels.isfinite().all()
