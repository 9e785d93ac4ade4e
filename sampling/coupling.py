"""Patches and guiders that make the images of a batch depend on each other, or on earlier calls.

Found by the host file that a function comes from and what it closes over, since nothing in the function itself says so. All
others of the host's patches were measured to keep images apart (tests/host/test_patches.py).
"""

import inspect

# Host file: (what users call it, which closures do it).
MIXING = {
    "nodes_mahiro": ("Mahiro", lambda closure: True),
    "nodes_perpneg": ("Perp-Neg", lambda closure: True),
    "nodes_slg": ("Skip Layer Guidance with rescaling", lambda closure: closure.get("rescaling_scale", 0) > 0),
    "nodes_tomesd": ("Tome", lambda closure: True),
}
REMEMBERING = {"nodes_apg": ("Adaptive Projected Guidance with momentum", lambda closure: closure.get("momentum", 0) != 0)}


def mixing(guider):
    """Names of what does not keep the images of a batch apart: candidates go into the model one at a time then."""
    # Context windows cut the list of a batch's sigmas as if it were frames.
    return _found(guider, MIXING) + (["Context windows"] if guider.model_options.get("context_handler") else [])


def refuse_memory(guider):
    """Raise ValueError for what keeps a sum over calls: it cannot be told apart by candidate."""
    found = _found(guider, REMEMBERING)
    if found:
        raise ValueError(
            f"The model carries {found[0]}, which adds up one call after the other and cannot tell candidates apart: set its momentum to 0, or remove that node from the model's path."
        )


def _found(guider, known):
    names = []
    for function in [type(guider), *_functions(guider.model_options)]:
        name, does_it = known.get(
            str(getattr(function, "__module__", "")).replace("\\", "/").replace(".", "/").split("/")[-1], (None, None)
        )
        if name and name not in names and does_it(inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}):
            names.append(name)
    return names


def _functions(options):
    if callable(options):
        yield options
    elif isinstance(options, dict | list | tuple | set):
        for value in options.values() if isinstance(options, dict) else options:
            yield from _functions(value)
