"""Scores from what a backbone says of a picture as a whole: distances, and likeness to a reference picture."""

import torch
import torch.nn.functional as F

from .pool import Pool, RowDistance, cosine_distance, finite_pictures
from .reliability import WHOLE


class EmbeddingDistance(RowDistance):
    """b_ij = 1 - cos of the embeddings, in 0..2: what is in the picture, wherever it is."""

    reliability = WHOLE

    def __init__(self, backbone):
        self.name, self.backbone = backbone.model_type, backbone

    def rows(self, pool):
        return self.backbone.embedding(pool.features(self.backbone)).float()

    def between(self, rows):
        return cosine_distance(rows)


class Reference:
    """u_i = cos(embedding of the reference, embedding of i), or with `by_place` the mean of the patches' cosines, in -1..1:
    the paper's unary term for image prompting. image: [1, H, W, 3] in 0..1; more pictures count as their mean likeness.

    Raises ValueError for what is no picture, and for one with NaN.
    """

    needs_images = True
    reliability = WHOLE

    def __init__(self, backbone, image, by_place=False):
        image = finite_pictures(image, "reference image")
        self.name, self.backbone, self.image, self.by_place = f"reference {backbone.model_type}", backbone, image, by_place
        self._features = None

    def score(self, pool):
        if self._features is None:
            self._features = self._flat(Pool(self.image)).mean(0)
        return self._flat(pool) @ self._features

    def _flat(self, pool):
        """[M, D], such that products are the wanted cosines."""
        features = pool.features(self.backbone)
        return self.backbone.patches(features) if self.by_place else F.normalize(self.backbone.embedding(features).float(), dim=1)


class HostVision:
    """A backbone made of the host's CLIP_VISION, for models that the user has for other nodes already.

    Raises ValueError for models without one embedding per picture, as the host loads SigLIP, and for what is no CLIP_VISION.
    """

    model_type = "clip_vision"

    def __init__(self, clip_vision):
        if not callable(getattr(clip_vision, "encode_image", None)):
            raise ValueError(
                f"The input clip_vision got a {type(clip_vision).__name__}, which embeds no pictures: connect a CLIP_VISION, from CLIPVisionLoader for example."
            )
        self.clip_vision, self.patcher = clip_vision, getattr(clip_vision, "patcher", None)
        self(torch.zeros(1, 64, 64, 3))

    def __call__(self, images):
        found = torch.cat([self.clip_vision.encode_image(chunk)["image_embeds"].float().cpu() for chunk in images.split(16)])
        if found.ndim != 2:
            raise ValueError(
                f"This CLIP_VISION gives {tuple(found.shape[1:])} numbers per picture instead of one embedding, since ComfyUI leaves out its pooling: connect a CLIP vision model (ViT-L, ViT-H, ViT-g), or choose the scorer's own model."
            )
        return found

    def embedding(self, features):
        return features
