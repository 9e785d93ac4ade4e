"""What the user says of a plan."""

from dataclasses import dataclass, replace

import numpy as np

from ..scorers.reliability import GONE
from .inputs import check_numbers, check_whole_numbers
from .plan import budget_plan, paper_plan

SCHEDULES = ("budget", "paper")


@dataclass(frozen=True)
class Schedule:
    """kind: "budget" plans with `budget`, how many times the work of K plain images a run may take;
    "paper" with the other three, see paper_plan. Raises ValueError for what cannot be."""

    output_group_size: int
    starting_candidates: int = 16
    pruning_ratio: float = 0.5
    start_percent: float = 0.0
    kind: str = "paper"
    budget: float = 2.4

    def __post_init__(self):
        check_whole_numbers(starting_candidates=self.starting_candidates, output_group_size=self.output_group_size)
        check_numbers(pruning_ratio=self.pruning_ratio, start_percent=self.start_percent, budget=self.budget)
        if self.kind not in SCHEDULES:
            raise ValueError(f"schedule is {self.kind!r}, but must be one of {', '.join(SCHEDULES)}.")

    def plan(self, given, gone, objective, price=0.0):
        """The Plan for `given` candidates, None for as many as the settings say. gone [steps]: see noise_gone; objective: see
        choose.Objective; price: see Plan."""
        reached = lambda share: next((step for step, now in enumerate(gone) if now >= share), len(gone) - 1)
        trusted = [reached(share) for share in objective.trusted_from]
        first, last = min(trusted), max(trusted)
        if self.kind == "budget":
            by_latents, by_scores = (tuple(objective.knows(np.array(gone), scored).tolist()) for scored in (False, True))
            # Where the curves were measured, and where all scorers are trusted for the first time.
            tried = tuple(sorted({last, *map(reached, GONE)}))
            plan = budget_plan(self.output_group_size, self.budget, by_latents, by_scores, price, (tried, last), given)
        else:
            start = given or self.starting_candidates
            plan = paper_plan(start, self.output_group_size, len(gone), self.pruning_ratio, self.start_percent, first, last, price)
        return replace(plan, by="latents") if objective.latents_alone else plan

    def settings(self):
        """For the report, by the names of the nodes' inputs."""
        return {"schedule" if name == "kind" else name: value for name, value in vars(self).items()}
