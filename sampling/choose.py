"""One selection: scores of a pool, the program, who survives. Shared by the samplers and QIPSelector."""

import time
from dataclasses import dataclass

import numpy as np

from ..solver import SET_FUNCTIONS, Selection, balanced, select
from .record import Round

OBJECTIVES = ("paper", "balanced", *SET_FUNCTIONS)


@dataclass(frozen=True)
class Objective:
    """unary, pairwise: scorers or None; weight: lambda; kind: "paper" (raw scores, summed), "balanced", or one of the
    solver's set functions, of balanced scores; time_limit in seconds for each proof."""

    unary: object = None
    pairwise: object = None
    weight: float = 1.5
    kind: str = "paper"
    time_limit: float = 1.0

    @property
    def scorers(self):
        return [s for s in (self.unary, self.pairwise) if s is not None]

    @property
    def needs_images(self):
        return any(s.needs_images for s in self.scorers)

    def settings(self):
        names = {"unary": self.unary and self.unary.name, "pairwise": self.pairwise and self.pairwise.name}
        return {**names, "lambda_score": self.weight, "objective": self.kind, "solver_time_limit": self.time_limit}


@dataclass(frozen=True)
class Choice:
    """unary [M] and pairwise [M, M]: raw scores, None without such a scorer; finite: which candidates could be scored;
    chosen: indices of the survivors, best first, at most n of them; selection: of the solver, over the finite ones."""

    unary: np.ndarray | None
    pairwise: np.ndarray | None
    finite: np.ndarray
    chosen: list[int]
    selection: Selection
    seconds: dict[str, float]

    def as_round(self, step, sigma, seeds, seconds):
        """The record of this selection among candidates with these seeds; seconds: of the parts before scoring."""
        plain = lambda scores: None if scores is None else scores.tolist()
        best, kept = self.selection, [seeds[i] for i in self.chosen]
        proof = (best.objective, best.bound, best.gap, best.status)
        return Round(step, sigma, seeds, plain(self.unary), plain(self.pairwise), kept, *proof, {**seconds, **self.seconds})


def choose(pool, objective, n):
    """Score a pool and keep the jointly best n. Raises ValueError when no candidate has finite scores."""
    started = time.perf_counter()
    unary = None if objective.unary is None else objective.unary.score(pool).double().numpy()
    pairwise = None if objective.pairwise is None else objective.pairwise.score(pool).double().numpy()
    scored = time.perf_counter()
    count = len(unary if unary is not None else pairwise)
    finite = np.ones(count, dtype=bool) if unary is None else np.isfinite(unary)
    if pairwise is not None:
        # A broken candidate spoils its row and one entry of every other row: take out the worst until all is well.
        while not np.isfinite(pairwise[np.ix_(finite, finite)]).all():
            broken = (~np.isfinite(pairwise))[:, finite].sum(1) * finite
            finite[int(broken.argmax())] = False
    rows = np.flatnonzero(finite)
    if len(rows) == 0:
        raise ValueError(
            "None of the candidates has finite scores: the pictures or latents are broken (NaN). Check the model's precision and the VAE."
        )
    u = np.zeros(len(rows)) if unary is None else unary[rows]
    b = np.zeros((len(rows), len(rows))) if pairwise is None else pairwise[np.ix_(rows, rows)]
    n, weight = min(n, len(rows)), objective.weight
    if objective.kind != "paper":
        u, b, weight = balanced(u, b, n, weight)
    form = objective.kind if objective.kind in SET_FUNCTIONS else "sum"
    selection = select(u, b, n, weight, objective.time_limit, objective=form)
    seconds = {"scores": scored - started, "solver": time.perf_counter() - scored}
    return Choice(unary, pairwise, finite, [int(rows[i]) for i in selection.indices], selection, seconds)
