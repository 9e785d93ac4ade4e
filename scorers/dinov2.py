"""DINOv2 (Oquab et al., arXiv 2304.07193) and DINOv3 (Simeoni et al., arXiv 2508.10104): what is where in a picture."""

import torch.nn.functional as F

from . import loading
from .backbone import Backbone
from .pool import RowDistance, squared_distance
from .reliability import PLACES


class Dinov2(Backbone):
    """Features: tokens after the final layer norm [M, 1 + N, C], class token first."""

    model_type, class_name = "dinov2", "Dinov2Model"
    reference_size = (256, 256)
    special_tokens = 1

    def load(self, folder):
        return loading.pretrained(self.class_name, folder)

    def features(self, net, pixels):
        return net(pixels).last_hidden_state.float()

    def embedding(self, features):
        return features[:, 0]

    def patches(self, features):
        """[M, N * C] of unit length: the N normalised patches laid end to end, over sqrt(N), so that a product of two rows is the
        mean of the N cosines."""
        unit = F.normalize(features[:, self.special_tokens :], dim=-1)
        return unit.flatten(1) / unit.shape[1] ** 0.5


class Dinov3(Dinov2):
    """Has register tokens, which belong to no place, between the class token and the patches."""

    model_type, class_name = "dinov3_vit", "DINOv3ViTModel"

    def load(self, folder):
        net = super().load(folder)
        self.special_tokens = 1 + net.config.num_register_tokens
        return net


class PatchDistance(RowDistance):
    """b_ij = 1 - mean over the N places of cos(patch of i, patch of j), in 0..2: the paper's default pairwise term.

    One matrix product of the normalised patches laid end to end, not the M x M x N x C broadcast.
    """

    reliability = PLACES

    def __init__(self, backbone):
        self.name, self.backbone = f"{backbone.model_type} patches", backbone

    def rows(self, pool):
        return self.backbone.patches(pool.features(self.backbone))

    def between(self, rows):
        return squared_distance(rows).div_(2)
