"""Difference in how videos change from frame to frame."""

import itertools

import torch

from .pool import squared_distance


class Motion:
    """b_ij = mean over t of |d_it - d_jt|^2 / 2, in 0..8, d_it = f_i,t+1 - f_it: f_it the unit patches of video i in key frame t,
    laid end to end, |f_it| = 1. The distance from a video that stands still is the mean of 1 - cos from frame to frame.

    Raises ValueError when there is only one frame.
    """

    needs_images = over_frames = True

    def __init__(self, backbone):
        self.name, self.backbone = f"motion {backbone.model_type}", backbone

    def score(self, pool):
        if len(pool.frames) == 1:
            raise ValueError(
                "The motion scorer compares how videos move, but there is only one frame of each: choose another pairwise scorer, or sample a longer video."
            )
        # Rows are made as they are needed: of two frames at a time, not of all.
        rows = (self.backbone.patches(frame.features(self.backbone)) for frame in pool.frames)
        distances = [squared_distance(after - before) for before, after in itertools.pairwise(rows)]
        return torch.stack(distances).mean(0) / 2
