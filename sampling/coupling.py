"""Patches and guiders that make the images of a batch depend on each other, or on earlier calls.

What depends on others in the same call is seen by looking: one candidate is evaluated in the batch and alone. Some of the host's
patches are known by name too, since they begin later in the schedule or do less than low precision does. What depends on
earlier calls cannot be seen in one and is refused by name.
"""

import inspect
import weakref

import torch

# Host file: (what users call it, which closures do it).
MIXING = {
    "nodes_mahiro": ("Mahiro", lambda closure: True),
    "nodes_perpneg": ("Perp-Neg", lambda closure: True),
    "nodes_slg": ("Skip Layer Guidance with rescaling", lambda closure: closure.get("rescaling_scale", 0) > 0),
    "nodes_tomesd": ("Tome", lambda closure: True),
    "nodes_video_model": ("Video CFG guidance", lambda closure: True),
}
CACHING = {"nodes_flux": ("Flux KV Cache", lambda closure: True)}
REMEMBERING = {"nodes_apg": ("Adaptive Projected Guidance with momentum", lambda closure: closure.get("momentum", 0) != 0)}

# How far apart a prediction in a batch and alone may lie, by root mean square and in units of what the model changed, at guidance
# 1. Measured on the CPU, 19 architectures at guidance 4: float32 up to 4.5e-6, float16 and bfloat16 0, since both are summed
# in float32 there; patches that mix, 5e-4 to 2.5e-1. On accelerators rounding depends on the size of the batch: these allow
# for several units in the last place per layer, in float32 for convolutions in TF32.
ROUNDING = {torch.float32: 3e-5, torch.float16: 1e-2, torch.bfloat16: 3e-2}

# How many rows of a call were seen to be kept apart, by what could change that: {patcher: {(guider, its numbers, conditioning): rows}}.
_kept_apart = weakref.WeakKeyDictionary()


class BatchCheck:
    """Whether this guider gives a candidate in a batch what it gives it alone.

    rows: how many rows of a call are known to be kept apart, from this run or an earlier one of the same model, patches and kind
    of conditioning.
    """

    def __init__(self, guider):
        self.guider = guider
        self.numbers = tuple(v for v in vars(guider).values() if isinstance(v, int | float))
        keys = {key for entries in guider.conds.values() for cond in entries for key in (*cond, *cond["model_conds"])}
        self.signature = type(guider), self.numbers, frozenset(keys)

    @property
    def rows(self):
        return _kept_apart.get(self.guider.model_patcher, {}).get(self.signature, 1)

    def agree(self, x, together, alone, rows):
        """Whether the prediction for x in a call of `rows` rows is the one that it gets alone, up to rounding; noted if so."""
        x, together, alone = (torch.nan_to_num(t.float(), 1e6, 1e6, -1e6) for t in (x, together, alone))
        apart = float((together - alone).norm() / (alone - x).norm().clamp(min=1e-30))
        # Guidance multiplies the difference of two predictions, and their rounding errors with it.
        amplified = max(1.0, *map(abs, self.numbers)) if self.numbers else 1.0
        if apart > self._rounding() * amplified:
            return False
        _kept_apart.setdefault(self.guider.model_patcher, {})[self.signature] = rows
        return True

    def _rounding(self):
        dtype = self.guider.inner_model.get_dtype_inference()
        if dtype is torch.float32 and self.guider.model_patcher.load_device.type != "cpu":
            dtype = torch.float16
        return ROUNDING.get(dtype, ROUNDING[torch.bfloat16])


def mixing(guider):
    """Names of what is known to keep the images of a batch not apart: candidates go into the model one at a time then."""
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
