"""A run that stops at one of its looks and asks. What is answered counts as if the inputs had said so from the start: the run begins anew,
and takes from what it has left and from the candidates that still live all that stays the same."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .inputs import check_numbers


class Answer(NamedTuple):
    """What may be changed, by the names of the nodes' inputs."""

    pinned: str
    banned: str
    lambda_score: float
    output_group_size: int


def nobody(record, now, check):
    """Where there is nobody to ask."""
    return now


@dataclass(frozen=True)
class Pause:
    """at: the share of the schedule from which on the first look asks, or the last look if there is none; 0: never. ask: called with the
    run's record, the Answer that its inputs are, and a function that raises ValueError for one that cannot be; returns an Answer. Raises
    ValueError for a share outside 0..1."""

    at: float = 0.0
    ask: Callable = nobody

    def __post_init__(self):
        check_numbers(pause_at=self.at)
        if self.at > 1:
            raise ValueError(f"pause_at is {self.at!r}, but must be a share of the schedule, from 0 to 1.")


class Changed(Exception):
    """To begin anew. before, answer: what the inputs said and what counts from now on; living: the trajectories so far, which nobody else
    holds; step: after which it was asked, from 0; warnings: so far, which go on to count."""

    def __init__(self, before, answer, living, step, warnings):
        self.inputs = {name: new for name, old, new in zip(Answer._fields, before, answer, strict=True) if new != old}
        self.answer, self.living, self.step, self.warnings = answer, living, step, warnings
        super().__init__(", ".join(f"{name}: {value if value != '' else 'nothing'}" for name, value in self.inputs.items()))

    def __str__(self):
        return f"Changed at the pause after step {self.step + 1}: {super().__str__()}."

    def as_data(self):
        """For the report."""
        return {"after_step": self.step + 1, "inputs": self.inputs}

    def let_go(self, taken):
        """All but those that are taken over."""
        # As in the hub: samplers that are stopped give back the mode in which they began.
        with torch.no_grad():
            for t in set(self.living) - set(taken):
                t.stop()
        self.living = []
