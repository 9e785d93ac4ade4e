"""How many candidates survive each step."""

import bisect
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """n_{t+1} = max(K, ceil(n_t (1 - pruning_ratio))) after each step, nothing before `start_percent` of the steps is done.

    start: M. end: K. pruning_ratio: share removed per step, 0..1. The paper's notes call 1 - ratio rho; its code, as here,
    takes the removed share. 64 -> 4 by half over 20 steps evaluates 184 model rows instead of 1280.
    Raises ValueError for K > M, K < 1 or a share outside 0..1.
    """

    start: int
    end: int
    pruning_ratio: float
    start_percent: float = 0.0

    def __post_init__(self):
        if self.end < 1:
            raise ValueError(f"output_group_size must be at least 1, not {self.end}.")
        if self.end > self.start:
            raise ValueError(
                f"output_group_size ({self.end}) is larger than the number of candidates ({self.start}): lower it or start with more candidates."
            )
        for name in ("pruning_ratio", "start_percent"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}.")

    def survivors(self, alive, step, steps):
        """How many of `alive` go on after `step` (from 0) of `steps`; the last step always leaves K."""
        if step >= steps - 1:
            return min(alive, self.end)
        # Half a millionth of a step: 0.3 of 20 steps is 6, not 5.999999.
        if step + 1 < self.start_percent * steps - 1e-6:
            return alive
        return min(alive, max(self.end, math.ceil(alive * (1 - self.pruning_ratio) - 1e-9)))


def noise_progress(model_sampling, sigma):
    """Share of the model's noise range that is done at this noise level, 0..1 in thousandths: the inverse of the host's
    percent_to_sigma. Image-to-image and split schedules start and end within the range."""
    below = lambda thousandths: model_sampling.percent_to_sigma(thousandths / 1000) <= sigma * (1 + 1e-5)
    return min(1000, bisect.bisect_left(range(1001), True, key=below)) / 1000
