"""Rows of a batch: which conditioning belongs to which candidate, who may share a model call, and how many fit one."""

import bisect
import copy
import math
from contextlib import contextmanager
from dataclasses import replace

import torch
from comfy.conds import CONDConstant, CONDList
from comfy.nested_tensor import NestedTensor
from comfy.samplers import CFGGuider, encode_model_conds

from . import variants
from .candidates import SEEDS


class RowConditioning:
    """Gives a guider the conditioning of just the rows in a call.

    The host repeats a single row to any batch but otherwise takes the first rows, whoever asks. A candidate has the entries of its
    variant, and grown from row r it uses entry r of every per-row tensor (modulo its length): what it gets when it is sampled alone.
    """

    def __init__(self, guider, candidates, shapes, first_seed):
        """candidates: all that will be in a call; shapes: of the latent's tensors; first_seed: of the run, see variants.py. Raises
        ValueError where some of the variants are gone."""
        self.lists = list(conditioning_lists(guider))
        self.conds = {kind: list(entries) for kind, _, entries in self.lists}
        self.first_seed = first_seed
        self.period = math.lcm(*map(variants.period, {**self.conds, **variants.given(guider)}.values()))
        models, latent_shapes = {kind: model for kind, model, _ in self.lists}, [(1, *shape[1:]) for shape in shapes]
        self._parts = {}
        for c in candidates:
            if (number := self._number(c)) not in self._parts:
                own = self.conds if self.period == 1 else variants.alone(guider, self.conds, number)
                kinds = (n for n, part in self._parts.items() if part.kind == n and variants.fit_one_batch(part.conds, own))
                self._parts[number] = Entries(own, models, c, latent_shapes, next(kinds, number))
        self.per_call = self.period > 1 or any(part.per_row for part in self._parts.values())

    def _number(self, candidate):
        return (candidate.seed - self.first_seed) % SEEDS % self.period

    def of(self, candidate):
        """Its Entries."""
        return self._parts[self._number(candidate)]

    @contextmanager
    def __call__(self, candidates):
        """Context in which the guider's lists hold what belongs to these candidates, one per row; its own is back afterwards."""
        for kind, _, entries in self.lists if self.per_call else ():
            entries[:] = self._together(kind, candidates)
        try:
            yield
        finally:
            for kind, _, entries in self.lists:
                entries[:] = self.conds[kind]

    def _together(self, kind, candidates):
        parts = [self.of(c) for c in candidates]
        if all(part is parts[0] for part in parts):
            return parts[0].rows(kind, candidates)
        each = [part.rows(kind, [c]) for part, c in zip(parts, candidates, strict=True)]
        return [variants.one_batch(rows) for rows in zip(*each, strict=True)]


class Entries:
    """All that conditions the candidates of one variant, of which each takes its row."""

    def __init__(self, conds, models, first, latent_shapes, kind):
        """conds: {list's name: entries}; models: {list's name: the model that encoded them}; first: any of these candidates, to see
        what depends on its seed; kind: the same for those that can be rows of one call."""
        self.conds, self.models, self.latent_shapes, self.kind = conds, models, latent_shapes, kind
        # The host hands out the first rows of a batch of control images, so calls must be of one row, each with its own.
        self.alone = any(rows > 1 for entries in conds.values() for c in entries for rows in _hints(c.get("control")))
        self._controls, self._own = {}, {}
        self.by_seed = self._depends_on_seed(first)
        self.per_row = (
            self.alone
            or bool(self.by_seed)
            or any(_rows(v) > 1 for entries in conds.values() for c in entries for v in [c.get("mask"), *c["model_conds"].values()])
        )

    def rows(self, kind, candidates):
        """The entries of a kind for these candidates, one per row."""
        return [self._pick_all(kind, i, cond, candidates) for i, cond in enumerate(self.conds[kind])]

    def _depends_on_seed(self, candidate):
        """(kind, index, key) of the tensors that are other ones for another seed: unCLIP and the like draw noise by it."""
        one, other = (self._encoded(replace(candidate, seed=seed)) for seed in (candidate.seed, candidate.seed ^ 1))
        places = [(kind, i, key) for kind, conds in one.items() for i, c in enumerate(conds) for key in c["model_conds"]]
        tensor = lambda conds, kind, i, key: conds[kind][i]["model_conds"][key].cond
        return [at for at in places if torch.is_tensor(tensor(one, *at)) and not torch.equal(tensor(one, *at), tensor(other, *at))]

    def _encoded(self, candidate):
        """The conditioning as the host encodes it for a run of this candidate alone."""
        encode = lambda kind, conds: encode_model_conds(
            self.models[kind].extra_conds, list(conds), candidate.noise, candidate.noise.device, kind, latent_image=candidate.latent_image,
            denoise_mask=candidate.denoise_mask, seed=candidate.seed, latent_shapes=self.latent_shapes,
        )  # fmt: skip
        # The noise is drawn from the global generators, which belong to whoever samples.
        with torch.random.fork_rng():
            return {kind: encode(kind, conds) for kind, conds in self.conds.items()}

    def _of_seed(self, candidate):
        """What depends on the seed, by (kind, index, key); encoded once per candidate."""
        if candidate.seed not in self._own:
            encoded = self._encoded(candidate)
            self._own[candidate.seed] = {(kind, i, key): encoded[kind][i]["model_conds"][key] for kind, i, key in self.by_seed}
        return self._own[candidate.seed]

    def _pick_all(self, kind, index, cond, candidates):
        rows = [c.row for c in candidates]

        def picked(key, value):
            at = (kind, index, key)
            if at in self.by_seed:
                return value._copy_with(torch.cat([self._of_seed(c)[at].cond for c in candidates]))
            if _rows(value) < 2:
                return value
            return value._copy_with([pick(t, rows) for t in value.cond] if isinstance(value, CONDList) else pick(value.cond, rows))

        out = {**cond, "model_conds": {key: picked(key, value) for key, value in cond["model_conds"].items()}}
        if cond.get("mask") is not None:
            out["mask"] = pick(cond["mask"], rows)
        if self.alone and cond.get("control") is not None:
            out["control"] = self._control(cond["control"], rows[0])
        return out

    def _control(self, control, row):
        """The control with the hint of a row; kept, since it prepares its hint once."""
        if control is not None and (control, row) not in self._controls:
            own = self._controls[control, row] = copy.copy(control)
            own.previous_controlnet = self._control(control.previous_controlnet, row)
            if getattr(control, "cond_hint_original", None) is not None:
                own.cond_hint, own.cond_hint_original = None, pick(control.cond_hint_original, [row])
                own.extra_concat_orig = [pick(mask, [row]) for mask in control.extra_concat_orig]
        return self._controls.get((control, row))

    def shapes(self, rows):
        """Sizes of all conditioning tensors as the host's memory estimate wants them, for a batch of `rows`."""
        sizes = {}
        for entries in self.conds.values():
            for cond in entries:
                for key, value in cond["model_conds"].items():
                    size = list(value.size())
                    sizes.setdefault(key, []).append([size[0] * rows, *size[1:]])
        return sizes


def conditioning_lists(guider):
    """(kind, model that encoded it, list of conditioning) wherever a guider keeps processed conditioning, found by what it holds:
    not only in `conds`, where a guider of two models has just one model's."""
    models = [value for value in vars(guider).values() if hasattr(value, "extra_conds")]
    another = next((model for model in models if model is not guider.inner_model), guider.inner_model)
    seen = {id(guider)}

    def search(name, value):
        if id(value) in seen:
            return
        seen.add(id(value))
        if (
            isinstance(value, list)
            and value
            and all(isinstance(c, dict) and c.get("model_conds", {}).keys() - {variants.MARK} for c in value)
        ):
            yield name, another, value
        elif isinstance(value, dict | list | tuple):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                yield from search(f"{name} {key}", part)
        elif isinstance(value, CFGGuider):
            for key, part in vars(value).items():
                yield from search(f"{name} {key}", part)

    for kind, entries in guider.conds.items():
        seen.add(id(entries))
        yield kind, guider.inner_model, entries
    for name, value in vars(guider).items():
        if name not in ("original_conds", "model_options"):
            yield from search(name, value)


def _rows(value):
    if isinstance(value, CONDList):
        return max((t.shape[0] for t in value.cond), default=1)
    if isinstance(value, CONDConstant):
        return 1
    tensor = getattr(value, "cond", value)
    return tensor.shape[0] if torch.is_tensor(tensor) and tensor.ndim else 1


def pick(tensor, rows):
    """These rows of a tensor or nested latent, by number modulo its length; one that has a single row serves all."""
    if tensor.is_nested:
        return NestedTensor([pick(t, rows) for t in tensor.unbind()])
    return tensor if tensor.shape[0] == 1 else tensor[[r % tensor.shape[0] for r in rows]]


def _hints(control):
    while control is not None:
        hint = getattr(control, "cond_hint_original", None)
        if hint is not None:
            yield hint.shape[0]
        control = control.previous_controlnet


def rows_that_fit(guider, entries, shape, wanted):
    """The largest number of requests of `shape` (usually one row each) for one model call, from 1 to `wanted`. entries: their Entries,
    of one of them where several share.

    By the host's own estimate and margin (comfy.samplers.calc_cond_batch). Larger is better: with offloaded weights
    each call moves the whole model once.
    """
    if entries.alone:
        return 1
    patcher, model = guider.model_patcher, guider.inner_model
    free = patcher.get_free_memory(patcher.load_device)
    conds = max(1, sum(map(len, entries.conds.values())))

    def needs_too_much(rows):
        needed = model.memory_required([rows * shape[0] * conds, *shape[1:]], cond_shapes=entries.shapes(rows * shape[0]))
        return needed * 1.5 > free

    return max(1, bisect.bisect_left(range(1, wanted + 1), True, key=needs_too_much))
