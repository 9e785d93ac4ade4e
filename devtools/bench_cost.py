"""python3 dev.py bench cost: what a run takes, of what, and how well the plan counted it, beside the stock sampler on K plain images.

On the garden with the paper's scorers; leaves build/bench/cost.json. "else": neither model, preview, scores nor solver.
"""

import argparse
import json
import sys
import time

import torch

from .pack import load_host, load_pack

load_host(*([] if torch.cuda.is_available() else ["--cpu"]))
load_pack()

import comfy.utils  # noqa: E402
import nodes  # noqa: E402
from group_inference.nodes.group_ksampler import GroupKSampler  # noqa: E402
from group_inference.sampling.kept import STORE  # noqa: E402
from group_inference.scorers.latent import LatentDistance  # noqa: E402

from . import pools  # noqa: E402
from .memory import peak_above  # noqa: E402
from .replay import clock  # noqa: E402
from .statistics import machine, table  # noqa: E402

PARTS = ("model", "preview", "scores", "solver")
TEXT = "red tulips"


def runs(candidates, sizes, budgets):
    """(name, K, whether pictures are looked at, how the nodes are set) of each run."""
    for size in sizes:
        for count in candidates:
            paper = {"schedule": "paper", "starting_candidates": count}
            yield f"{count} by half", size, True, {**paper, "pruning_ratio": 0.5}
            yield f"{count} by half, latents alone", size, False, {**paper, "pruning_ratio": 0.5}
        for budget in budgets:
            yield f"budget {budget:g}", size, True, {"schedule": "budget", "budget": budget}


class Cost:
    def __init__(self, steps, repeats):
        self.steps, self.repeats = steps, repeats
        self.world = pools.World(pools.Setting(steps=steps))
        self.text = [self.world.encoded(text) for text in (TEXT, "")]
        self.common = (steps, 3.0, "euler", "simple", *self.text)
        self.plain = {}

    def stock(self, size):
        """Seconds of the stock sampler for K images, in batches as it makes them."""
        work = lambda: nodes.common_ksampler(self.world.model, 0, *self.common, {"samples": torch.zeros(size, 16, 8, 8)})
        work()  # what only the first run does
        return min(self.timed(work)[1] for _ in range(self.repeats))

    def timed(self, work, fresh=True):
        """(seconds that passed, of which the report names the parts; seconds that it took, without those of others on the machine;
        result). fresh: without what a run before left, which would not be sampled again."""
        if fresh:
            STORE.clear()
        began, started = clock(), time.perf_counter()
        found = work()
        return time.perf_counter() - started, clock() - began, found

    def group(self, size, looks, how):
        """Of the fastest run: (seconds that passed, seconds that it took, report, peak memory in bytes); and (seconds that it took, report) of
        choosing again by another lambda."""
        unary = self.world.unary(TEXT)["clip"] if looks else None
        pairwise = self.world.pairwise["dinov2"] if looks else LatentDistance()
        how = {"starting_candidates": 16, "pruning_ratio": 0.5, "objective": "balanced", "lambda_score": 2.0, **how}
        work = lambda **other: GroupKSampler.execute(
            self.world.model, 0, *self.common, {"samples": torch.zeros(1, 16, 8, 8)}, 1.0, output_group_size=size, unary=unary,
            pairwise=pairwise, vae=self.world.vae, **how | other,
        )  # fmt: skip
        found = [self.timed(work) for _ in range(self.repeats)]
        passed, took, out = min(found, key=lambda one: one[1])
        _, again, other = self.timed(lambda: work(lambda_score=1.0), fresh=False)
        STORE.clear()
        return (passed, took, json.loads(out.args[1]), peak_above(work)), (again, json.loads(other.args[1]))

    def row(self, name, size, looks, how):
        if size not in self.plain:
            self.plain[size] = self.stock(size)
        (passed, seconds, report, peak), (again, other) = self.group(size, looks, how)
        shares = {part: report["seconds"][part] / passed for part in PARTS}
        return {
            "name": name, "size": size, "start": report["plan"]["start"], "rows": report["model_rows"], "looks": report["plan"]["looked"],
            "price": report["plan"]["price"], "counted": report["plan"]["cost"], "seconds": seconds, "took": seconds / self.plain[size],
            **shares, "else": 1 - sum(shares.values()), "peak": peak, "again": again / seconds, "again_rows": other["model_rows"],
        }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench cost", description=__doc__)
    parser.add_argument("--candidates", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8], help="of groups")
    parser.add_argument("--budgets", type=float, nargs="+", default=[1.5, 2.4, 4.0, 8.0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=2, help="the fastest run of so many counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    comfy.utils.PROGRESS_BAR_ENABLED = False
    head = (
        "",
        "K",
        "candidates",
        "rows",
        "looks",
        "counted",
        "took",
        *(f"{part} %" for part in (*PARTS, "else")),
        "seconds",
        "again %",
        "again rows",
        "peak MiB",
    )
    found, rows = [], []
    with torch.inference_mode():
        cost = Cost(options.steps, options.repeats)
        for what in runs(options.candidates, options.sizes, options.budgets):
            try:
                one = cost.row(*what)
            except ValueError as e:  # a budget that is too small here
                print(f"{what[0]}, K {what[1]}: {e}")
                continue
            found.append(one)
            shares = [f"{100 * one[part]:.0f}" for part in PARTS] + [f"{100 * one['else']:.1f}"]
            sums = (f"{one['counted']:.2f}", f"{one['took']:.2f}")
            own = (one["size"], one["start"], one["rows"], one["looks"])
            again = (f"{100 * one['again']:.0f}", one["again_rows"])
            rows.append((one["name"], *own, *sums, *shares, f"{one['seconds']:.2f}", *again, f"{one['peak'] / 2**20:.0f}"))
            print(f"\r{len(rows)} runs", end="", file=sys.stderr, flush=True)
    print(table(head, rows))
    print("counted, took: work and seconds, in those of K plain images by the stock sampler in a batch")
    print("again: choosing by lambda 1 instead of 2 from what the run left, in its seconds")
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    pools.FOLDER.mkdir(parents=True, exist_ok=True)
    (pools.FOLDER / "cost.json").write_text(json.dumps({"machine": machine(), "steps": options.steps, "runs": found}))


if __name__ == "__main__":
    sys.exit(main())
