"""What happened in a run, as plain data: the report output, the demo, the board and the benchmark all read this."""

import json
import math
from dataclasses import asdict, dataclass, field

VERSION = "0.1.0"


@dataclass
class Round:
    """One selection. unary: raw score per living candidate, pairwise: raw distances to the others, both in the order of
    `seeds` and None without such a scorer; kept: seeds of the survivors, best first; seconds: by part, model since the
    round before. objective, bound and gap are in the solver's scale (see the `objective` setting). Of several unary scorers,
    `unary` is the weighted sum that counted and parts the raw scores by name; below_floor: seeds that a quality floor kept out;
    engine: the part of the solver that decided."""

    step: int
    sigma: float
    seeds: list[int]
    unary: list[float] | None
    pairwise: list[list[float]] | None
    kept: list[int]
    objective: float
    bound: float
    gap: float
    status: str
    seconds: dict[str, float]
    parts: dict[str, list[float]] = field(default_factory=dict)
    below_floor: list[int] = field(default_factory=list)
    engine: str = ""


@dataclass
class Run:
    """seeds: of the K results in output order; a stock KSampler with that seed and batch size 1 gives the same latent.
    model_rows: candidates times model calls; seconds: of the whole run by part."""

    settings: dict
    seeds: list[int] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    model_rows: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"model": 0.0, "preview": 0.0, "scores": 0.0, "solver": 0.0})
    warnings: list[str] = field(default_factory=list)

    def row(self, seed):
        """Which candidate has this seed, from 0: also its row in a latent batch of more than one."""
        return (seed - self.settings["seed"]) % 2**64

    def to_json(self):
        return json.dumps(_plain({"version": VERSION, **asdict(self)}))


def _plain(value):
    """Six significant digits, and null for what JSON cannot hold."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
