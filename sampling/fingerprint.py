"""Whether two runs are the same but for who is chosen: what a candidate's steps depend on, as one short text."""

import hashlib
import types
import weakref
from functools import partial

import torch
from comfy.samplers import CFGGuider, Sampler

# Of a guider and its options: what only lives while it samples. Of conditioning: a name that the host makes up anew.
TRANSIENT = {"conds", "inner_model", "loaded_models", "multigpu_thread_pool", "uuid"}


class Fingerprint:
    """digest: equal where all `parts` are, tensors by their numbers, containers, samplers and guiders by what they hold, models and all
    other objects as themselves. Valid while these live: another object may get their place in memory."""

    def __init__(self, *parts):
        self._hash, self._referents, self._seen = hashlib.blake2b(digest_size=16), [], {}
        self._add(parts)
        self.digest = self._hash.hexdigest()
        del self._hash, self._seen

    @property
    def valid(self):
        return all(referent() is not None for referent in self._referents)

    def _add(self, value):
        kind = type(value)
        self._hash.update(f"{kind.__module__}.{kind.__qualname__}:".encode())
        if torch.is_tensor(value) and not value.is_nested:
            self._say(value.dtype, tuple(value.shape))
            self._hash.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        elif getattr(value, "is_nested", False):
            self._add(value.unbind())
        elif isinstance(value, dict | list | tuple | CFGGuider | Sampler) and id(value) in self._seen:
            self._say(self._seen[id(value)][0])  # objects may hold each other
        elif isinstance(value, CFGGuider | Sampler):
            self._see(value)
            self._add(vars(value))
        elif isinstance(value, dict):
            self._see(value)
            self._say(len(value))
            for key in sorted(value, key=repr):
                if key not in TRANSIENT:
                    self._say(key)
                    self._add(value[key])
        elif isinstance(value, list | tuple):
            self._see(value)
            self._say(len(value))
            for part in value:
                self._add(part)
        elif isinstance(value, types.MethodType):
            self._add(value.__self__)
            self._add(value.__func__)
        elif isinstance(value, partial):
            for part in (value.func, value.args, value.keywords):
                self._add(part)
        elif value is None or isinstance(
            value, bool | int | float | complex | str | bytes | torch.dtype | torch.device | torch.Size | range
        ):
            self._say(value)
        else:
            self._itself(value)

    def _see(self, value):
        # Kept until all is added, so that nothing else gets its place in memory.
        self._seen[id(value)] = len(self._seen), value

    def _say(self, *words):
        self._hash.update(repr(words).encode())

    def _itself(self, value):
        try:
            self._referents.append(weakref.ref(value))
            self._say(id(value), getattr(value, "patches_uuid", None))
        except TypeError:  # what nobody can watch is never the same again
            self._say(id(self), len(self._referents))
            self._referents.append(lambda: None)
