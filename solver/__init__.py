"""Choosing a subset: numpy only, and highspy where it is installed, usable without ComfyUI."""

from .objective import mean_weight, standard_distances, standard_scores, sum_of_distances
from .select import SET_FUNCTIONS, Selection, check_size, select
from .series import frontier, select_many

__all__ = [
    "SET_FUNCTIONS", "Selection", "check_size", "frontier", "mean_weight", "select", "select_many", "standard_distances",
    "standard_scores", "sum_of_distances",
]  # fmt: skip
