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
CACHING = {"nodes_flux": ("Flux KV Cache", lambda closure: True)}
REMEMBERING = {"nodes_apg": ("Adaptive Projected Guidance with momentum", lambda closure: closure.get("momentum", 0) != 0)}


def mixing(guider):
    """Names of what does not keep the images of a batch apart: candidates go into the model one at a time then."""
    # Context windows cut the list of a batch's sigmas as if it were frames.
    return _found(guider, MIXING) + (["Context windows"] if guider.model_options.get("context_handler") else [])


def refuse_caches(guider):
    """Raise ValueError if the model carries a cache that carries state from call to call.

    EasyCache and its kin keep a difference of the last call and add it to the next, whoever is in it: with candidates
    leaving the batch that is wrong or crashes. They all register under a name with "cache" in it, except the patch that
    keeps keys and values of reference images.
    """
    options = guider.model_options.get("transformer_options", {})
    names = {str(name) for name in options} | {str(name) for by_name in options.get("wrappers", {}).values() for name in by_name}
    found = sorted(name for name in names if "cache" in name.lower()) + _found(guider, CACHING)
    if found:
        raise ValueError(
            f"The model carries {found[0]}, which reuses one call's result in the next and cannot follow candidates that leave the batch: remove that node (EasyCache, LazyCache or the like) from the model's path."
        )


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
