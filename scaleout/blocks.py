"""Blocks of candidates: who shares model calls and looks, always the same ones, so that it makes no difference where a block is."""

from typing import NamedTuple

import torch

from ..sampling.ask import tell
from ..sampling.hub import Hub
from ..sampling.trajectory import Known
from ..scorers.pool import Told


class BlockHub(Hub):
    """A Hub whose calls never mix blocks, and whose size of calls does not depend on the memory that happens to be free: `fits` says what
    is, and whoever leads many of these agrees on `most_rows`."""

    def fits(self, block_size):
        """The largest call for candidates of one block that this device has memory for."""
        return min(
            super(BlockHub, self)._rows_that_fit(self.conditioning.of(t.candidate), t.candidate.noise.shape, block_size)
            for t in self.living
        )

    def _rows_that_fit(self, entries, shape, wanted):
        return 1 if entries.alone else wanted


def trajectories(ground, blocks):
    """Of the candidates of blocks, see crew.Site, that grow from a Ground, from their first step."""
    named = [(name, own) for name, block in blocks for own in block]
    found = [ground.trajectory(candidate, Known()) for candidate in ground.candidates([own for _, own in named])]
    for t, (name, _) in zip(found, named, strict=True):
        t.block = name
    return found


class Part(NamedTuple):
    """What a look finds in one block, as plain data. answers: see ask.tell; small: pictures to be kept; images: as scorers see them, where
    one has to see all at once, else None; size: (height, width) of the pictures, None without."""

    answers: dict
    small: list
    images: torch.Tensor | None
    size: tuple[int, int] | None


def part_of(eyes, trajectories, places, moment):
    """The Part of these candidates; places: of the scorers, among those of the objective."""
    scorers = [eyes.objective.scorers[place] for place in places]
    pool, small = eyes.look(trajectories, scorers, moment)
    answers = tell(pool, eyes.objective, places)
    at_once = any(s.needs_images and place not in answers for place, s in zip(places, scorers, strict=True))
    size = None if pool.images is None else tuple(pool.images.shape[-3:-1])
    return Part(answers, small, pool.images if at_once else None, size)


def joined(eyes, living, blocks, parts, moment):
    """(Pool, small pictures) of the living, see look.Eyes, of the Parts of their blocks; blocks: lists of trajectories."""
    at = {t.candidate.seed: place for place, t in enumerate(t for block in blocks for t in block)}
    order = [at[t.candidate.seed] for t in living]
    together = lambda tensors: torch.cat(list(tensors))[order]
    scorers = eyes.objective.scorers
    answers = {
        id(scorers[place]): [together(pieces) for pieces in zip(*(part.answers[place] for part in parts), strict=True)]
        for place in parts[0].answers
    }
    small = [picture for part in parts for picture in part.small]
    images = None if parts[0].images is None else together(part.images for part in parts)
    pool = eyes.pool(living, images, moment)
    pool.told = Told(answers, parts[0].size)
    return pool, [small[i] for i in order] if small else []
