"""python3 dev.py bench groups: what a group of K pictures is worth and what it costs, by this pack and by what people use instead.

All get the same prompts and seeds. Each prompt's pool is denoised once and kept in build/bench; policies are replayed on it, those with
few candidates on each of its disjoint parts, whose mean counts. So a run that was stopped goes on, and one with other policies takes
minutes. Leaves build/bench/groups_SETTING.json and .png.
"""

import argparse
import json
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from tqdm import tqdm

from .pack import load_host, load_pack

load_host(*([] if torch.cuda.is_available() else ["--cpu"]))
load_pack()

from group_inference.garden.scenes import caption  # noqa: E402

from . import pools  # noqa: E402
from .policies import SHIPPED, SIZES, best_of, budgets, offered, plain, random_schedule, read, reference  # noqa: E402
from .replay import BOTH, COUNTS, Outcome, Policy, figures, measure_costs, replay, took  # noqa: E402
from .rivals import Rival, rivals  # noqa: E402
from .statistics import cell, interval, machine, plot, table  # noqa: E402

SHOWN = {"u": 4, "distance": 3, "smallest": 3, "vendi": 2, "right": 3, "distinct": 3, "answers": 3, "pixels": 3}
GAINS = {"objective": 2, "distance": 3, "vendi": 2, "smallest": 3, "right": 3, "distinct": 3, "answers": 3, "pixels": 3}
COSTS = {"rows": 0, "looks": 0, "seconds": 2}
SAME_SEEDS = "plain, the rivals' seeds"
DEFAULT_BUDGET = 2.4
# Of a pool's disjoint parts, so that figures of small policies do not hang on the luck of one; where nothing is chosen more cost nothing.
MOST_BLOCKS, MOST_PLAIN_BLOCKS = 4, 16
FAMILIES = ("plain", "finished", "text alone", "budget", "by half", "objectives", "free", "searched", "drafts", "pink noise", "rivals")
MEANING = """u: cosine of CLIP text and picture; distance, smallest: mean and least 1 - cos of DINOv2 patches; vendi: effective number of pictures.
Never seen by a selection: right: share that shows all that is asked; distinct: different values of what the prompt leaves open, over K;
answers: the same among right pictures; pixels: root mean square difference at 8 x 8. ±: half of the 95% bootstrap interval over prompts.
rows: candidates x steps; looks: pictures decoded and scored; seconds: of one thread, for model, looks and solver, added up from parts."""


class Bench:
    """One setting. found: {K: {policy: {figure: [P]}}}; families: {policy: what the plot calls it}; equal: {K: {policy: what it has
    in common with the paper's schedule}}; beside: {policy: what its gain is over, where that is not plain sampling}."""

    def __init__(self, setting, options):
        self.setting, self.options = setting, options
        self.scenes, self.world = pools.prompts(options.prompts), pools.World(setting)
        self.costs = measure_costs(self.world)
        self.found, self.families, self.equal, self.beside = {size: {} for size in options.sizes}, {}, {}, {}

    def run(self):
        with tqdm(self.scenes, desc=self.setting.name, unit="prompt", disable=None) as bar:
            for number, scene in enumerate(bar):
                seeds = range(1000 * number, 1000 * number + self.options.candidates)
                arrays = self.pool(scene, seeds, bar)
                if number == 0:
                    policies = {size: self.policies(size, arrays) for size in self.options.sizes}
                self.replay(scene, arrays, policies)
                for exponent in self.options.pink:
                    self.replay(scene, self.pool(scene, seeds, bar, exponent), self.from_pink(policies, exponent))
                if self.options.drafts:
                    self.drafts(scene, seeds, arrays)
                if self.options.rivals:
                    self.rivals(scene, seeds[: self.options.rivals], arrays)

    def replay(self, scene, arrays, policies):
        """policies: {K: those for groups of K}."""
        for size, own in policies.items():
            for policy in own:
                blocks = MOST_BLOCKS if policy.candidates > size else MOST_PLAIN_BLOCKS
                starts = range(0, self.options.candidates - policy.candidates + 1, policy.candidates)[:blocks]
                self.note(size, policy.name, [self.worth(scene, arrays, replay(policy, arrays, first)) for first in starts])

    def worth(self, scene, arrays, outcome):
        """{figure: number} of a group, {} of a policy that could not be replayed."""
        if outcome is None:
            return {}
        costs = {"rows": outcome.rows, "looks": outcome.looked, "seconds": outcome.seconds(self.costs)}
        return figures(arrays, scene, outcome.indices) | costs

    def pool(self, scene, seeds, bar, exponent=0.0):
        looks, tick = self.options.looks, lambda step: bar.set_postfix_str(f"{caption(scene)}: step {step} of {self.setting.steps}")
        name = f"pool of {len(seeds)}" + (f", looks {looks}" if looks else "") + (f", pink {exponent}" if exponent else "")
        return pools.kept(self.setting, scene, name, lambda: self.world.arrays(scene, seeds, looks, tick, exponent=exponent))

    def policies(self, size, arrays):
        """All that are replayed for groups of `size`, plain sampling first."""
        most, paper = self.options.candidates, reference(size, self.options.candidates)
        outcome = replay(paper, arrays)
        if outcome is None:
            raise SystemExit(f"--looks must have the first steps, until {paper.name} is down to {size}.")
        naive, self.equal[size] = best_of(size, most, outcome, self.costs, self.setting.steps)
        planned = budgets(size, most, arrays["progress"], self.world.price)
        others = [] if self.options.brief else offered(size, most)
        ours = [paper, *planned, *others, *(p for p in self.options.schedule if p.size == size)]
        rng = np.random.default_rng(size)
        searched = list({p.name: p for p in (random_schedule(rng, size, most) for _ in range(self.options.search))}.values())
        for policy in searched:
            self.families[policy.name] = "searched"
        for policy in naive:
            self.families[policy.name] = "text alone" if "text alone" in policy.name else "finished"
        for policy in ours:
            if policy in planned:
                self.families[policy.name] = "budget"
                continue
            changed = policy.kind != "paper" or policy.weight != 1.5 or policy.scorers == ("latent",)
            self.families[policy.name] = "free" if policy.rounds else "objectives" if changed else "by half"
        self.families[plain(size).name] = "plain"
        return [plain(size), *naive, *ours, *searched]

    def from_pink(self, policies, exponent):
        """Of these {K: policies} plain sampling, the paper's schedule and the default budget, for pools from pink noise."""
        found = {}
        for size, own in policies.items():
            names = (plain(size).name, reference(size, self.options.candidates).name)
            for white in (p for p in own if p.budget == DEFAULT_BUDGET or p.name in names):
                name = f"{white.name.removesuffix(' (paper)')}, pink {exponent:g}"
                found.setdefault(size, []).append(replace(white, name=name))
                self.families[name], self.beside[name] = "pink noise", white.name
        return found

    def rivals(self, scene, seeds, arrays):
        """Each rival's own pictures of these seeds, in groups of K, after plain sampling of the same ones."""
        steps = self.setting.steps
        for rival in [Rival(SAME_SEEDS), *rivals(self.setting, self.world.sigmas[:-1])]:
            self.families[rival.name], self.beside[rival.name] = "rivals", SAME_SEEDS
            how = {"model": rival.patched(self.world.model), "guidance": rival.guidance}
            for size in self.options.sizes:
                found = []
                for first in range(0, len(seeds) - size + 1, size):
                    run = seeds[first : first + size] if rival.together else seeds
                    make = lambda run=run, how=how: self.world.finished(scene, run, **how)
                    name = f"{rival.name}, {run.start - seeds.start} to {run.stop - seeds.start}"
                    own = arrays if rival.name == SAME_SEEDS else pools.kept(self.setting, scene, name, make)
                    rows = size * steps * rival.share
                    costs = {"rows": rows, "looks": 0, "seconds": rows / size * took(self.costs, "model", size)}
                    at = 0 if rival.together else first
                    found.append(figures(own, scene, list(range(at, at + size))) | costs)
                self.note(size, rival.name, found)

    def drafts(self, scene, seeds, arrays):
        """All candidates in a few steps from their own noise; the jointly best by those pictures are sampled anew in full."""
        steps = self.options.drafts
        make = lambda: self.world.finished(scene, seeds, steps=steps)
        drafted = pools.kept(self.setting, scene, f"drafts of {steps} steps, {len(seeds)}", make) | {"progress": np.ones(1)}
        for size in self.options.sizes:
            for count in (m for m in SIZES if size < m <= len(seeds)):
                chosen = Policy("", count, size, rounds=((1.0, size, BOTH),), **SHIPPED)
                starts = range(0, len(seeds) - count + 1, count)[:MOST_BLOCKS]
                rows = count * steps + size * self.setting.steps
                costs = {"rows": rows, "looks": count, "seconds": Outcome([], [rows], [(count, BOTH)]).seconds(self.costs)}
                name = f"{count} drafts of {steps} steps"
                self.families[name] = "drafts"
                found = [figures(arrays, scene, replay(chosen, drafted, first).indices) for first in starts]
                self.note(size, name, [one | costs for one in found])

    def note(self, size, name, found):
        """The means over groups of one policy and prompt."""
        for figure in found[0]:
            self.found[size].setdefault(name, {}).setdefault(figure, []).append(float(np.mean([f[figure] for f in found])))

    def summaries(self, size, prompts=slice(None)):
        """{policy: {figure: (mean, low, high)}} over these prompts; "gain FIGURE": paired difference to plain sampling, of rivals to
        that of the same seeds, of pools from pink noise to the same policy from white noise."""
        found = self.found[size]
        over = lambda values: interval(np.array(values)[prompts])
        first = lambda p: found[self.beside.get(p, plain(size).name)]
        gain = lambda p, name: interval(np.array(found[p][name])[prompts] - np.array(first(p)[name])[prompts])
        return {p: {n: over(v) for n, v in own.items()} | {f"gain {n}": gain(p, n) for n in GAINS} for p, own in found.items()}

    def print(self, size):
        shown = {p: f for p, f in self.summaries(size).items() if self.families[p] != "searched"}
        marked = lambda p: f"{p} ({self.equal[size][p]})" if p in self.equal[size] else p
        numbered = [(i, (marked(p), f)) for i, (p, f) in enumerate(shown.items(), 1)]
        costs = lambda f: [f"{f[name][0]:.{digits}f}" for name, digits in COSTS.items()]
        rows = [(f"{i:2} {p}", *costs(f), *(cell(f[n], digits) for n, digits in SHOWN.items())) for i, (p, f) in numbered]
        print(f"\nGroups of {size}: {self.setting.name}, {len(self.scenes)} prompts, pools of {self.options.candidates}\n")
        print(table(("", *COSTS, *SHOWN), rows), flush=True)
        rows = [(f"{i:2} {p}", *(cell(f[f"gain {n}"], digits, "+") for n, digits in GAINS.items())) for i, (p, f) in numbered[1:]]
        print("\n" + table(("gain over plain, paired", *GAINS), rows), flush=True)

    def print_search(self, size):
        """Searched schedules that no cheaper one beats on every other prompt, reported on the rest."""
        chosen, reported = self.summaries(size, slice(0, None, 2)), self.summaries(size, slice(1, None, 2))
        schedules = [p for p in chosen if self.families[p] in ("searched", "free", "by half", "finished")]
        front, best = [], 0.0
        for p in sorted(schedules, key=lambda p: chosen[p]["seconds"][0]):
            if chosen[p]["gain objective"][0] > best:
                front, best = [*front, p], chosen[p]["gain objective"][0]
        gain = lambda f, n: cell(f[f"gain {n}"], GAINS[n], "+")
        costs = lambda f: [f"{f[name][0]:.{digits}f}" for name, digits in COSTS.items()]
        rows = [(p, *costs(reported[p]), gain(chosen[p], "objective"), *(gain(reported[p], n) for n in GAINS)) for p in front]
        print(f"\nGroups of {size}: no cheaper schedule gained more on half of the prompts; the other half's figures\n")
        print(table(("", *COSTS, "chosen by", *GAINS), rows), flush=True)

    def directions(self, size):
        """What is not as promised of the default budget: more distance than plain sampling and not fewer right pictures, within what so
        many prompts can tell, for no more than the budget."""
        name = f"budget {DEFAULT_BUDGET:g}"
        if name not in self.found[size]:
            return [f"{name} could not be replayed: --candidates or --looks are too few for it"]
        found, count = self.summaries(size)[name], size * self.setting.steps
        rows, looks = (found[what][0] for what in ("rows", "looks"))
        promises = {
            "the distance is not above plain sampling's": found["gain objective"][1] > 0 and found["gain vendi"][1] > 0,
            "fewer pictures are right": found["gain right"][2] >= 0,
            "the budget is not kept": rows + self.world.price * looks <= DEFAULT_BUDGET * count,
        }
        return [what for what, kept in promises.items() if not kept]

    def save(self, folder):
        sizes = {size: self.summaries(size) for size in self.found}
        text = json.dumps({
            "setting": vars(self.setting), "prompts": [caption(s) for s in self.scenes], "candidates": self.options.candidates,
            "machine": machine(), "seconds of parts": {"counts": COUNTS, **self.costs}, "groups of": sizes, "equal": self.equal,
            "by prompt": self.found, "families": self.families,
        })  # fmt: skip
        (folder / f"groups_{self.setting.name}.json").write_text(text)
        for size, found in sizes.items():
            shown = [p for p in found if self.families[p] != "searched"]
            axes = (("the two aims", "right", "vendi"), ("never seen by a selection", "right", "answers"))
            axes += (("cost in rows", "rows log", "gain objective"), ("cost in seconds", "seconds log", "gain objective"))
            panels = [(title, across, up, self.series(found, shown, across.removesuffix(" log"), up)) for title, across, up in axes]
            notes = "\n".join(f"{i:2} {p}" for i, p in enumerate(shown, 1))
            plot(folder / f"groups_{self.setting.name}_{size}.png", panels, f"groups of {size}, {len(self.scenes)} prompts\n\n{notes}")

    def series(self, found, shown, across, up):
        """{family: points}, numbered as in the table."""
        point = lambda p: (found[p][across], found[p][up], shown.index(p) + 1)
        series = {family: [point(p) for p in shown if self.families[p] == family] for family in FAMILIES}
        return {family: points for family, points in series.items() if points}


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench groups", description=__doc__)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="12 prompts: for directions, not for decisions")
    parser.add_argument("--candidates", type=int, default=64, help="in a pool; 256 has the larger policies too")
    parser.add_argument("--looks", type=int, nargs="+", help="after which steps pictures are decoded, for large pools; else after all")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8], help="of groups")
    parser.add_argument("--garden", nargs="+", default=list(pools.GARDENS), choices=pools.GARDENS)
    parser.add_argument("--guidance", type=float, nargs="+", default=[3.0])
    parser.add_argument("--steps", type=int, nargs="+", default=[20])
    parser.add_argument("--schedule", action="append", default=[], help='a free schedule more: "64: 5%% 16 latent, 50%% 4 clip+dinov2"')
    parser.add_argument("--search", type=int, default=0, help="random schedules: half of the prompts choose, half report")
    parser.add_argument("--drafts", type=int, default=0, help="of so many steps, beside the rest")
    parser.add_argument("--pink", type=float, nargs="+", default=[], help="exponents of pink noise to start from, beside white")
    parser.add_argument("--brief", action="store_true", help="without the schedules and objectives that are not the defaults")
    parser.add_argument("--check", action="store_true", help="fail unless the default budget keeps what it promises, see directions")
    parser.add_argument("--rivals", type=int, default=16, help="how many seeds each rival gets; 0 leaves them out")
    options = parser.parse_args()
    if 0 < options.rivals < max(options.sizes) or options.rivals > options.candidates:
        parser.error("--rivals needs as many seeds as the largest group has, and no more than --candidates")
    try:
        options.schedule = [read(text) for text in options.schedule]
    except ValueError as e:
        parser.error(str(e))
    if options.quick:
        options.prompts = 12
    torch.set_num_threads(1)
    pools.FOLDER.mkdir(parents=True, exist_ok=True)
    failed = []
    with torch.inference_mode():
        for names in product(options.garden, options.guidance, options.steps):
            bench = Bench(pools.Setting(*names), options)
            bench.run()
            for size in options.sizes:
                bench.print(size)
                if options.search:
                    bench.print_search(size)
            bench.save(pools.FOLDER)
            if options.check:
                failed += [f"{bench.setting.name}, groups of {size}: {what}" for size in options.sizes for what in bench.directions(size)]
    print(f"\n{MEANING}\n" + ", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"See {pools.FOLDER}/groups_*.json and .png")
    return "\n".join(failed) or None


if __name__ == "__main__":
    sys.exit(main())
