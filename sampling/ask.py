"""What scorers say of pictures, as numbers or in one sentence; of any number of them, a few at a time."""

from functools import partial
from itertools import groupby
from typing import NamedTuple

import comfy.model_management
import numpy as np
import torch

from ..scorers.combine import Given, terms
from ..scorers.pool import Pool, resized
from .notices import in_one_line

# Of more pictures those that scorers see at once do not fit the memory; until then they are squashed to this side.
MOST_AT_ONCE, SIDE = 512, 256
# Pictures that are in memory at a time where they come one by one.
CHUNK = 16
# Matrices of M x M float64 that comparing and selecting take at their peak (`dev.py bench folder`).
MATRICES = 4


class Said(NamedTuple):
    """Of M candidates: (scorer, weight, scores [M]) and (scorer, weight, distances [M + F, M + F]), F as in different_from.py."""

    unary: list
    pairwise: list


def of_pool(pool, objective, once=lambda ask, *asked: ask()):
    """What an objective's scorers say of a pool. once: see Scores, for one that is looked at again."""
    count, fixed = len(pool.images if pool.images is not None else pool.x0), objective.fixed
    unary = [(s, weight, once(partial(scores, s, pool, count), s)) for s, weight in terms(objective.unary)]
    pairwise = [(s, weight, once(partial(distances, s, pool, count, fixed), s, *fixed.given)) for s, weight in terms(objective.pairwise)]
    return Said(unary, pairwise)


def tell(pool, objective, places):
    """{place: answers as in pool.Told} of the objective's scorers in these places that can say something of each candidate alone, from
    its pictures."""
    found, quality = {}, len(terms(objective.unary))
    for place in places:
        scorer, is_quality = objective.scorers[place], place < quality
        if scorer.needs_images and (is_quality or hasattr(scorer, "between")):
            found[place] = _ask(scorer, pool, _score if is_quality else lambda scorer, pool: scorer.rows(pool))
    return found


def scores(scorer, pool, count):
    """[M], float64. Raises ValueError as `_numbers`."""
    answers = _told(scorer, pool) or _ask(scorer, pool, _score)
    return _numbers(scorer, answers, (count,)).double().cpu().numpy()


def distances(scorer, pool, count, fixed, ask=None):
    """[M + F, M + F], with the FixedMembers after the candidates; float32 where the scorer answers so, for large pools, else float64.
    ask: as `fixed.score`, which it replaces."""
    if rows := _told(scorer, pool):
        answers = _named(scorer, lambda: [fixed.between(scorer, own, pool.told.size) for own in rows])
    else:
        answers = _ask(scorer, pool, ask or fixed.score)
    found = _numbers(scorer, answers, (count + fixed.count,) * 2).cpu()
    return (found if found.dtype == torch.float32 else found.double()).numpy()


def _score(scorer, pool):
    return scorer.score(pool)


def _told(scorer, pool):
    """What it has said of parts of the pool, see pool.Told; None if it has not been asked."""
    return pool.told and pool.told.answers.get(id(scorer))


def _ask(scorer, pool, ask):
    """A scorer's answers, one for each of a video's frames if it wants them apart. Raises ValueError that names one which fails."""
    apart = scorer.needs_images and not getattr(scorer, "over_frames", False)
    return _named(scorer, lambda: [ask(scorer, part) for part in (pool.frames if apart else [pool])])


def _numbers(scorer, answers, shape):
    """A scorer's answers as one of this shape, of several the mean. Raises ValueError that names a scorer which answers otherwise."""
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
    return torch.stack(found).double().mean(0) if len(found) > 1 else found[0]


def _named(scorer, ask):
    """ask(), whose errors get the scorer's name."""
    try:
        return ask()
    except Exception as e:  # scorers of other packs raise anything
        if isinstance(e, comfy.model_management.InterruptProcessingException) or comfy.model_management.is_oom(e):
            raise
        raise ValueError(f"The scorer {scorer.name} failed: {in_one_line(e)}") from e


class Stream:
    """The same of pictures that come one by one, of any sizes: `add` each, then ask for `said`. Kept of a picture is what the scorers
    say of it alone; for those that see all at once it is squashed to SIDE x SIDE.

    most: how many there may be; longest: their longer side at most; x0: latents [M, ...], None without; text: see Pool. Raises
    ValueError, in `add` and `said` too, for scorers that cannot work so or whose rows do not fit the memory.
    """

    def __init__(self, objective, most, longest, x0=None, text=""):
        self.fixed, self.most, self.longest, self.x0, self.text = objective.fixed, most, longest, x0, text
        self.unary, self.pairwise = terms(objective.unary), terms(objective.pairwise)
        # One that is connected several times is asked once.
        looking = lambda kind: {id(s): s for s, _ in kind if s.needs_images}.values()
        self.each = list(looking(self.unary))
        self.by_rows = [s for s in looking(self.pairwise) if hasattr(s, "between")]
        self.at_once = [s for s in looking(self.pairwise) if not hasattr(s, "between")]
        self.marks, self.rows, self.given = {id(s): [] for s in self.each}, {}, {}
        self.waiting, self.small, self.count = [], [], 0
        for scorer in objective.scorers:
            if not (scorer.needs_images or x0 is not None or isinstance(scorer, Given)):
                raise ValueError(
                    f"The scorer {scorer.name} compares latents, and these pictures have none: choose another, or connect images with their latents."
                )
        for scorer in self.at_once:
            distances(scorer, Pool(torch.zeros(2, SIDE, SIDE, 3), text=text), 2, self.fixed)  # a trial
            if most > MOST_AT_ONCE:
                raise ValueError(
                    f"The scorer {scorer.name} sees all pictures at once, and {most} of different sizes are too many for that (up to {MOST_AT_ONCE} are not): choose dinov2, clip, color, structure edges or another that looks at one at a time."
                )

    def add(self, picture):
        """A picture [h, w, 3] in 0..1."""
        self.waiting.append(picture)
        self.count += 1
        if len(self.waiting) == CHUNK:
            self._look()

    def said(self):
        """What the scorers say of all that were added."""
        self._look()
        seen, latents = Pool(torch.cat(self.small), text=self.text) if self.small else None, Pool(None, self.x0, text=self.text)
        unary = [
            (s, weight, np.concatenate(self.marks[id(s)]) if s.needs_images else scores(s, latents, self.count)) for s, weight in self.unary
        ]
        different = {id(s): s for s, _ in self.pairwise}
        found = {key: self._between(s, seen if s.needs_images else latents) for key, s in different.items()}
        return Said(unary, [(s, weight, found[id(s)]) for s, weight in self.pairwise])

    def _look(self):
        for _, alike in groupby(self.waiting, key=lambda picture: picture.shape):
            pool = Pool(torch.stack(list(alike)), text=self.text)
            for scorer in self.each:
                self.marks[id(scorer)].append(scores(scorer, pool, len(pool.images)))
            for scorer in self.by_rows:
                self._keep(scorer, _named(scorer, lambda scorer=scorer, pool=pool: scorer.rows(pool)), len(pool.images))
            if self.at_once:
                self.small.append(resized(pool.images, (SIDE, SIDE)))
        self.waiting = []

    def _keep(self, scorer, found, count):
        """Rows of so many pictures behind those that are there; memory is taken once, for all there may be."""
        shape = tuple(getattr(found, "shape", ()))
        if len(shape) != 2 or len(found) != count or (id(scorer) in self.rows and shape[1] != self.rows[id(scorer)][1].shape[1]):
            raise ValueError(
                f"The scorer {scorer.name} has rows of the shape {shape} for {count} pictures, not of [{count}, D] with one D."
            )
        if id(scorer) not in self.rows:
            self._check_memory(scorer, found.shape[1])
            self.given[id(scorer)] = _named(scorer, lambda: self.fixed.rows(scorer, self.longest))
            self.rows[id(scorer)] = 0, torch.empty(self.most + self.fixed.count, found.shape[1])
        filled, rows = self.rows[id(scorer)]
        rows[filled : filled + len(found)] = found
        self.rows[id(scorer)] = filled + len(found), rows

    def _check_memory(self, scorer, width):
        """Rows are there twice when they are compared."""
        free, kept = comfy.model_management.get_free_memory(torch.device("cpu")), sum(rows.nbytes for _, rows in self.rows.values())
        rows, matrices = 8 * self.most * width, 8 * MATRICES * self.most**2
        if kept + rows + matrices > free:
            gigabytes = lambda count: f"{count / 2**30:.1f} GB"
            raise ValueError(
                f"To compare {self.most} pictures the scorer {scorer.name} needs {gigabytes(rows)} and the selection {gigabytes(matrices)}, but {gigabytes(free - kept)} of memory are free: take fewer pictures, or in place of patches or lpips what says less of each, such as the class token of dinov2."
            )

    def _between(self, scorer, pool):
        if id(scorer) not in self.rows:
            return distances(scorer, pool, self.count, self.fixed)
        _, rows = self.rows.pop(id(scorer))
        if self.fixed.count:
            rows[self.count : self.count + self.fixed.count] = self.given[id(scorer)]
        between = lambda scorer, pool: scorer.between(rows[: self.count + self.fixed.count])
        return distances(scorer, Pool(None), self.count, self.fixed, between)
