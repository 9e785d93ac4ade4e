"""A plan: after which step how many candidates go on. Pure arithmetic, made before the first step."""

import bisect
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """start: M candidates; end: K results; steps: of the schedule; looks: (step from 0, how many go on after it), in order, each a
    selection among those that are left."""

    start: int
    end: int
    steps: int
    looks: tuple[tuple[int, int], ...]

    def after(self, step):
        """How many go on after a step, at most; a sampler may skip steps or take more than it said."""
        return min((keep for at, keep in self.looks if at <= step), default=self.start)

    @property
    def rows(self):
        """Candidates times steps: what the model evaluates, but for samplers that call it more than once a step."""
        ends = [at + 1 for at, _ in self.looks] + [self.steps]
        return sum(
            alive * (end - begin) for alive, begin, end in zip([self.start, *(n for _, n in self.looks)], [0, *ends], ends, strict=False)
        )


def paper_plan(start, end, steps, pruning_ratio, start_percent=0.0, first=0, last=0):
    """n_{t+1} = max(K, ceil(n_t (1 - pruning_ratio))) after each step, nothing before `start_percent` of the steps is done; the
    last step always leaves K. The paper's notes call 1 - ratio rho; its code, as here, takes the removed share. 64 -> 4 by half
    over 20 steps evaluates 184 rows instead of 1280.

    first, last: steps (from 0) after which the first and the last of the scorers may be asked: nobody leaves before the first, and
    at least 2 K live on until the last has judged too.
    Raises ValueError for K > M, K < 1 or a share outside 0..1.
    """
    if end < 1:
        raise ValueError(f"output_group_size must be at least 1, not {end}.")
    if end > start:
        raise ValueError(
            f"output_group_size ({end}) is larger than the number of candidates ({start}): lower it or start with more candidates."
        )
    for name, share in (("pruning_ratio", pruning_ratio), ("start_percent", start_percent)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be between 0 and 1, not {share}.")
    # Half a millionth of a step: 0.3 of 20 steps is 6, not 5.999999.
    begin = max(first, math.ceil(start_percent * steps - 1e-6) - 1, 0)
    alive, looks = start, []
    for step in [*range(begin, steps - 1), steps - 1]:
        fewest = end if step >= min(last, steps - 1) else 2 * end
        keep = end if step == steps - 1 else max(fewest, math.ceil(alive * (1 - pruning_ratio) - 1e-9))
        if keep < alive:
            looks.append((step, keep))
            alive = keep
    return Plan(start, end, steps, tuple(looks))


def first_step(sigmas, model_sampling, progress):
    """The first step (from 0) of these noise levels [steps + 1] after which this share of the noise range is done; the last one if
    none is, since that is the best look that there will be."""
    reached = sigmas[1:] <= model_sampling.percent_to_sigma(progress) * (1 + 1e-5)
    return int(reached.nonzero()[0]) if reached.any() else len(sigmas) - 2


def noise_progress(model_sampling, sigma):
    """Share of the model's noise range that is done at this noise level, 0..1 in thousandths: the inverse of the host's
    percent_to_sigma. Image-to-image and split schedules start and end within the range."""
    below = lambda thousandths: model_sampling.percent_to_sigma(thousandths / 1000) <= sigma * (1 + 1e-5)
    return min(1000, bisect.bisect_left(range(1001), True, key=below)) / 1000
