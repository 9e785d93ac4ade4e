"""One selection: scores of a pool, the program, who survives. Shared by the samplers and QIPSelector."""

import time
from dataclasses import dataclass, replace

import comfy.model_management
import numpy as np
import torch

from ..scorers.combine import terms
from ..scorers.latent import LatentDistance
from ..scorers.pool import Pool
from ..scorers.reliability import LATENTS, TRUSTED, along, check_curve, reliability, trusted_from
from ..solver import SET_FUNCTIONS, Selection, mean_weight, select, standard_distances, standard_scores
from ..solver.highs import installed
from .inputs import check_numbers
from .notices import in_one_line
from .preview import key_frames
from .record import Round

OBJECTIVES = ("paper", "balanced", *SET_FUNCTIONS)
SOLVERS = ("auto", "highs")
TRIAL_SIZE = 64
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
    def scorers(self):
        return [scorer for scorer, _ in terms(self.unary) + terms(self.pairwise)]

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
        return {**names, "lambda_score": self.weight, "objective": self.kind, "solver_time_limit": self.time_limit, "solver": self.solver}

    def try_out(self, x0, text="", texts=None):
        """Score two made-up candidates with every scorer. x0: a latent [1, ...]; text, texts: see Pool; of several the shortest is tried.
        Raises ValueError that names a broken one."""
        noise = torch.rand(2, len(key_frames(x0)), TRIAL_SIZE, TRIAL_SIZE, 3, generator=torch.Generator().manual_seed(0)).squeeze(1)
        pool = Pool(noise, torch.cat([x0, x0 + 1]), guidance=torch.zeros(2), text=text, texts=texts and 2 * [min(texts, key=len)])
        for scorer, _ in terms(self.unary):
            _scores(scorer, pool, (2,))
        for scorer, _ in terms(self.pairwise):
            _scores(scorer, pool, (2, 2))


# Who goes on where nothing is decoded.
BREADTH = Objective(pairwise=LatentDistance())


@dataclass(frozen=True)
class Choice:
    """unary [M] and pairwise [M, M]: what was selected by, None without such a scorer: raw for one scorer, the weighted sum of
    several; parts: raw scores by name, of several unary scorers; finite: which candidates could be scored; below_floor: indices
    that a quality floor kept out; chosen: indices of the survivors, best first, at most n; selection: of the solver; unmet: a
    sentence for each floor that nobody meets; by: what each scorer counted, 1 for the most reliable."""

    unary: np.ndarray | None
    pairwise: np.ndarray | None
    parts: dict[str, np.ndarray]
    finite: np.ndarray
    below_floor: list[int]
    chosen: list[int]
    selection: Selection
    seconds: dict[str, float]
    unmet: list[str]
    by: dict[str, float]

    def as_round(self, step, sigma, seeds, seconds):
        """The record of this selection among candidates with these seeds; seconds: of the parts before scoring."""
        best, kept = self.selection, [seeds[i] for i in self.chosen]
        pairwise = None if self.pairwise is None else self.pairwise[np.ix_(self.chosen, self.chosen)]
        pairs = np.zeros(0) if self.pairwise is None else self.pairwise[np.triu_indices(len(self.pairwise), 1)]
        mean = float(np.nanmean(pairs)) if np.isfinite(pairs).any() else None
        proof = (best.objective, best.bound, best.gap, best.status)
        below = [seeds[i] for i in self.below_floor]
        return Round(
            step, sigma, seeds, self.unary, pairwise, kept, *proof, {**seconds, **self.seconds}, self.parts, below, best.engine, mean, self.by,
        )  # fmt: skip


def choose(pool, objective, n, pinned=()):
    """Score a pool and keep the jointly best n, the indices `pinned` among them where these can be scored. Raises ValueError when no
    candidate has finite scores."""
    started = time.perf_counter()
    worth = {id(s): reliability(s, pool.progress) for s in objective.scorers}
    # Expected final scores are early ones, shrunk to the pool's mean by what they are worth. All but the ratios is the same for all
    # groups; the most reliable scorer counts fully, so that lambda keeps its scale.
    most = max(worth.values(), default=0)
    counts = lambda scorer, weight: weight * (worth[id(scorer)] / most if most else 1)
    count = len(pool.images if pool.images is not None else pool.x0)
    unary = [(s, counts(s, weight), _scores(s, pool, (count,))) for s, weight in terms(objective.unary)]
    pairwise = [(counts(s, weight), _scores(s, pool, (count, count))) for s, weight in terms(objective.pairwise)]
    scored = time.perf_counter()
    finite = np.ones(count, dtype=bool)
    for *_, u in unary:
        finite &= np.isfinite(u)
    for _, b in pairwise:
        # A broken candidate spoils its row and one entry of every other row: take out the worst until all is well.
        while not np.isfinite(b[np.ix_(finite, finite)]).all():
            broken = (~np.isfinite(b))[:, finite].sum(1) * finite
            finite[int(broken.argmax())] = False
    rows = np.flatnonzero(finite)
    if len(rows) == 0:
        raise ValueError(
            "None of the candidates has finite scores: the pictures or latents are broken (NaN). Check the model's precision and the VAE."
        )
    n, weight, raw = min(n, len(rows)), objective.weight, objective.kind == "paper"
    u, b = np.zeros(len(rows)), np.zeros((len(rows), len(rows)))
    for _, share, scores in unary:
        u += share * (scores[rows] if raw else standard_scores(scores[rows]))
    for share, distances in pairwise:
        b += share * (distances[np.ix_(rows, rows)] if raw else standard_distances(distances[np.ix_(rows, rows)]))
    trusted = [term for term in unary if worth[id(term[0])] >= TRUSTED]
    kept = np.flatnonzero(np.isin(rows, np.array(pinned, dtype=int)))
    below = _below_floor(trusted, rows, kept, n)
    form = objective.kind if objective.kind in SET_FUNCTIONS else "sum"
    if not (np.isfinite(u).all() and np.isfinite(b).all()):
        raise ValueError("The scorers' weighted sum leaves the range of numbers: lower the weights of the combined scorers.")
    selection = select(
        u, b, n, weight if raw else mean_weight(weight, n), objective.time_limit, objective.solver, objective=form, pinned=kept, banned=below,
        check=comfy.model_management.throw_exception_if_processing_interrupted,
    )  # fmt: skip
    seconds = {"scores": scored - started, "solver": time.perf_counter() - scored}
    chosen = [int(rows[i]) for i in selection.indices]
    names = [s.name for s, _, _ in unary]
    numbered = [f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name for i, name in enumerate(names)]
    parts = {name: scores for name, (_, _, scores) in zip(numbered, unary, strict=True)} if len(unary) > 1 else {}
    shown = lambda found, total: None if not found else found[0][-1] if len(found) == 1 else total
    return Choice(
        shown(unary, _spread_out(u, rows, count)), shown(pairwise, _spread_out(b, rows, count)), parts, finite,
        [int(rows[i]) for i in below], chosen, selection, seconds, _unmet(trusted, rows),
        {s.name: counts(s, 1.0) for s in objective.scorers},
    )  # fmt: skip


def _scores(scorer, pool, shape):
    """A scorer's answer as float64 of this shape, of pictures the mean over a video's frames. Raises ValueError that names a scorer
    which fails or answers otherwise."""
    apart = scorer.needs_images and not getattr(scorer, "over_frames", False)
    try:
        answers = [scorer.score(part) for part in (pool.frames if apart else [pool])]
    except Exception as e:  # scorers of other packs raise anything; it gets their name
        if isinstance(e, comfy.model_management.InterruptProcessingException) or comfy.model_management.is_oom(e):
            raise
        raise ValueError(f"The scorer {scorer.name} failed: {in_one_line(e)}") from e
    try:
        found = [torch.as_tensor(answer) for answer in answers]
    except (TypeError, ValueError, RuntimeError) as e:
        raise ValueError(f"The scorer {scorer.name} answered with a {type(answers[0]).__name__} instead of numbers.") from e
    for answer in found:
        if answer.ndim != len(shape) and tuple(answer.shape) == shape[:1] * answer.ndim:
            kind, socket = ("pairwise", "unary") if answer.ndim == 2 else ("unary", "pairwise")
            raise ValueError(f"The input {socket} got the {kind} scorer {scorer.name}: connect it to the input {kind}.")
        if tuple(answer.shape) != shape:
            raise ValueError(f"The scorer {scorer.name} answered with numbers of the shape {tuple(answer.shape)} instead of {shape}.")
    return torch.stack(found).double().mean(0).cpu().numpy()


def _below_floor(unary, rows, kept, n):
    """Of the scored `rows` those to keep out, so that at least n remain, and none of `kept`: the ones furthest below a floor first."""
    shortfall = np.zeros(len(rows))
    for scorer, _, scores in unary:
        shortfall = np.maximum(shortfall, getattr(scorer, "quality_floor", -np.inf) - scores[rows])
    shortfall[kept] = 0
    worst = np.argsort(-shortfall, kind="stable")[: len(rows) - n]
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
