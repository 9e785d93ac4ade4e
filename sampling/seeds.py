"""Candidates by name: which ones start, and which of them are fixed or forbidden."""

import json
import re
from dataclasses import dataclass

from .candidates import SEEDS

MOST_NAMED = 4096
PART = re.compile(r"(row\s+)?(\d+)(?:\s*-\s*(\d+))?", re.IGNORECASE)


def parse(name, text, rows=None, first=0):
    """The seeds that a text names, in its order, each once: "3, 11, 40-47" or, of a latent of several different rows, "row 3", counted
    from 0, which has the seed first + 3. A report stands for the seeds of its group. name: of the input, for messages; rows: of the
    latent, None where rows have no names. Raises ValueError for any other text, and for more than 4096 seeds."""
    found = {}
    for part in filter(None, map(str.strip, re.split(r"[,;\n]", _seeds_of_report(text)))):
        match = PART.fullmatch(part)
        if not match:
            raise ValueError(f"{name} holds {part[:40]!r}: write seeds and ranges of them with commas between, such as 3, 11, 40-47.")
        row, low, high = match[1], int(match[2]), int(match[3] or match[2])
        if row and rows is None:
            raise ValueError(f"{name} holds {part!r}, but the latent is one for all candidates: name them by their seeds.")
        most = rows if row else SEEDS
        if not low <= high < most:
            raise ValueError(f"{name} holds {part!r}, but numbers must rise, and go from 0 to {most - 1}{' for rows' if row else ''}.")
        if high - low + len(found) >= MOST_NAMED:
            raise ValueError(f"{name} names more than {MOST_NAMED} seeds: name fewer.")
        found |= dict.fromkeys((number + first * bool(row)) % SEEDS for number in range(low, high + 1))
    return list(found)


def refuse_both(pinned, banned):
    """Raise ValueError for a seed that is in both."""
    if both := set(pinned) & set(banned):
        raise ValueError(f"The seed {min(both)} is both pinned and banned: take it out of one of them.")


def _seeds_of_report(text):
    if not str(text).lstrip().startswith("{"):
        return str(text)
    try:
        return ", ".join(map(str, json.loads(text)["seeds"]))
    except (ValueError, TypeError, KeyError):
        return str(text)


@dataclass(frozen=True)
class Members:
    """What the user says of candidates by name, in texts as `parse` takes them. seeds: exactly these start, instead of the first seed
    and the ones after it; pinned: are in every group, and start if they would not otherwise; banned: do not start."""

    seeds: str = ""
    pinned: str = ""
    banned: str = ""

    def named(self, first, rows):
        """(seeds, pinned, banned) as lists. Raises ValueError for what contradicts itself, or names what the latent does not have."""
        seeds, pinned, banned = (parse(name, text, rows if rows > 1 else None, first) for name, text in vars(self).items())
        for name, own in (("seeds", seeds), ("pinned", pinned), ("banned", banned)):
            strange = [seed for seed in own if (seed - first) % SEEDS >= rows] if rows > 1 else []
            if strange:
                raise ValueError(
                    f"{name} names the seed {strange[0]}, but the {rows} rows of the latent have the seeds {first} to {(first + rows - 1) % SEEDS}: name one of these, or row 0 to {rows - 1}."
                )
        refuse_both(pinned, banned)
        if both := set(seeds) & set(banned):
            raise ValueError(f"The seed {min(both)} is both in seeds and banned: take it out of one of them.")
        if seeds and (missing := set(pinned) - set(seeds)):
            raise ValueError(f"The seed {min(missing)} is pinned, but seeds, which names all that start, does not name it: add it there.")
        return seeds, pinned, banned

    def settings(self, first, rows):
        """For the report, by the names of the nodes' inputs: the seeds that are named, where any are."""
        return {name: seeds for name, seeds in zip(vars(self), self.named(first, rows), strict=True) if seeds}
