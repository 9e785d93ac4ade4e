"""Policies on stored arrays: what a run of the pack would have selected, in milliseconds and through the pack's own arithmetic."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from group_inference.sampling.choose import Objective, choose
from group_inference.sampling.schedule import Schedule
from group_inference.scorers.dinov2 import PatchDistance
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.pool import Pool
from group_inference.scorers.text_image import TextImage

from .pools import answers, pixel_distance
from .statistics import vendi

UNARY, PAIRWISE = {"clip": TextImage}, {"dinov2": PatchDistance, "latent": LatentDistance}
BOTH = ("clip", "dinov2")
COUNTS = (1, 2, 4, 8, 16, 32, 64)
# Of one thread the processor's own time, which others on the machine do not lengthen.
clock = time.perf_counter if torch.cuda.is_available() else time.process_time


@dataclass(frozen=True)
class Policy:
    """Who goes on. candidates: M, at least as many as start; size: K; kind, weight: as Objective; scorers: names above; start_percent,
    pruning_ratio: as paper_plan.

    budget, price: instead of these two, of the schedule budget and of a look in model rows. rounds: or instead ((share of the steps
    that is done, how many go on, scorers that are asked), ...), of which the last leaves K.
    """

    name: str
    candidates: int
    size: int
    pruning_ratio: float = 0.5
    start_percent: float = 0.0
    kind: str = "paper"
    weight: float = 1.5
    scorers: tuple = BOTH
    rounds: tuple | None = None
    budget: float | None = None
    price: float = 0.0

    def plan(self, progress):
        """The pack's own, for a schedule of which this share of the noise is gone after each step; None for rounds."""
        if self.rounds is not None:
            return None
        goal = Objective(*(recorded(self.scorers, names) for names in (UNARY, PAIRWISE)))
        kind = "paper" if self.budget is None else "budget"
        how = Schedule(self.size, self.candidates, self.pruning_ratio, self.start_percent, kind, self.budget or 1.0)
        return how.plan(None, tuple(progress), goal, self.price)

    def decision(self, alive, step, progress):
        """(how many of `alive` go on after `step`, from 0; scorers to ask). progress: share of the noise that is gone after each step."""
        steps, plan = len(progress), self.plan(progress)
        if plan is not None:
            return min(alive, plan.after(step)), list(self.scorers if plan.scored(step) else ("latent",))
        due = {max(1, min(steps, round(share * steps))): (n, names) for share, n, names in self.rounds}
        n, names = due.get(step + 1, (alive, ()))
        return min(alive, n), list(names)


@dataclass(frozen=True)
class Recorded:
    """A scorer that answers with scores taken down before."""

    name: str
    reliability: tuple
    values: object = None
    needs_images = False

    def score(self, pool):
        return self.values


def recorded(names, known, values=lambda name: None):
    """The first of `names` that is known, or None; a selection has at most one unary and one pairwise scorer here."""
    name = next((name for name in names if name in known), None)
    return name and Recorded(name, known[name].reliability, values(name))


@dataclass
class Outcome:
    """indices: of the group in the pool, best first; alive: how many were evaluated in each step; looks: (how many, scorers) of
    each selection; solver: seconds of its proofs."""

    indices: list = field(default_factory=list)
    alive: list = field(default_factory=list)
    looks: list = field(default_factory=list)
    solver: float = 0.0

    @property
    def rows(self):
        return sum(self.alive)

    @property
    def looked(self):
        """How many pictures were decoded."""
        return sum(count for count, names in self.looks if decoded(names))

    def seconds(self, costs):
        """What a run would have taken, without the final pictures' decoding: measured parts, see measure_costs."""
        looks = sum(took(costs, part, count) for count, names in self.looks for part in [*names, *["decode"] * decoded(names)])
        return sum(took(costs, "model", count) for count in self.alive) + looks + self.solver


def took(costs, part, count):
    """Seconds of one part of a run for so many candidates, between the counts that were measured and in proportion beyond."""
    return float(np.interp(count, COUNTS, costs[part])) * max(1.0, count / COUNTS[-1])


def decoded(names):
    return any({**UNARY, **PAIRWISE}[name].needs_images for name in names)


def replay(policy, arrays, first=0):
    """The Outcome of a policy on a pool's arrays (see pools.py), from its candidate `first` on: each round is the pack's own
    `choose`. None for a policy that looks at pictures after a step of which the arrays have no scores."""
    progress, plan = arrays["progress"], policy.plan(arrays["progress"])
    outcome = Outcome(list(range(first, first + (plan.start if plan else policy.candidates))))
    for step in range(len(progress)):
        living = outcome.indices
        outcome.alive.append(len(living))
        n, names = policy.decision(len(living), step, progress)
        if n == len(living):
            continue
        if decoded(names) and np.isnan(arrays["u clip"][step]).any():
            return None
        at = np.ix_(living, living)
        latents = torch.from_numpy(arrays["latents"][step][living])
        known = lambda name, step=step, living=living: torch.from_numpy(arrays[f"u {name}"][step][living])
        pairs = lambda name, step=step, at=at, x0=latents: (
            LatentDistance().score(Pool(None, x0)) if name == "latent" else torch.from_numpy(arrays[f"b {name}"][step][at])
        )
        breadth = plan is not None and not plan.scored(step)
        how = {} if breadth else {"weight": policy.weight, "kind": policy.kind}
        goal = Objective(recorded(names, UNARY, known), recorded(names, PAIRWISE, pairs), **how)
        started = clock()
        choice = choose(Pool(None, latents, progress=progress[step]), goal, n)
        outcome.solver += clock() - started
        outcome.indices = [living[i] for i in choice.chosen]
        outcome.looks.append((len(living), tuple(names)))
    return outcome


def figures(arrays, scene, indices, weight=1.5):
    """What a group of finished pictures is worth. u, distance, smallest, Vendi, objective: by the scorers clip and dinov2 patches, as
    selections see them; right, distinct (different values of the open attributes, over K), answers (the same among right pictures)
    and pixels (mean of pixel_distance) they never see."""
    u, b = arrays["u clip"][-1][indices].astype(float), arrays["b dinov2"][-1][np.ix_(indices, indices)].astype(float)
    upper = np.triu_indices(len(indices), 1)
    right, shown = (values[indices] for values in answers(arrays, scene))
    different = lambda rows: len(np.unique(rows, axis=0)) / len(indices) if len(rows) else 0.0
    return {
        "u": u.mean(), "distance": b[upper].mean(), "smallest": b[upper].min(), "vendi": vendi(b), "right": right.mean(),
        "distinct": different(shown), "answers": different(shown[right]), "pixels": pixel_distance(arrays["pictures"][indices])[upper].mean(),
        "objective": u.sum() + weight * b[upper].sum(),
    }  # fmt: skip


def measure_costs(world, repeats=3):
    """Seconds of one model step, of decoding and of each scorer for COUNTS candidates, the least of `repeats`: other work on the
    machine only adds. Of the sampler the difference of six steps and two, so that what a run costs once is not in it."""
    text, costs = "red tulips", {}

    def least(part, count, work, share=1.0):
        taken = []
        for _ in range(repeats):
            started = clock()
            work()
            taken.append(clock() - started)
        costs.setdefault(part, []).append(share * min(taken))

    for count in COUNTS:
        seeds = range(count)
        for steps in (2, 6):
            least(f"{steps} steps", count, lambda seeds=seeds, steps=steps: world.denoise(text, seeds, steps=steps))
        latents = world.denoise(text, seeds, steps=2)[-1]
        least("decode", count, lambda x0=latents: world.previewer(x0))
        pictures = world.previewer(latents)
        for name, scorer in {**world.unary(text), **world.pairwise, "latent": LatentDistance()}.items():
            least(name, count, lambda s=scorer, p=pictures, x0=latents: s.score(Pool(p, x0)))
    two, six = costs.pop("2 steps"), costs.pop("6 steps")
    return costs | {"model": [max(0.0, b - a) / 4 for a, b in zip(two, six, strict=True)]}
