"""One selection: what scorers say, the program, who survives. Shared by the samplers and QIPSelector."""

import time
from dataclasses import dataclass, replace
from functools import cached_property

import comfy.model_management
import numpy as np
import torch

from ..scorers.combine import terms
from ..scorers.different_from import FixedMembers, around
from ..scorers.latent import LatentDistance
from ..scorers.pool import Pool
from ..scorers.reliability import LATENTS, TRUSTED, along, check_curve, reliability, trusted_from
from ..solver import SET_FUNCTIONS, Selection, check_size, mean_weight, select, standard_scores, sum_of_distances
from ..solver.highs import installed
from .ask import Said, of_pool
from .inputs import check_numbers
from .plan import MOST_CANDIDATES
from .preview import key_frames
from .record import Round
from .scores import Scores

OBJECTIVES = ("paper", "balanced", *SET_FUNCTIONS)
SOLVERS = ("auto", "highs")
TRIAL_SIZE = 64
# Seconds of the solver for who only asks what would be.
BRIEF = 0.2
# Of what a look learns, where both kinds are asked: with less the last look comes too early for quality, with more there are too few
# candidates for difference (docs/results.md).
QUALITY_SHARE = 0.3


@dataclass(frozen=True)
class Objective:
    """unary, pairwise: scorers or None; weight: lambda; kind: "paper" (raw scores, summed), "balanced" (each scorer on one
    scale, averaged), or one of the solver's set functions, of balanced scores; time_limit in seconds for each proof; solver: one
    of SOLVERS. Raises ValueError where that cannot solve this kind, or is not installed."""

    unary: object = None
    pairwise: object = None
    weight: float = 1.5
    kind: str = "paper"
    time_limit: float = 1.0
    solver: str = "auto"

    def __post_init__(self):
        terms(self.unary, socket="unary")
        terms(self.pairwise, socket="pairwise")
        around(self.pairwise)
        for scorer in self.scorers:
            check_curve(scorer)
        check_numbers(lambda_score=self.weight, solver_time_limit=self.time_limit)
        if self.solver == "highs" and self.kind == "log_det":
            raise ValueError(
                "solver highs cannot solve the objective log_det, which is not linear: set solver to auto or choose another objective."
            )
        if self.solver == "highs" and not installed():
            raise ValueError("solver highs needs the package highspy, which is not installed: pip install highspy, or set solver to auto.")

    @property
    def form(self):
        """What the solver calls it."""
        return self.kind if self.kind in SET_FUNCTIONS else "sum"

    def check_count(self, count):
        """Raise ValueError for more pictures than this objective can choose from."""
        check_size(self.form, count)

    @property
    def scorers(self):
        return [scorer for scorer, _ in terms(self.unary) + terms(self.pairwise)]

    @cached_property
    def fixed(self):
        """What every group holds besides the chosen, see different_from.py. What is computed of it is kept as long as this."""
        return FixedMembers(self.pairwise)

    @cached_property
    def breadth(self):
        """Who goes on where nothing is decoded."""
        return Objective(pairwise=self.fixed.around(LatentDistance()))

    @property
    def or_latents(self):
        """Itself, or where no scorer is connected the same by the distance of latents, which needs neither weights nor pictures."""
        return self if self.scorers else replace(self, pairwise=LatentDistance(), weight=max(1.0, self.weight))

    @property
    def latents_alone(self):
        """Whether nothing but the distance of latents counts."""
        return all(isinstance(s, LatentDistance) for s in self.scorers)

    @property
    def needs_images(self):
        return any(s.needs_images for s in self.scorers)

    @property
    def needs_guidance(self):
        return any(getattr(s, "needs_guidance", False) for s in self.scorers)

    @property
    def patchers(self):
        """The host's patchers of the scorers' weights, each once."""
        found = [getattr(getattr(s, "backbone", s), "patcher", None) for s in self.scorers]
        return [patcher for i, patcher in enumerate(found) if patcher is not None and patcher not in found[:i]]

    @property
    def trusted_from(self):
        """For each scorer the share of the noise from which on it is trusted."""
        return [trusted_from(scorer) for scorer in self.scorers]

    def knows(self, gone, scored=True):
        """What a selection by the scores, or by the latents alone, knows of the final one when these shares of the noise are gone, 0..1;
        gone: [steps]."""
        counted = (self.unary, self.pairwise if self.weight > 0 else None)
        kinds = [[reliability(s, gone) for s, _ in terms(kind)] for kind in counted]
        quality, difference = (sum(known) / len(known) if known else np.zeros(len(gone)) for known in kinds)
        if not scored:
            quality, difference = np.zeros(len(gone)), along(LATENTS, gone) * bool(kinds[1])
        share = QUALITY_SHARE if all(kinds) else float(bool(kinds[0]))
        return share * quality + (1 - share) * difference

    def settings(self):
        names = {"unary": self.unary and self.unary.name, "pairwise": self.pairwise and self.pairwise.name}
        program = {"lambda_score": self.weight, "objective": self.kind, "solver_time_limit": self.time_limit, "solver": self.solver}
        return {**names, **program, "different_from": self.fixed.count}

    def try_out(self, x0, known, **more):
        """Score two made-up candidates with every scorer that has not passed before, which `known` knows. x0: a latent [1, ...]; more: of
        their Pool. Raises ValueError that names a broken one."""
        noise = torch.rand(2, len(key_frames(x0)), TRIAL_SIZE, TRIAL_SIZE, 3, generator=torch.Generator().manual_seed(0)).squeeze(1)
        pool = Pool(noise, torch.cat([x0, x0 + 1]), guidance=torch.zeros(2), **more)
        for goal in (self, self.breadth) if self.fixed.count else (self,):
            of_pool(pool, goal, known.once)


@dataclass(frozen=True)
class Asked:
    """What `decide` was asked, but for the size of the group and who is in it or not."""

    said: Said
    objective: Objective
    progress: float

    def again(self, weight, n, pinned=(), banned=()):
        """Indices of the group, best first, with another lambda. In any thread: an interrupt is left to the one that samples. Raises
        ValueError for what cannot be."""
        objective = replace(self.objective, weight=weight, time_limit=BRIEF)
        return decide(self.said, objective, n, pinned, self.progress, banned=banned, check=lambda: None).chosen


@dataclass(frozen=True)
class Choice:
    """unary [M] and pairwise [M, M]: what was selected by, None without such a scorer: raw for one scorer, the weighted sum of
    several; parts: raw scores by name, of several unary scorers; to_fixed [M]: the mean of the same distances to what Different From
    has, None without; finite: which candidates could be scored; below_floor: indices
    that a quality floor kept out; chosen: indices of the survivors, best first, at most n; selection: of the solver; unmet: a
    sentence for each floor that nobody meets; by: what each scorer counted, 1 for the most reliable; asked: what it was that was decided."""

    unary: np.ndarray | None
    pairwise: np.ndarray | None
    to_fixed: np.ndarray | None
    parts: dict[str, np.ndarray]
    finite: np.ndarray
    below_floor: list[int]
    chosen: list[int]
    selection: Selection
    seconds: dict[str, float]
    unmet: list[str]
    by: dict[str, float]
    asked: Asked

    def as_round(self, step, sigma, seeds, seconds):
        """The record of this selection among candidates with these seeds; seconds: of the parts before scoring."""
        best, kept = self.selection, [seeds[i] for i in self.chosen]
        pairwise = None if self.pairwise is None else self.pairwise[np.ix_(self.chosen, self.chosen)]
        mean = None if self.pairwise is None else _mean_of_pairs(self.pairwise, self.finite)
        proof = (best.objective, best.bound, best.gap, best.status)
        below = [seeds[i] for i in self.below_floor]
        return Round(
            step, sigma, seeds, self.unary, pairwise, kept, *proof, {**seconds, **self.seconds}, self.parts, below, best.engine, mean, self.by,
            self.to_fixed, *self._nearest(seeds),
        )  # fmt: skip

    def _nearest(self, seeds):
        """(the seed of the one that is most like each, their distances); (None, None) without distances, or of too many."""
        if self.pairwise is None or not 1 < len(seeds) <= MOST_CANDIDATES:
            return None, None
        others = np.where(np.eye(len(seeds), dtype=bool) | ~np.isfinite(self.pairwise), np.inf, self.pairwise)
        nearest = others.argmin(1)
        return [seeds[i] for i in nearest], others[np.arange(len(seeds)), nearest]


def choose(pool, objective, n, pinned=(), known=None):
    """Score a pool and keep the jointly best n, the indices `pinned` among them where these can be scored. known: Scores of this look.
    Raises ValueError when no candidate has finite scores."""
    started = time.perf_counter()
    said = of_pool(pool, objective, (known or Scores()).once)
    return decide(said, objective, n, pinned, pool.progress, time.perf_counter() - started)


def decide(
    said, objective, n, pinned=(), progress=1.0, seconds=0.0, banned=(),
    check=comfy.model_management.throw_exception_if_processing_interrupted,
):  # fmt: skip
    """The same of what scorers Said, when this share of the noise is gone, and it took them so long; banned: indices that are not chosen;
    check: called often, may raise.
    What the objective's Different From has is in every group, and comes after the candidates in all arrays here."""
    started, fixed = time.perf_counter(), objective.fixed.count
    worth = {id(s): reliability(s, progress) for s in objective.scorers}
    # Expected final scores are early ones, shrunk to the pool's mean by what they are worth. All but the ratios is the same for all
    # groups; the most reliable scorer counts fully, so that lambda keeps its scale.
    most = max(worth.values(), default=0)
    counts = lambda scorer, weight: weight * (worth[id(scorer)] / most if most else 1)
    unary = [(s, counts(s, weight), scores) for s, weight, scores in said.unary]
    pairwise = [(counts(s, weight), distances) for s, weight, distances in said.pairwise]
    finite = _finite(unary, pairwise, fixed)
    count, both = len(finite) - fixed, np.flatnonzero(finite)
    rows = both[: len(both) - fixed]
    if len(rows) == 0:
        raise ValueError(
            "None of the candidates has finite scores: the pictures or latents are broken (NaN). Check the model's precision and the VAE."
        )
    kept, out = (np.flatnonzero(np.isin(rows, np.array(named, dtype=int))) for named in (pinned, banned))
    n, weight, raw = min(n, len(rows) - len(out)), objective.weight, objective.kind == "paper"
    u, b = np.zeros(len(both)), sum_of_distances(pairwise, both, not raw, check, fixed)
    for _, share, scores in unary:
        u[: len(rows)] += share * (scores[rows] if raw else standard_scores(scores[rows]))
    trusted = [term for term in unary if worth[id(term[0])] >= TRUSTED]
    below = _below_floor(trusted, rows, [*kept, *out], len(rows) - len(out) - n)
    if not (np.isfinite(u).all() and np.isfinite(b).all()):
        raise ValueError("The scorers' weighted sum leaves the range of numbers: lower the weights of the combined scorers.")
    shown = pairwise[0][-1] if len(pairwise) == 1 else _spread_out(b, both, len(finite)) if pairwise else None
    if objective.form == "max_min" and fixed:
        b[len(rows) :, len(rows) :] = b.max(initial=0.0)  # no choice makes these more different from each other
    selection = select(
        u, b, n + fixed, weight if raw else mean_weight(weight, n + fixed), objective.time_limit, objective.solver, objective=objective.form,
        pinned=[*kept, *range(len(rows), len(both))], banned=[*below, *out], check=check,
    )  # fmt: skip
    names = [s.name for s, _, _ in unary]
    numbered = [f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name for i, name in enumerate(names)]
    parts = {name: scores for name, (_, _, scores) in zip(numbered, unary, strict=True)} if len(unary) > 1 else {}
    return Choice(
        unary=None if not unary else unary[0][-1] if len(unary) == 1 else _spread_out(u[: len(rows)], rows, count),
        pairwise=None if shown is None else shown[:count, :count],
        to_fixed=shown[:count, count:].mean(1) if fixed else None,
        parts=parts,
        finite=finite[:count],
        below_floor=[int(rows[i]) for i in below],
        chosen=[int(rows[i]) for i in selection.indices if i < len(rows)],
        selection=selection,
        seconds={"scores": seconds, "solver": time.perf_counter() - started},
        unmet=_unmet(trusted, rows),
        by={s.name: counts(s, 1.0) for s in objective.scorers},
        asked=Asked(said, objective, progress),
    )


def _finite(unary, pairwise, fixed):
    """Who can be judged, [M + F]. Raises ValueError where it is one of the `fixed` last that cannot."""
    finite = np.ones(len(pairwise[0][-1]) if pairwise else len(unary[0][-1]) + fixed, dtype=bool)
    for *_, u in unary:
        finite[: len(u)] &= np.isfinite(u)
    for _, b in pairwise:
        # A broken candidate spoils its row and one entry of every other row: take out the worst until all is well.
        broken = ~np.isfinite(b)
        while broken.any() and (spoilt := broken[:, finite].sum(1) * finite).any():
            finite[int(spoilt.argmax())] = False
    known = finite[len(finite) - fixed :]
    if not known.all():
        raise ValueError(f"Picture {known.argmin()} (counted from 0) of Different From has no finite distance to the others: leave it out.")
    return finite


def _mean_of_pairs(distances, finite):
    """Of distances [M, M], without who is not `finite`; None without a pair."""
    rows = np.flatnonzero(finite)
    total = sum(float(distances[i, rows].sum(dtype=np.float64) - distances[i, i]) for i in rows)
    return total / (len(rows) * (len(rows) - 1)) if len(rows) > 1 else None


def _below_floor(unary, rows, spared, most):
    """Of the scored `rows` those to keep out, at most so many and none of `spared`: the ones furthest below a floor first."""
    shortfall = np.zeros(len(rows))
    for scorer, _, scores in unary:
        shortfall = np.maximum(shortfall, getattr(scorer, "quality_floor", -np.inf) - scores[rows])
    shortfall[spared] = 0
    worst = np.argsort(-shortfall, kind="stable")[:most]
    return sorted(int(i) for i in worst if shortfall[i] > 0)


def _unmet(unary, rows):
    """A sentence for each quality floor that none of the scored `rows` meets."""
    best = [(scorer, scorer.quality_floor, scores[rows].max()) for scorer, _, scores in unary if hasattr(scorer, "quality_floor")]
    return [
        f"Nobody meets the quality floor {floor:g} of {scorer.name}: the best score was {score:.4g}. Lower its minimum, or take the group as the best there was."
        for scorer, floor, score in best
        if score < floor
    ]


def _spread_out(values, rows, count):
    """Values of `rows` in arrays for all candidates, NaN elsewhere."""
    out = np.full((count,) * values.ndim, np.nan)
    out[np.ix_(*[rows] * values.ndim)] = values
    return out
