"""python3 dev.py bench scorers: what scoring costs, on the garden model; bench previews says when scores can be trusted."""

import argparse
import json
import os
import sys
import time

import torch

from .memory import peak_above
from .pack import load_host, load_pack

POOLS = (16, 64, 128)
STEPS = 20


def load():
    """The garden's model, CLIP and VAE, in the host; scorers find the garden's weights only."""
    load_host(*([] if torch.cuda.is_available() else ["--cpu"]))
    load_pack()
    from group_inference.garden.loader import WEIGHTS, load_garden
    from group_inference.scorers import weights

    weights.search_paths = lambda: [WEIGHTS]
    return load_garden()


def scorers(text):
    """(name, unary or pairwise scorer) of those that the garden has weights for, or that need none."""
    from group_inference.scorers.clip import Clip
    from group_inference.scorers.color import ColorHistogram
    from group_inference.scorers.dinov2 import Dinov2, PatchDistance
    from group_inference.scorers.embedding import EmbeddingDistance
    from group_inference.scorers.latent import LatentDistance
    from group_inference.scorers.structure import Edges, Ssim
    from group_inference.scorers.text_image import ClipIqa, TextAxis, TextImage

    clip, dinov2 = Clip.shared("garden-clip"), Dinov2.shared("garden-dinov2")
    return [
        ("clip text", TextImage(clip, text)),
        ("clip_iqa", ClipIqa(clip)),
        ("dinov2 patches", PatchDistance(dinov2)),
        ("dinov2 class", EmbeddingDistance(dinov2)),
        ("clip", EmbeddingDistance(clip)),
        ("color lab", ColorHistogram("lab")),
        ("latent", LatentDistance()),
        ("edges", Edges()),
        ("ssim", Ssim()),
        ("text axis", TextAxis(clip, "red / blue")),
    ]


def measured(work):
    """Seconds and peak memory of a call."""
    started = time.perf_counter()
    taken = peak_above(work)
    return f"{time.perf_counter() - started:7.2f} s {taken / 2**20:7.0f} MiB"


def costs():
    """Every scorer on pictures of 64 x 64, and the patch distance as a product beside the naive broadcast."""
    from group_inference.scorers.pool import Pool, cosine_distance

    print("cost of one pool, features included" + " " * 5 + "".join(f"{count:14} candidates" for count in POOLS))
    images, latents = torch.rand(max(POOLS), 64, 64, 3), torch.randn(max(POOLS), 16, 8, 8)
    for name, scorer in scorers("red tulips"):
        scorer.score(Pool(images[:2], latents[:2]))
        cells = [measured(lambda n=n, s=scorer: s.score(Pool(images[:n], latents[:n]))) for n in POOLS]
        print(f"{name:36}" + "".join(f"{cell:>25}" for cell in cells), flush=True)

    def naive(f):
        f = torch.nn.functional.normalize(f, dim=-1)
        return 1 - (f[:, None] * f[None]).sum(-1).mean(-1)

    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    for name, product in (("324 patches of 768, one product", cosine_distance), ("324 patches of 768, naive", naive)):
        cells = []
        for count in POOLS:
            needed = count * count * 324 * 768 * 4
            if product is naive and needed > free / 2:
                cells.append(f"needs {needed / 2**30:.1f} GiB")
                continue
            features = torch.nn.functional.normalize(torch.randn(count, 324, 768), dim=-1)
            cells.append(measured(lambda p=product, f=features: p(f)))
        print(f"{name:36}" + "".join(f"{cell:>25}" for cell in cells), flush=True)


def share_of_a_run(garden):
    import nodes
    from group_inference.nodes.group_ksampler import GroupKSampler
    from group_inference.scorers.combine import Combined

    by_name = dict(scorers("red tulips"))
    model, clip, vae = garden
    text = (nodes.CLIPTextEncode().encode(clip, t)[0] for t in ("red tulips", ""))
    pairwise = Combined([(by_name["dinov2 patches"], 1.0), (by_name["color lab"], 1.0)])
    started = time.perf_counter()
    out = GroupKSampler.execute(
        model, 0, STEPS, 3.0, "euler", "simple", *text, {"samples": torch.zeros(1, 16, 8, 8)}, 1.0, 64, 4, 0.5,
        unary=by_name["clip text"], pairwise=pairwise, vae=vae, objective="balanced",
    )  # fmt: skip
    total, seconds = time.perf_counter() - started, json.loads(out[1])["seconds"]
    parts = ", ".join(f"{part} {value:.2f} s" for part, value in seconds.items())
    print(
        f"\n4 of 64 in {STEPS} steps with clip + dinov2 + color: {total:.2f} s, of which {parts}; scores are {seconds['scores'] / total:.1%}"
    )


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench scorers", description=__doc__)
    parser.parse_args()
    with torch.inference_mode():
        garden = load()
        costs()
        share_of_a_run(garden)


if __name__ == "__main__":
    sys.exit(main())
