"""Where models are while candidates are looked at: together on the device if they fit, else in turns."""

from contextlib import contextmanager

import comfy.model_management


def load_together(patchers):
    """One load for the sampling model and all that looks at its pictures. False, and nothing is loaded, where the memory that is
    free now cannot hold them beside what inference needs: then each selection loads them in turns."""
    host = comfy.model_management
    loaded, needed = host.loaded_models(only_currently_used=True), {}
    for patcher in patchers:
        if patcher not in loaded and patcher.load_device.type != "cpu":
            needed[patcher.load_device] = needed.get(patcher.load_device, 0) + patcher.model_size()
    if any(size + host.minimum_inference_memory() > host.get_free_memory(device) for device, size in needed.items()):
        return False
    host.load_models_gpu([*loaded, *patchers])
    return True


@contextmanager
def models_kept():
    """What is loaded for sampling is loaded again afterwards, if the host had to make room for something else."""
    loaded = comfy.model_management.loaded_models(only_currently_used=True)
    try:
        yield
    finally:
        comfy.model_management.load_models_gpu(loaded)
