"""DINOv2 (Oquab et al., arXiv 2304.07193): difference of two pictures, by place or as a whole."""

import torch
import torch.nn.functional as F

from .backbone import Backbone
from .pool import cosine_distance


class Dinov2(Backbone):
    """Features: tokens after the final layer norm [M, 1 + N, C], class token first."""

    model_type = "dinov2"

    def load(self, transformers):
        return transformers.Dinov2Model.from_pretrained(self.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)

    def features(self, net, pixels):
        return net(pixels).last_hidden_state.float()


class Dinov2Patches:
    """b_ij = 1 - mean over the N places of cos(patch of i, patch of j), in 0..2: the paper's default pairwise term.

    One matrix product of the normalised patches laid end to end, not the M x M x N x C broadcast.
    """

    needs_images = True

    def __init__(self, backbone):
        self.name, self.backbone = "dinov2 patches", backbone

    def score(self, pool):
        return cosine_distance(F.normalize(pool.features(self.backbone)[:, 1:], dim=-1))


class Dinov2Class:
    """b_ij = 1 - cos of the class tokens, in 0..2: what is in the picture, wherever it is."""

    needs_images = True

    def __init__(self, backbone):
        self.name, self.backbone = "dinov2 class token", backbone

    def score(self, pool):
        return cosine_distance(pool.features(self.backbone)[:, 0])
