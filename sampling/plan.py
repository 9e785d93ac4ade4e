"""A plan: after which step how many candidates go on, and by what. Pure arithmetic, made before the first step."""

import bisect
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, pairwise
from typing import NamedTuple

# A selection of more takes longer than the model would.
MOST_CANDIDATES = 1024
# Of a budget: how many times the group may be left after a look, and how many looks there may be.
KEEPS, MOST_LOOKS = (2, 3, 4, 6, 8), 3


class Look(NamedTuple):
    """A selection after a step (from 0), which `keep` survive. scored: by the scorers; else by the distance of the predicted latents
    alone, for which nothing is decoded."""

    step: int
    keep: int
    scored: bool = True


@dataclass(frozen=True)
class Plan:
    """start: M candidates; end: K results; steps: of the schedule; looks: in order; price: of a scored candidate, in model rows; by:
    what the scorers look at, in words."""

    start: int
    end: int
    steps: int
    looks: tuple[Look, ...]
    price: float = 0.0
    by: str = "scores"

    def after(self, step):
        """How many go on after a step, at most; a sampler may skip steps or take more than it said."""
        return min((look.keep for look in self.looks if look.step <= step), default=self.start)

    def scored(self, step):
        """Whether it is the scorers who say who goes on after this step."""
        return next((look.scored for look in reversed(self.looks) if look.step <= step), True)

    def asks_after(self, share):
        """The step (from 0) of the first look when this share of the steps is done, or of the last look; of one that never looks the
        last step."""
        looks = [look.step for look in self.looks] or [self.steps - 1]
        return next((step for step in looks if step + 1 >= share * self.steps - 1e-6), looks[-1])

    def rows(self, steps=None):
        """Candidates times steps, of the first `steps` or all: what the model evaluates, but for samplers that call it more than
        once a step."""
        done = self.steps if steps is None else min(steps, self.steps)
        ends = [0, *(min(done, look.step + 1) for look in self.looks), done]
        return sum(alive * (end - begin) for alive, (begin, end) in zip(self._alive, pairwise(ends), strict=True))

    def looked(self, steps=None):
        """How many candidates are scored in the first `steps`, or all."""
        done = self.steps if steps is None else steps
        return sum(alive for alive, look in zip(self._alive, self.looks, strict=False) if look.scored and look.step < done)

    def work(self, steps=None):
        """Of the first `steps`, or all, in model rows, looks included."""
        return self.rows(steps) + self.price * self.looked(steps)

    def started(self, count):
        """The same looks with another number of candidates, of at least K: a look that would leave as many or more is left out."""
        return replace(self, start=count, looks=tuple(look for look in self.looks if look.keep < count))

    @property
    def cost(self):
        """How many times the work of K plain images."""
        return self.work() / (self.end * self.steps)

    @property
    def _alive(self):
        return [self.start, *(look.keep for look in self.looks)]

    def as_data(self):
        """For the report."""
        looks = [look._asdict() for look in self.looks]
        return {**vars(self), "looks": looks, "rows": self.rows(), "looked": self.looked(), "cost": self.cost, "in_words": str(self)}

    def __str__(self):
        """As users read it."""
        how = {True: f"by their {self.by}", False: "by their latents"}
        rounds = [f"{look.keep} go on after step {look.step + 1} {how[look.scored]}" for look in self.looks]
        looks = f" and {self.looked()} looks" if self.price else ""
        whole = f"{self.rows()} model rows{looks}, {self.cost:.2f} times the work of {self.end} plain images"
        return "; ".join([f"{self.start} candidates start", *rounds]) + f". {whole}."


def paper_plan(start, end, steps, pruning_ratio, start_percent=0.0, first=0, last=0, price=0.0):
    """n_{t+1} = max(K, ceil(n_t (1 - pruning_ratio))) after each step, nothing before `start_percent` of the steps is done; the
    last step always leaves K. The paper's notes call 1 - ratio rho; its code, as here, takes the removed share. 64 -> 4 by half
    over 20 steps evaluates 184 rows instead of 1280.

    first, last: steps (from 0) after which the first and the last of the scorers know enough: nobody leaves before the first, and
    at least 2 K live on until the last can judge too.
    Raises ValueError for K > M, K < 1 or a share outside 0..1.
    """
    _check_sizes(start, end)
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
            looks.append(Look(step, keep))
            alive = keep
    return Plan(start, end, steps, tuple(looks), price)


@lru_cache(64)
def budget_plan(end, budget, by_latents, by_scores, price, tried, start=None):
    """The plan that learns most for at most `budget` times the work of K plain images, looks included.

    A look that leaves n of m candidates learns log2(m / n) times what it knows of the finished pictures: by_latents, by_scores
    [steps], 0..1, for a look after each step (see Objective.knows). tried: steps (from 0) after which looks are tried, and of
    these the one before which the look that leaves K does not come, since not all scorers are trusted. What is left of the budget
    goes into the first step, as more candidates; start: as many as there are instead. How good that is: docs/results.md.
    Raises ValueError for K < 1 and for a budget that pays for no candidate more than K.
    """
    _check_sizes(start or end, end)
    steps = len(by_scores)
    if start == end:
        return Plan(start, end, steps, (), price)
    ways = list(_ways(end, *tried, breadth=any(by_latents)))
    made = lambda budget, start: [p for looks in ways if (p := _opened(looks, end, steps, price, budget, start))]
    plans = made(budget, start)
    affordable = [plan for plan in plans if plan.cost <= budget * (1 + 1e-9)]
    if not affordable:
        least = min(made(budget, start or end + 1), key=lambda plan: plan.cost)
        raise ValueError(
            f"A budget of {budget:g} is too small to choose {end} of {least.start} candidates in {steps} steps: raise it to at least {math.ceil(100 * least.cost) / 100}."
        )
    learned = lambda plan: sum(
        (by_scores if look.scored else by_latents)[look.step] * math.log2(m / look.keep)
        for m, look in zip(plan._alive, plan.looks, strict=False)
    )
    return max(affordable, key=lambda plan: (learned(plan), -plan.cost))


def _ways(end, tried, last, breadth):
    """Looks that a plan may have after the steps `tried`. The last one, which leaves K, is by scores and not before step `last`.
    breadth: latents say something, so that the first of several looks, when nobody knows much and there are most to look at, is by
    them."""
    keeps = [times * end for times in reversed(KEEPS)]
    for count in range(1, MOST_LOOKS + 1):
        for at in (steps for steps in combinations(tried, count) if steps[-1] >= last):
            for left in combinations(keeps, count - 1):
                for scored in range(int(breadth and count > 1), count):
                    yield tuple(Look(s, n, i >= scored) for i, (s, n) in enumerate(zip(at, (*left, end), strict=True)))


def _opened(looks, end, steps, price, budget, start=None):
    """The Plan with these looks and as many candidates as the rest of the budget pays, or `start`; None if it is not more than the
    first look leaves."""
    first = looks[0]
    later = Plan(first.keep, end, steps, looks[1:], price)
    rest = budget * end * steps - (later.work() - first.keep * (first.step + 1))
    most = int(rest / (first.step + 1 + price * first.scored) + 1e-9)
    opened = start or min(most, max(MOST_CANDIDATES, 2 * end))
    return Plan(opened, end, steps, looks, price) if opened > first.keep else None


def _check_sizes(start, end):
    if end < 1:
        raise ValueError(f"output_group_size must be at least 1, not {end}.")
    if end > start:
        raise ValueError(
            f"output_group_size ({end}) is larger than the number of candidates ({start}): lower it or start with more candidates."
        )


def noise_gone(sigmas, model_sampling):
    """Share of the noise that is gone after each step of these noise levels [steps + 1], 0..1; 1 after the last, since that is the best
    look that there will be.

    Halfway between the share of the model's noise and that of the run's own, where a run begins within: in image-to-image early
    pictures say less than their noise promises, since what tells candidates apart is young. On the garden with denoise .75 and .5
    the correlations of dinov2 lie within .06 of the curve then, and up to .24 below without (docs/results.md).
    """
    begin, *gone = noise_progress(model_sampling, sigmas[:-1].tolist())
    return [*((share + (share - begin) / (1 - begin)) / 2 if begin < 1 else share for share in gone), 1.0]


def noise_progress(model_sampling, sigmas):
    """Share of the model's noise range that is done at each of these noise levels, 0..1 in thousandths: the inverse of the host's
    percent_to_sigma. Image-to-image and split schedules start and end within the range."""
    levels = [float(model_sampling.percent_to_sigma(thousandths / 1000)) for thousandths in range(1001)]
    first = lambda sigma: bisect.bisect_left(levels, True, key=lambda level: level <= sigma * (1 + 1e-5))
    return [min(1000, first(sigma)) / 1000 for sigma in sigmas]
