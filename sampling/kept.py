"""What runs leave: candidates as far as they got, so that to choose again is not to sample again, and pictures of them to look at.

A pool belongs to one set-up (see fingerprint.py). Its candidates are exact: a later run takes their steps from here and samples only
what is missing.
"""

import logging
import uuid
import weakref
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import comfy.utils
import folder_paths
import safetensors
import safetensors.torch
import torch
from comfy.nested_tensor import NestedTensor

from .notices import in_one_line
from .preview import decode, first_tensor, paint, small
from .scores import Scores
from .trajectory import Known, StepDone

GONE = "What this report's run left is no longer kept (the oldest go first, and all when ComfyUI ends): change the seed or another input of its sampler and run it again."
# Of pictures, longest side.
SIDE = 256
# Of each pool: looks whose scores are kept.
MOST_LOOKS = 64
# Bytes of tensors. Above the first the oldest pools go to the host's temp folder, which it empties when it starts and ends; above the
# second the oldest are gone.
MOST_IN_MEMORY, MOST_IN_ALL = 512 * 2**20, 4 * 2**30


@dataclass
class Kept:
    """How far a candidate got. steps: the sampler's own numbers of those that it has done; guidance: after each of them, see
    trajectory.Trajectory. In the pool's `tensors` its x0 are by (seed, row, index of the step), pictures by that and "picture", and its
    finished latent by (seed, row, "result")."""

    steps: list[int] = field(default_factory=list)
    guidance: list[float] = field(default_factory=list)


class KeptPool:
    """id: by which reports name it; candidates: Kept by (seed, row). latent_format: of the model; shapes: of the latent's tensors, of
    which the host packs several into one."""

    def __init__(self, fingerprint, latent_format, shapes):
        self.fingerprint, self.id = fingerprint, uuid.uuid4().hex
        self.latent_format, self.shapes = latent_format, shapes
        self.candidates, self.tensors, self._scores = {}, Tensors(), {}

    def known(self, candidate, plan):
        """What need not be sampled again of a candidate in a run with this plan, for which x0 has to be there wherever it looks."""
        key, device = (candidate.seed, candidate.row), candidate.noise.device
        kept, steps, alive = self.candidates.get(key, Kept()), [], plan.start
        for i, step in enumerate(kept.steps):
            x0 = self.tensors.get((*key, i))
            if plan.after(step) < alive and x0 is None:
                return Known(steps, kept.guidance)
            alive = plan.after(step)
            steps.append(StepDone(step, None if x0 is None else x0.to(device), None))
        result = self.tensors.get((*key, "result"))
        return Known(steps, kept.guidance, None if result is None else result.to(device))

    def keep(self, trajectory, result=False):
        """A trajectory as it is now; result: with its finished latent."""
        key = trajectory.candidate.seed, trajectory.candidate.row
        kept = self.candidates.setdefault(key, Kept())
        if len(trajectory.steps) >= len(kept.steps):
            kept.steps, kept.guidance = list(trajectory.steps), list(trajectory.guidance_after)
        if trajectory.last and trajectory.last.x0 is not None:
            self.tensors[(*key, len(trajectory.steps) - 1)] = trajectory.last.x0
        if result:
            self.tensors[(*key, "result")] = trajectory.result

    def keep_picture(self, trajectory, picture):
        """picture: small, [h, w, 3] uint8, of the step that it has done last."""
        at = trajectory.candidate.seed, trajectory.candidate.row, len(trajectory.steps) - 1, "picture"
        self.tensors[at] = picture

    def latents(self, named):
        """The last x0 of candidates by (seed, row, step or None), up to that step, as a latent batch of the host's. Raises ValueError for
        one that is not there."""
        x0 = torch.cat([self._x0(*name) for name in named])
        parts = comfy.utils.unpack_latents(self.latent_format.process_out(x0), self.shapes)
        return parts[0] if len(parts) == 1 else NestedTensor(parts)

    def picture(self, seed, row, step=None, vae=None):
        """A picture [h, w, 3] uint8 of a candidate's last x0 up to that step: by the VAE, or the one that scorers saw, or a coarse one;
        None where latents are no pictures. Raises ValueError if there is nothing of it."""
        x0 = first_tensor(self._x0(seed, row, step), self.shapes)
        if vae is not None:
            return small(decode(vae, self.latent_format.process_out(x0), SIDE)[0], SIDE)
        seen = self._last(seed, row, step, "picture")
        return paint(x0, self.latent_format) if seen is None else seen

    def _x0(self, seed, row, step):
        found = self._last(seed, row, step)
        if found is None:  # of a sampler that says nothing of its steps
            found = self.tensors.get((seed, row, "result"))
        if found is None:
            raise ValueError(GONE)
        return found

    def _last(self, seed, row, step, *kind):
        """Of a candidate's tensors of this kind the latest one up to a step, None if there is none."""
        steps = self.candidates.get((seed, row), Kept()).steps
        names = [(seed, row, i, *kind) for i, own in enumerate(steps) if step is None or own <= step]
        return next((found for name in reversed(names) if (found := self.tensors.get(name)) is not None), None)

    def scores(self, vae, *look):
        """The Scores of a look that these words name, at pictures by this VAE, None for another decoder."""
        by, scores = self._scores.get(look, (None, None))
        if by is None or by() is not vae:
            by, scores = (lambda: None) if vae is None else weakref.ref(vae), Scores()
            self._scores[look] = by, scores
        while len(self._scores) > MOST_LOOKS:
            del self._scores[next(iter(self._scores))]
        return scores

    def drop(self):
        """Let go of all that takes memory: boards and reports may still know of the pool."""
        self.tensors.drop()
        self._scores.clear()


class Tensors:
    """Tensors by a tuple of words, on the CPU or, once put away, in a file. What the disk loses or does not take is gone, which costs
    time and nothing else."""

    def __init__(self):
        self._held, self._file, self._there = {}, None, set()
        self.bytes = 0

    def __setitem__(self, key, tensor):
        if key not in self._held and key not in self._there:
            self._held[key] = tensor.detach().to("cpu", copy=True).contiguous()
            self.bytes += self._held[key].nbytes

    def get(self, key):
        if key in self._there:
            try:
                with safetensors.safe_open(self._file, "pt") as file:
                    return file.get_tensor(_name(key))
            except (OSError, safetensors.SafetensorError) as e:
                self._lose(e)
        return self._held.get(key)

    @property
    def held_bytes(self):
        return sum(tensor.nbytes for tensor in self._held.values())

    def put_away(self):
        """Into a file of the host's temp folder."""
        held = {key: self.get(key) for key in self._there} | self._held
        path = Path(folder_paths.get_temp_directory()) / f"group_pool_{uuid.uuid4().hex}.safetensors"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            safetensors.torch.save_file({_name(key): tensor for key, tensor in held.items()}, path)
        except (OSError, safetensors.SafetensorError) as e:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            self._lose(e)
            return
        self.drop()
        self._file, self._there, self.bytes = path, set(held), sum(tensor.nbytes for tensor in held.values())

    def _lose(self, error):
        logging.warning("What a group left is no longer kept, since the temp folder fails (%s).", in_one_line(error))
        self.drop()

    def drop(self):
        if self._file:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
        self._held, self._file, self._there, self.bytes = {}, None, set(), 0


def _name(key):
    return " ".join(map(str, key))


class Store:
    """Pools by use, the oldest first."""

    def __init__(self):
        self._pools = OrderedDict()

    def pool(self, fingerprint, latent_format, shapes):
        """The pool of a set-up, a new one if there is none; see KeptPool."""
        pool = self._pools.pop(fingerprint.digest, None)
        if pool is None or not pool.fingerprint.valid:
            if pool:
                pool.drop()
            pool = KeptPool(fingerprint, latent_format, shapes)
        self._pools[fingerprint.digest] = pool
        self.trim()  # runs that were interrupted have left something too
        return pool

    def by_id(self, pool_id):
        """The pool that a report names. Raises ValueError if it is gone."""
        found = next((pool for pool in self._pools.values() if pool.id == pool_id), None)
        if found is None:
            raise ValueError(GONE)
        return found

    def clear(self):
        while self._pools:
            self._pools.popitem()[1].drop()

    def trim(self):
        """Keep within the limits."""
        for pool in self._pools.values():
            if sum(p.tensors.held_bytes for p in self._pools.values()) > MOST_IN_MEMORY and pool.tensors.held_bytes:
                pool.tensors.put_away()
        while sum(p.tensors.bytes for p in self._pools.values()) > MOST_IN_ALL:
            self._pools.popitem(last=False)[1].drop()


STORE = Store()
