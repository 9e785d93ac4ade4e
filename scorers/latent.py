"""Difference of the predicted latents themselves: no weights, no decoding."""

import torch.nn.functional as F

from .pool import cosine_distance
from .reliability import PLACES

GRID = 8


class LatentDistance:
    """b_ij = 1 - cos of x0 averaged to at most 8 x 8 places and standardised per channel over the candidates, in 0..2."""

    name = "latent"
    needs_images = False
    reliability = PLACES

    def score(self, pool):
        if pool.x0 is None:
            raise ValueError(
                "The latent scorer compares latents: connect the LATENT that belongs to the images, or choose another pairwise scorer."
            )
        x0 = pool.x0.float().cpu()
        # Of a video all frames count as channels; of anything without a picture plane every number does.
        x0 = x0.flatten(1, -3) if x0.ndim > 3 else x0.flatten(1)[:, :, None, None]
        small = F.adaptive_avg_pool2d(x0, [min(GRID, side) for side in x0.shape[-2:]])
        candidates = small[: len(small) - pool.given]
        over_pool, whole = (0, 2, 3), candidates[candidates.isfinite().all(3).all(2).all(1)]
        deviation = whole.std(over_pool, keepdim=True) if whole.numel() > whole.shape[1] else 1.0
        return cosine_distance((small - whole.mean(over_pool, keepdim=True)) / (deviation + 1e-6))
