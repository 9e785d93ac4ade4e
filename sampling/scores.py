"""What scorers have said of a look: kept as long as those who were asked live."""

import weakref
from contextlib import suppress

from ..scorers.combine import terms


class Scores:
    """Raw scores of one look at the same candidates, each asked for once; for ask.of_pool."""

    def __init__(self):
        self._found = []

    def once(self, ask, *asked):
        """ask(), or what it gave before for the same ones that were asked."""
        if (found := self._known(*asked)) is None:
            found = ask()
            with suppress(TypeError):  # another pack's, which cannot be watched, is asked again
                self._found.append(([weakref.ref(one) for one in asked], found))
        return found

    def missing(self, objective):
        """The scorers of an Objective that have not been asked yet."""
        asked = [(s,) for s, _ in terms(objective.unary)] + [(s, *objective.fixed.given) for s, _ in terms(objective.pairwise)]
        return [scorer for scorer, *fixed in asked if self._known(scorer, *fixed) is None]

    def _known(self, *asked):
        alike = lambda referents: len(referents) == len(asked) and all(r() is one for r, one in zip(referents, asked, strict=True))
        return next((scores for referents, scores in self._found if alike(referents)), None)
