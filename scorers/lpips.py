"""LPIPS (Zhang et al., arXiv 1801.03924) with AlexNet: how different two pictures look."""

import torch
import torch.nn.functional as F

from . import loading, weights
from .pool import RowDistance, squared_distance
from .reliability import WHOLE
from .residency import Resident

FOLDER = "lpips-alex"
SIDE = 128
# Outputs of AlexNet's five rectified convolutions, by place in torchvision's `features`.
LAYERS = (1, 4, 7, 9, 11)
# The published shift and scale, for pictures in -1..1.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(RowDistance):
    """b_ij = sum over the layers l of the mean over places of sum_c w_lc (x_ilc - x_jlc)^2, about 0..1, x of unit length over
    the channels, of the picture squashed to 128 x 128.

    Weights: a folder with model.safetensors that holds torchvision's AlexNet (features.*) and LPIPS's own lin*.model.1.weight.
    """

    name = "lpips"
    reliability = WHOLE

    def __init__(self):
        folder, net = weights.find("lpips", FOLDER), _Alex()
        found = loading.tensors(folder / "model.safetensors")
        loading.fill(net, {name: value for name, value in found.items() if name in net.state_dict()}, folder)
        self.resident = Resident(net)
        self.patcher = self.resident.patcher

    def rows(self, pool):
        x = F.interpolate(pool.images.movedim(-1, 1), size=(SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        return self.resident.over(x, lambda net, chunk: net(chunk))

    def between(self, rows):
        return squared_distance(rows)


class _Alex(torch.nn.Module):
    """Maps [M, 3, H, W] in 0..1 to [M, D] such that LPIPS is the squared distance of two rows: all its weights are positive."""

    def __init__(self):
        from torchvision.models import alexnet

        super().__init__()
        self.features = alexnet(weights=None).features[: LAYERS[-1] + 1]
        widths = [self.features[i - 1].out_channels for i in LAYERS]
        for i, width in enumerate(widths):
            self.register_module(
                f"lin{i}", torch.nn.ModuleDict({"model": torch.nn.ModuleDict({"1": torch.nn.Conv2d(width, 1, 1, bias=False)})})
            )

    def forward(self, x):
        shift, scale = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (SHIFT, SCALE))
        x, parts = ((2 * x - 1 - shift) / scale).to(self.features[0].weight.dtype), []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in LAYERS:
                weight = getattr(self, f"lin{LAYERS.index(i)}").model["1"].weight[0].clamp(min=0)
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
                parts.append((unit * (weight / unit[0, 0].numel()).sqrt()).flatten(1))
        return torch.cat(parts, 1).float()
