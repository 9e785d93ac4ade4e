"""Choosing a subset: numpy and highspy only, usable without ComfyUI."""

from .objective import balanced
from .select import Selection, select
from .series import frontier, select_many

__all__ = ["Selection", "balanced", "frontier", "select", "select_many"]
