"""Variants: entries of a conditioning that belong to some candidates only, as Group Prompts marks them.

A candidate's number is its seed less the first one of the run. An entry that is marked with i of N belongs to the candidates whose
number is i modulo N, one without a mark to all. The mark lies among an entry's options, which the host's nodes copy.
"""

import itertools
import math
from typing import NamedTuple

import torch
from comfy.conds import CONDConstant
from comfy.samplers import apply_empty_x_to_equal_area, create_cond_with_same_area_if_none

MARK = "group_variant"
# What the host puts on entries of other kinds when a positive one has it.
SPREAD = ("control", "gligen")


class Variant(NamedTuple):
    index: int
    count: int
    text: str


class OneOfMany(CONDConstant):
    """Among what the host evaluates an entry by. A sampler that knows nothing of variants would mix them all: it stops here."""

    def process_cond(self, batch_size, **kwargs):
        raise ValueError(
            "The conditioning holds several prompts of Group Prompts, one for each candidate, and here they would all be mixed: connect it to Group KSampler, or to a guider that samples with a Group Sampler."
        )


# One object for all, so that the same prompts encoded again are known again as the same.
ONE_OF_MANY = OneOfMany(None)


def marked(parts, texts):
    """One CONDITIONING of several: part n modulo their count is the candidate's of number n. texts: each part in words."""
    whole = []
    for i, (part, text) in enumerate(zip(parts, texts, strict=True)):
        for tensor, options in part:
            encoded = {key: value for key, value in options.get("model_conds", {}).items() if key != MARK}
            if len(parts) > 1:
                encoded[MARK] = ONE_OF_MANY
            whole.append([tensor, {**options, MARK: Variant(i, len(parts), text), "model_conds": encoded}])
    return whole


def parts_of(conditioning, most):
    """([part, ...], [its text, or None]) of a CONDITIONING: what a candidate has of it, for as many candidates as differ. Raises
    ValueError for an empty one, and for more than `most` parts."""
    if not conditioning:
        raise ValueError("more is an empty conditioning: connect one that holds a prompt, or none.")
    count = period([options for _, options in conditioning])
    if count > most:
        raise ValueError(f"more stands for {count} prompts, but beside those of the text there may be only {most}: connect fewer.")
    parts = [[entry for entry in conditioning if belongs(entry[1], number)] for number in range(count)]
    return parts, [text_of([options for _, options in part], number) for number, part in enumerate(parts)]


def belongs(entry, number):
    """Whether an entry's options say that it belongs to the candidate of this number."""
    mark = entry.get(MARK)
    return mark is None or number % mark.count == mark.index


def period(entries):
    """After how many candidates entries are the same again, 1 without variants. Raises ValueError where some of the variants are gone."""
    found = {}
    for mark in (entry[MARK] for entry in entries if MARK in entry):
        found.setdefault(mark.count, set()).add(mark.index)
    for count, indices in found.items():
        if len(indices) < count:
            raise ValueError(
                f"Of the {count} prompts of Group Prompts {count - len(indices)} did not reach the sampler: take out the node behind Group Prompts that keeps only part of a conditioning."
            )
    return math.lcm(*found)


def given(guider):
    """{kind: entries} of a guider's conditioning as it was connected, before the host made it ready for a run."""
    before = getattr(guider, "original_conds", guider.conds)
    return {kind: before.get(kind, []) for kind in guider.conds}


def prompts(guider, numbers):
    """{kind: {seed: text}} for the kinds of conditioning that are marked. numbers: {seed: number} of the candidates."""
    marked = {kind: entries for kind, entries in given(guider).items() if text_of(entries, 0) is not None}
    return {kind: {seed: text_of(entries, number) for seed, number in numbers.items()} for kind, entries in marked.items()}


def text_of(entries, number):
    """What the variants of this candidate say, different texts with commas between; None where none of its entries is marked."""
    texts = [entry[MARK].text for entry in entries if MARK in entry and belongs(entry, number)]
    return ", ".join(dict.fromkeys(texts)) if texts else None


def left_out(guider, numbers):
    """A sentence for each kind of conditioning that holds more variants than there are candidates."""
    found = []
    for kind, entries in given(guider).items():
        whole = period(entries)
        unused = whole - len({number % whole for number in numbers.values()})
        if unused:
            found.append(
                f"The {kind} conditioning holds {whole} prompts, of which {unused} take no part, because only {len(numbers)} candidates start: raise budget or starting_candidates."
            )
    return found


def alone(guider, conds, number):
    """{kind: entries} as the host would process them for a run of this candidate alone, from what it made of all entries together.
    conds: {kind: entries} of every list that the guider keeps.

    What the host derives from one entry for others (comfy.samplers.process_conds: an opposite for each area, controls and gligen
    for the negative) may come from another candidate's entry, so it is taken out and derived anew.
    """
    own = {kind: [_unmarked(c) for c in entries if belongs(c, number)] for kind, entries in conds.items()}
    before = {kind: {c.get("uuid"): c for c in entries} for kind, entries in given(guider).items()}
    for kind in before:
        opposite = {uuid for other, entries in before.items() if other != kind for uuid in entries}
        own[kind] = [c for c in own[kind] if c.get("uuid") not in opposite]
        if kind != "positive":
            own[kind] = [_as_given(c, before[kind].get(c.get("uuid"), c)) for c in own[kind]]
    for kind, other in itertools.permutations(before, 2):
        for c in own[kind]:
            create_cond_with_same_area_if_none(own[other], c)
    positive, as_it_is = own.get("positive", []), lambda found, i: found[i]
    for kind in before.keys() - {"positive"}:
        apply_empty_x_to_equal_area([c for c in positive if c.get("control_apply_to_uncond")], own[kind], "control", as_it_is)
        apply_empty_x_to_equal_area(positive, own[kind], "gligen", as_it_is)
    return own


def _unmarked(entry):
    encoded = {key: value for key, value in entry["model_conds"].items() if key != MARK}
    return {**{key: value for key, value in entry.items() if key != MARK}, "model_conds": encoded}


def _as_given(entry, given):
    """An entry without what the host put on it from others."""
    return {key: value for key, value in entry.items() if key not in SPREAD or key in given}


def fit_one_batch(a, b):
    """Whether the entries of two candidates, {kind: entries}, can be rows of one call: nothing differs but numbers in tensors."""
    return all(len(a[kind]) == len(b[kind]) and all(map(_alike, a[kind], b[kind])) for kind in a)


def _alike(a, b):
    # Raw tensors are what the host has encoded already; of them only a mask is read again.
    rest = ({k: torch.is_tensor(v) or v for k, v in entry.items() if k not in ("model_conds", "uuid")} for entry in (a, b))
    a, b = a["model_conds"], b["model_conds"]
    return equal(*rest) and a.keys() == b.keys() and all(a[k].can_concat(b[k]) and a[k].size() == b[k].size() for k in a)


def one_batch(entries):
    """An entry with the rows of several, for which `fit_one_batch` holds."""
    first = entries[0]
    same = lambda values: all(value is values[0] for value in values)
    out = {**first, "model_conds": {}}
    for key, value in first["model_conds"].items():
        values = [entry["model_conds"][key] for entry in entries]
        out["model_conds"][key] = value if same(values) else value._copy_with(value.concat(values[1:]))
    if first.get("mask") is not None:
        out["mask"] = torch.cat([entry["mask"] for entry in entries])
    return out


def equal(a, b):
    """Whether two values hold the same: tensors where they are the same object."""
    if a is b:
        return True
    if type(a) is not type(b) or torch.is_tensor(a):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(v, b[k]) for k, v in a.items())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)
