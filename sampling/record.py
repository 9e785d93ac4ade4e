"""What happened in a run, as plain data: the report output, the demo, the board and the benchmark all read this."""

import json
import math
import uuid
from dataclasses import dataclass, field

import numpy as np

from .plan import Plan

VERSION = "0.1.0"
# A matrix of so many takes 40 kB as text.
MOST_DISTANCES = 64


@dataclass
class Round:
    """One selection. unary: raw score per living candidate in the order of `seeds`; kept: seeds of the survivors, best first;
    pairwise [n, n]: raw distances among these, in their order; both None without such a scorer; mean_distance: of all pairs of the
    living; seconds: by part, model since the round before. objective, bound and gap are in the solver's scale (see the `objective`
    setting). Of several unary scorers, `unary` is the weighted sum that counted and parts the raw scores by name; below_floor: seeds
    that a quality floor kept out; engine: the part of the solver that decided; by: what each scorer that was asked counted, 1 for the
    most reliable (see scorers/reliability.py); to_fixed: of each living candidate the mean distance to the pictures that Different
    From has, in the unit of `pairwise`, None without; nearest: of each living candidate the seed of the one that is most like it, and
    nearest_distance how far that is, None without a pairwise scorer."""

    step: int
    sigma: float
    seeds: list[int]
    unary: np.ndarray | None
    pairwise: np.ndarray | None
    kept: list[int]
    objective: float
    bound: float
    gap: float
    status: str
    seconds: dict[str, float]
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    below_floor: list[int] = field(default_factory=list)
    engine: str = ""
    mean_distance: float | None = None
    by: dict[str, float] = field(default_factory=dict)
    to_fixed: np.ndarray | None = None
    nearest: list[int] | None = None
    nearest_distance: np.ndarray | None = None


@dataclass
class Run:
    """seeds: of the K results in output order; a stock KSampler with that seed and batch size 1 gives the same latent.
    plan: the Plan that it followed; decoder: what made the pictures that were scored, at what size; model_rows: candidates times
    model calls; check_rows: evaluated a second time, alone, to see that the batch keeps its images apart; reproduce: by what graph
    a seed gives its result; seconds: of the whole run by part; notes: how the inputs were taken, where that is not plain; pool: the id of
    what it left, see kept.py; known: how many candidates an earlier run had left there; prompts: for each kind of conditioning that
    holds several (see variants.py) the text of each candidate, by its seed; files: names of the pictures where they are a folder's,
    seeds being their places among these; id: of this run, see board/watched.py; beside: what the first look, at all candidates, says of
    the group and of as many first seeds, see `beside_plain`; changed: at a pause, see pause.Changed; workers: what each did, see
    scaleout/crew.py."""

    settings: dict
    plan: Plan | None = None
    decoder: str = ""
    seeds: list[int] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    model_rows: int = 0
    check_rows: int = 0
    reproduce: str = ""
    seconds: dict[str, float] = field(default_factory=lambda: {"model": 0.0, "preview": 0.0, "scores": 0.0, "solver": 0.0})
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    beside: dict[str, dict] = field(default_factory=dict)
    changed: dict = field(default_factory=dict)
    pool: str = ""
    known: int = 0
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    workers: list[dict] = field(default_factory=list)
    prompts: dict[str, dict[int, str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def row(self, seed):
        """The row of the latent that the candidate with this seed grew from."""
        return row_of(vars(self), seed)

    def name(self, seed):
        """What users call this candidate: by its row, where rows are what differs."""
        return f"row {self.row(seed)}" if self.settings["rows"] > 1 else f"seed {seed}"

    def to_json(self):
        """The report as text."""
        return json.dumps(self.as_data())

    def as_data(self):
        """The report: six significant digits, and None for what JSON cannot hold or for distances of more than 64 pictures."""
        own = {name: value for name, value in vars(self).items() if name not in ("rounds", "plan")}
        if self.plan is not None:
            own["plan"] = self.plan.as_data()
        return {"version": VERSION, **_plain(own), "rounds": [_plain(vars(r)) for r in self.rounds]}


def beside_plain(seeds, unary, pairwise, group):
    """{"group" or "plain": {"quality", "difference"}}: the mean score, and the mean distance of a pair, of the group and of as many first
    seeds, which plain sampling would have given, in a look at candidates with these seeds; None of what it did not ask. unary [M],
    pairwise [M, M], or None."""
    places = [seeds.index(seed) for seed in group if seed in seeds]
    return {"group": _means(unary, pairwise, places), "plain": _means(unary, pairwise, range(len(places)))}


def _means(unary, pairwise, rows):
    pairs = pairwise[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)] if pairwise is not None and len(rows) > 1 else None
    return {
        "quality": float(np.mean(unary[list(rows)])) if unary is not None and len(rows) else None,
        "difference": None if pairs is None else float(pairs.mean()),
    }


def report_of(text):
    """A report as data. Raises ValueError for what is none of a sampler's."""
    try:
        run = json.loads(text)
        if isinstance(run["seeds"], list) and "seed" in run["settings"]:
            return run
    except (TypeError, ValueError, KeyError):
        pass
    raise ValueError(
        "The input report holds no report of a group sampler: connect the report of Group KSampler or Group Report that made these pictures."
    )


def left(report):
    """[(seed, round as data)] of the candidates that were looked at and not chosen, in the order in which they left, with the look that
    they had last."""
    last = {seed: look for look in report["rounds"] for seed in look["seeds"] if seed not in report["seeds"]}
    return sorted(last.items(), key=lambda item: item[1]["step"])


def row_of(report, seed):
    """The row of the latent that a candidate of a report grew from."""
    settings = report["settings"]
    return (seed - settings["seed"]) % 2**64 if settings.get("rows", 1) > 1 else 0


def _plain(value):
    if isinstance(value, np.ndarray):
        return None if value.ndim == 2 and len(value) > MOST_DISTANCES else _plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def how_to_reproduce(first_seed, rows, silent, own_prompts):
    """Which graph makes a result alone. rows: of the latent; silent: the latent brought its noise along; own_prompts: candidates have
    prompts of their own."""
    sampler = "KSampler (or RandomNoise and SamplerCustomAdvanced) with its seed"
    if silent:
        sampler = "KSampler (Advanced) with add_noise disabled (or SamplerCustom without add_noise) and its seed as noise_seed"
    row = "" if rows == 1 else f" on row seed - {first_seed} of the latent (Latent From Batch)"
    prompt = " and its prompt alone in the place of Group Prompts" if own_prompts else ""
    return f"Each result is what {sampler}{prompt} gives{row}, all else unchanged."
