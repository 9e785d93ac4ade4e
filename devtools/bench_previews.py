"""python3 dev.py bench previews: which score of which preview says how much of the finished picture, and what a look costs.

For each prompt some seeds are denoised to the end; the predicted final latents are decoded in several ways, and every scorer's scores
compared with those of the finished pictures from the full VAE, by Spearman's rank correlation: of candidates, or of all pairs of
them. Kept by prompt in build/bench, so that a run that was stopped goes on. Leaves build/bench/previews_SETTING.json and .png.
"""

import argparse
import json
import sys
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from tqdm import tqdm

from .pack import load_host, load_pack

load_host(*([] if torch.cuda.is_available() else ["--cpu"]))
load_pack()

from group_inference.garden.scenes import caption  # noqa: E402
from group_inference.sampling.hub import _apart  # noqa: E402
from group_inference.sampling.preview import Previewer  # noqa: E402
from group_inference.scorers.cfg_agreement import CfgAgreement  # noqa: E402
from group_inference.scorers.pool import Pool  # noqa: E402

from . import pools  # noqa: E402
from .bench_scorers import scorers  # noqa: E402
from .replay import clock  # noqa: E402
from .statistics import cell, interval, machine, plot, table  # noqa: E402

AT = (1, 2, 3, 4, 5, 6, 8, 10, 14, 20)
OF = 20
# Scores that need no picture, also against what they stand in for.
STAND_INS = {"latent": "dinov2 patches", "cfg_agreement": "clip text"}
NO_DECODE = "no decode"
MEANING = """Rank correlation with the finished picture's score, mean over prompts ± half of the 95% bootstrap interval; .7 and more can decide. ms: of
one picture among 16, decoded or scored, the least of three tries."""


class World(pools.World):
    def decoders(self):
        """{name: latents [M, ...] -> pictures}. The host's TAESD where its files are; the garden's own VAE has TAESD's layers."""
        fallback = Previewer(self.model)
        halved = lambda x0: self.previewer(F.avg_pool2d(x0, 2))
        found = {"full VAE": self.previewer, "VAE, latent averaged x2": halved}
        if fallback.vae is not None:
            found["TAESD"] = fallback
            fallback = Previewer(self.model)
            fallback.vae = None
        return found | {"latent-to-RGB": fallback} if hasattr(fallback, "rgb") else found

    def scorers(self, text):
        """{name: scorer}, all that have weights here."""
        found = dict(scorers(text))
        return found | {"cfg_agreement": CfgAgreement()} if self.setting.guidance > 1 else found

    def denoise_watched(self, text, seeds):
        """(latents after each step [T, M, ...], accumulated guidance [T, M], as the hub gathers it, or None without guidance)."""
        seen, model = [], self.model.clone()

        def watch(args):
            seen.append(_apart(args))
            return args["denoised"]

        if self.setting.guidance > 1:
            model.set_model_sampler_post_cfg_function(watch)
        latents = self.denoise(text, seeds, model=model)
        return latents, torch.stack(seen).cumsum(0) if seen else [None] * len(latents)

    def correlations(self, scene, seeds, steps, tick):
        """{"DECODER / SCORER": [S] correlations after each of `steps`}."""
        text, found = caption(scene), {}
        latents, guidance = self.denoise_watched(text, seeds)
        pool = lambda step, decode: Pool(decode(latents[step - 1]), latents[step - 1], guidance=guidance[step - 1])
        every = self.scorers(text)
        final = pool(len(latents), self.previewer)
        last = {name: flat(scorer.score(final)) for name, scorer in every.items()}
        for step in steps:
            for at, (decoder, decode) in enumerate(self.decoders().items()):
                now = pool(step, decode)
                for name, scorer in every.items():
                    if at and not scorer.needs_images:
                        continue
                    scores = flat(scorer.score(now))
                    shown = decoder if scorer.needs_images else NO_DECODE
                    found.setdefault(f"{shown} / {name}", []).append(spearmanr(scores, last[name]).statistic)
                    if name in STAND_INS:
                        against = f"{NO_DECODE} / {name}, against {STAND_INS[name]}"
                        found.setdefault(against, []).append(spearmanr(scores, last[STAND_INS[name]]).statistic)
                tick(f"step {step}, {decoder}")
        return {name: np.array(values, dtype=np.float32) for name, values in found.items()}

    def costs(self, count=16):
        """{decoder or scorer: milliseconds for one picture among `count`}."""
        text, found = "red tulips", {}
        latents, guidance = self.denoise_watched(text, range(count))
        x0, pictures = latents[-1], self.previewer(latents[-1])
        work = {name: lambda d=decode: d(x0) for name, decode in self.decoders().items()}
        work |= {name: lambda s=s: s.score(Pool(pictures, x0, guidance=guidance[-1])) for name, s in self.scorers(text).items()}
        for name, call in work.items():
            taken = []
            for _ in range(3):
                started = clock()
                call()
                taken.append(clock() - started)
            found[name] = 1000 * min(taken) / count
        return found


def flat(scores):
    """Scores [M], or the distances of all pairs of [M, M]."""
    scores = scores.double().numpy()
    return scores if scores.ndim == 1 else scores[np.triu_indices(len(scores), 1)]


def bench(setting, options):
    world, scenes = World(setting), pools.prompts(options.prompts)
    steps = sorted({max(1, round(at * setting.steps / OF)) for at in AT})
    found = {}
    with tqdm(scenes, desc=setting.name, unit="prompt", disable=None) as bar:
        for number, scene in enumerate(bar):
            seeds = range(1000 * number, 1000 * number + options.candidates)
            make = lambda scene=scene, seeds=seeds: world.correlations(scene, seeds, steps, bar.set_postfix_str)
            for name, values in pools.kept(setting, scene, f"previews of {len(seeds)}", make).items():
                found.setdefault(name, []).append(values.tolist())
    costs, summary = world.costs(), {name: [interval(v) for v in np.array(by_prompt).T] for name, by_prompt in found.items()}
    head = [f"{step}, {world.progress[step - 1]:.0%}" for step in steps]
    print(f"\n{setting.name}: {len(scenes)} prompts x {options.candidates} seeds; after step, and noise that is gone")
    decoders = [*world.decoders(), NO_DECODE]
    for decoder in decoders:
        own = {name.split(" / ")[1]: figures for name, figures in summary.items() if name.startswith(f"{decoder} / ")}
        rows = [(name, f"{costs[name.split(',')[0]]:.2f}", *(cell(f, 2) for f in figures)) for name, figures in own.items()]
        print("\n" + table((f"{decoder}" + (f", {costs[decoder]:.1f} ms" if decoder in costs else ""), "ms", *head), rows), flush=True)
    text = json.dumps({
        "setting": vars(setting), "prompts": [caption(s) for s in scenes], "candidates": options.candidates, "machine": machine(),
        "steps": steps, "sigmas": [float(world.sigmas[step - 1]) for step in steps], "progress": [world.progress[step - 1] for step in steps],
        "milliseconds": costs, "rank correlation": summary, "by prompt": found,
    })  # fmt: skip
    (pools.FOLDER / f"previews_{setting.name}.json").write_text(text)
    at = [world.progress[step - 1] for step in steps]
    points = lambda figures: [(x, f, "") for x, f in zip(at, figures, strict=True)]
    panels = [
        (decoder, "share of the noise that is gone", "rank correlation with the finished picture's", series)
        for decoder in decoders
        if (series := {name.split(" / ")[1]: points(f) for name, f in summary.items() if name.startswith(f"{decoder} / ")})
    ]
    plot(pools.FOLDER / f"previews_{setting.name}.png", panels, joined=True)


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench previews", description=__doc__)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="12 prompts: for directions, not for decisions")
    parser.add_argument("--candidates", type=int, default=32, help="seeds for each prompt")
    parser.add_argument("--garden", nargs="+", default=list(pools.GARDENS), choices=pools.GARDENS)
    parser.add_argument("--guidance", type=float, nargs="+", default=[3.0])
    parser.add_argument("--steps", type=int, nargs="+", default=[20])
    options = parser.parse_args()
    if options.quick:
        options.prompts = 12
    torch.set_num_threads(1)
    pools.FOLDER.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        for names in product(options.garden, options.guidance, options.steps):
            bench(pools.Setting(*names), options)
    print(f"\n{MEANING}\n" + ", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"See {pools.FOLDER}/previews_*.json and .png")


if __name__ == "__main__":
    sys.exit(main())
