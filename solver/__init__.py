"""Choosing a subset: numpy and highspy only, usable without ComfyUI."""

from .objective import balanced
from .select import Selection, select

__all__ = ["Selection", "balanced", "select"]
