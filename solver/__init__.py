"""Choosing a subset: numpy and highspy only, usable without ComfyUI."""

from .objective import balanced
from .select import SET_FUNCTIONS, Selection, select
from .series import frontier, select_many

__all__ = ["SET_FUNCTIONS", "Selection", "balanced", "frontier", "select", "select_many"]
