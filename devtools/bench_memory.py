"""python3 dev.py bench memory: peak memory of a group run against the number of candidates, beside the stock KSampler with a
batch of the same slice size. Every figure is of a fresh process, above what is in use once the garden model has run a first time."""

import argparse
import json
import os
import subprocess
import sys

SIDE, STEPS, CFG, SIZE = 64, 4, 3.0, 2


def limit(model, rows):
    """Let the planner see memory for `rows` candidates, each with and without the prompt. Returns the rows of the model's calls."""
    needed = model.model.memory_required([2, 16, SIDE, SIDE])
    model.get_free_memory = lambda device: (rows + 0.5) * needed * 1.5
    forward, seen = model.model.apply_model, []

    def apply_model(x, *args, **kwargs):
        seen.append(x.shape[0])
        return forward(x, *args, **kwargs)

    model.model.apply_model = apply_model
    return seen


def measure(kind, count, rows, pictures):
    """A run of `count` candidates, or the stock sampler on a batch of `count`: {"peak": bytes, "rows": most in one model call}."""
    import torch

    from .bench_scorers import load
    from .memory import peak_above

    with torch.inference_mode():
        model, clip, vae = load()
        import nodes
        from group_inference.nodes.group_ksampler import GroupKSampler
        from group_inference.scorers.color import ColorHistogram
        from group_inference.scorers.latent import LatentDistance

        text = [nodes.CLIPTextEncode().encode(clip, t)[0] for t in ("red tulips", "")]
        settings = (STEPS, CFG, "euler", "simple", *text)

        def group(count, side):
            latent = {"samples": torch.zeros(1, 16, side, side)}
            pairwise = ColorHistogram("rgb") if pictures else LatentDistance()
            GroupKSampler.execute(model, 0, *settings, latent, 1.0, count, min(SIZE, count - 1), 0.5, pairwise=pairwise, vae=vae)

        def stock(count, side):
            latent = nodes.common_ksampler(model, 0, *settings, {"samples": torch.zeros(count, 16, side, side)})[0]
            if pictures:
                nodes.VAEDecode().decode(vae, latent)

        work = {"group": group, "stock": stock}[kind]
        work(2, 8)
        seen = limit(model, rows)
        peak = peak_above(lambda: work(count, SIDE))
        return {"peak": peak, "rows": max(seen) // 2, "device": torch.cuda.get_device_name() if torch.cuda.is_available() else None}


def measured(*what):
    # Tells glibc to give freed tensors back at once; else what it hoards moves the figures by 50 MiB from run to run.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-m", __spec__.name, "--one", json.dumps(what)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment)
    if out.returncode:
        raise RuntimeError(out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


def table(counts, rows, pictures):
    stock = measured("stock", rows, rows, pictures)
    kind = f"device memory of {stock['device']}" if stock["device"] else "resident memory of the process"
    both = "Group KSampler with the VAE, beside KSampler and VAE Decode" if pictures else "Group KSampler on latents, beside KSampler"
    print(f"{both}; {kind}, MiB")
    print(f"{'candidates':>10}{'rows per call':>15}{'group':>9}{'stock':>9}{'more':>9}{'per further candidate':>23}", flush=True)
    before = None
    for count in sorted(set(counts)):
        group = measured("group", count, rows, pictures)
        slope = f"{(group['peak'] - before[1]) / (count - before[0]) / 2**20:23.2f}" if before else ""
        peak, beside, more = (v / 2**20 for v in (group["peak"], stock["peak"], group["peak"] - stock["peak"]))
        print(f"{count:10}{group['rows']:15}{peak:9.0f}{beside:9.0f}{more:9.0f}{slope}", flush=True)
        before = count, group["peak"]


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench memory", description=__doc__)
    parser.add_argument("--candidates", type=int, nargs="+", default=[8, 16, 32, 64], help="how many, 2 or more")
    parser.add_argument("--rows", type=int, default=8, help="slice size: the candidates for which the planner sees memory")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    if min(options.candidates) < 2 or options.rows < 1:
        parser.error("--candidates starts at 2, --rows at 1")
    latent, picture = (channels * side * side * 4 / 2**20 for channels, side in ((16, SIDE), (3, 8 * SIDE)))
    print(
        f"garden model at {8 * SIDE} x {8 * SIDE}, {STEPS} steps of euler, cfg {CFG:g}; the planner is shown memory for {options.rows} candidates,"
    )
    print(f"the stock batch is {options.rows}. One latent takes {latent:.2f} MiB, one picture {picture:.2f} MiB.")
    for pictures in (False, True):
        print()
        table(options.candidates, options.rows, pictures)


if __name__ == "__main__":
    sys.exit(main())
