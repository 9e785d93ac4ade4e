"""What scorers say of a pool: checked, and kept as long as those who were asked live."""

import weakref
from contextlib import suppress

import comfy.model_management
import torch

from ..scorers.combine import terms
from .notices import in_one_line


class Scores:
    """Raw scores of one look at the same candidates, each asked for once."""

    def __init__(self):
        self._found = []

    def unary(self, scorer, pool, count):
        """Of `count` candidates, float64 [M]. Raises ValueError, see answer."""
        return self._once(lambda: answer(scorer, pool, (count,)), scorer)

    def pairwise(self, scorer, pool, count, fixed):
        """Of `count` candidates and, after them, the FixedMembers, float64 [M + F, M + F]. Raises ValueError, see answer."""
        return self._once(lambda: answer(scorer, pool, (count + fixed.count,) * 2, fixed.score), scorer, *fixed.given)

    def missing(self, objective):
        """The scorers of an Objective that have not been asked yet."""
        asked = [(s,) for s, _ in terms(objective.unary)] + [(s, *objective.fixed.given) for s, _ in terms(objective.pairwise)]
        return [scorer for scorer, *fixed in asked if self._known(scorer, *fixed) is None]

    def _known(self, *asked):
        alike = lambda referents: len(referents) == len(asked) and all(r() is one for r, one in zip(referents, asked, strict=True))
        return next((scores for referents, scores in self._found if alike(referents)), None)

    def _once(self, ask, *asked):
        if (found := self._known(*asked)) is None:
            found = ask()
            with suppress(TypeError):  # another pack's, which cannot be watched, is asked again
                self._found.append(([weakref.ref(one) for one in asked], found))
        return found


def answer(scorer, pool, shape, ask=lambda scorer, pool: scorer.score(pool)):
    """A scorer's answer as float64 of this shape, of pictures the mean over a video's frames. Raises ValueError that names a scorer
    which fails or answers otherwise."""
    apart = scorer.needs_images and not getattr(scorer, "over_frames", False)
    try:
        answers = [ask(scorer, part) for part in (pool.frames if apart else [pool])]
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
