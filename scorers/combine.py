"""Several scorers as one, and a floor under a score."""

import math

from .reliability import WORDS


class Combined:
    """The weighted sum of scorers of one kind. parts: (scorer, weight) each; who combines them decides whether raw scores are
    added or standardised ones (see sampling/choose.py)."""

    def __init__(self, parts):
        self.parts = parts

    @property
    def name(self):
        return " + ".join(f"{weight:g} x {scorer.name}" for scorer, weight in self.parts)


class QualityFloor:
    """A unary scorer whose candidates are not selected below a raw score of `quality_floor`, while enough others remain. Raises
    ValueError for a floor that is no finite number."""

    def __init__(self, scorer, quality_floor):
        if not (isinstance(quality_floor, int | float) and math.isfinite(quality_floor)):
            raise ValueError(f"The quality floor's minimum is {quality_floor!r}, under which everybody or nobody falls: enter a number.")
        self.scorer, self.quality_floor = scorer, quality_floor
        self.name, self.needs_images = scorer.name, scorer.needs_images
        self.reliability = getattr(scorer, "reliability", WORDS)
        self.needs_guidance = getattr(scorer, "needs_guidance", False)
        self.over_frames = getattr(scorer, "over_frames", False)

    @property
    def backbone(self):
        return getattr(self.scorer, "backbone", self.scorer)

    def score(self, pool):
        return self.scorer.score(pool)


class Given:
    """Scores [M] or distances [M, M] that were made elsewhere."""

    needs_images = False

    def __init__(self, name, values):
        self.name, self.values = name, values

    def score(self, pool):
        return self.values


def terms(scorer, weight=1.0, socket="unary or pairwise"):
    """(scorer, weight) of what a scorer is made of; nothing for None. Raises ValueError for what is no scorer (see pool.py), named by
    the input where it came in, and for weights that are not finite."""
    if isinstance(scorer, Combined):
        return [term for part, share in scorer.parts for term in terms(part, weight * share, socket)]
    if scorer is None:
        return []
    if not all(hasattr(scorer, needed) for needed in ("name", "needs_images", "score")):
        raise ValueError(
            f"The input {socket} got a {type(scorer).__name__}, which is no scorer: connect a Quality Scorer or Difference Scorer, or a combination of them."
        )
    if not math.isfinite(weight):
        raise ValueError(f"The scorer {scorer.name} in the input {socket} has the weight {weight}: lower the weights of the combinations.")
    return [(scorer, weight)]
