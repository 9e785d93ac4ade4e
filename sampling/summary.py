"""What a run says on its node when it is done."""

from os.path import commonprefix
from textwrap import shorten

import numpy as np

# More seeds than that, or longer prompts, fill the node, not the reader; all are in the report.
MOST_SEEDS, MOST_LETTERS = 16, 40


def summary(run, unit="candidates", names="seeds"):
    """Up to five lines about a record.Run, one more for each kind of prompts that differ, its warnings after them. unit, names: what was
    chosen from and what it is called by."""
    lines = (_chosen(run, unit, names), *_prompts(run), _worth(run), _cost(run), _quality(run))
    return [line for line in lines if line] + run.notes + run.warnings


def _chosen(run, unit, names):
    called = run.seeds
    if run.settings.get("rows", 1) > 1:
        names, called = "rows (from 0)", [run.row(seed) for seed in run.seeds]
    shown = ", ".join(map(str, called[:MOST_SEEDS])) + " and more" * (len(called) > MOST_SEEDS)
    return f"{len(run.seeds)} of {run.settings['starting_candidates']} {unit}, {names} {shown}."


def _prompts(run):
    """Which of its prompts each of the group has, from the word on in which they differ."""
    for kind, texts in run.prompts.items():
        start = commonprefix(list(texts.values())).rfind(" ") + 1 if len(set(texts.values())) > 1 else 0
        shown = lambda text, start=start: "..." * bool(start) + shorten(text[start:], MOST_LETTERS, placeholder="...")
        said = [f'{seed} "{shown(texts[seed])}"' for seed in run.seeds[:MOST_SEEDS]]
        yield f"{kind.capitalize()}: {', '.join(said)}" + " and more" * (len(run.seeds) > MOST_SEEDS) + "."


def _worth(run):
    """The group's scores beside those of the pool that it was chosen from last."""
    if not run.rounds:
        return ""
    last = run.rounds[-1]
    kept = set(last.kept)
    group = np.array([seed in kept for seed in last.seeds])
    found = [("Difference", _mean_distance(last.pairwise), last.mean_distance)] if last.pairwise is not None and len(last.kept) > 1 else []
    scores = {} if last.to_fixed is None else {"Difference from what is given": last.to_fixed}
    scores |= last.parts or ({} if last.unary is None else {run.settings["unary"]: last.unary})
    found += [(name, np.nanmean(values[group]), np.nanmean(values)) for name, values in scores.items()]
    among = "" if len(last.kept) == len(last.seeds) else f" ({{:.3g}} among the last {len(last.seeds)})"
    return ", ".join(f"{name} {own:.3g}{among.format(pool)}" for name, own, pool in found) + "." * bool(found)


def _cost(run):
    if run.plan is None:
        return ""
    looks = f" and {run.plan.looked()} looks" if run.plan.price else ""
    if run.known:
        return f"{run.model_rows} model rows were sampled: {run.known} of {run.plan.start} candidates were kept from earlier runs."
    return f"{run.model_rows} model rows{looks}: {run.plan.cost:.1f} times the work of {run.plan.end} plain images."


def _quality(run):
    """When quality was looked at for the first time, if it was not from the first step on."""
    first = next((r.step for r in run.rounds if r.unary is not None), 0)
    return f"Quality was looked at from step {first + 1} of {run.settings['steps']} on." if first else ""


def _mean_distance(distances):
    return distances[np.triu_indices(len(distances), 1)].mean()
