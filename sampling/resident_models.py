"""Keeping the sampling model on its device while scorers and the VAE use the memory in between."""

from contextlib import contextmanager

import comfy.model_management


@contextmanager
def models_kept():
    """What is loaded for sampling is loaded again afterwards, if the host had to make room for something else."""
    loaded = comfy.model_management.loaded_models(only_currently_used=True)
    try:
        yield
    finally:
        comfy.model_management.load_models_gpu(loaded)
