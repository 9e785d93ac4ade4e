"""python -m garden.training: every garden model again, from a seed, resumable; ends with the measurements."""

import argparse
import os
import sys
from pathlib import Path

import torch

from . import autoencoder, clip, dinov2, evaluate, flow, habits
from .data import draw_scenes

SCENES = 30000
GARDEN = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(prog="train-garden", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--build", type=Path, default=GARDEN / "build", help="checkpoints and data; delete it to start anew")
    parser.add_argument("--weights", type=Path, default=GARDEN / "weights", help="where the finished models go")
    parser.add_argument("--evaluate", action="store_true", help="only measure the weights that are there")
    parser.add_argument("--habits", action="store_true", help="only train the habits, on the other weights that are there")
    parser.add_argument("--quick", action="store_true", help="a few steps of each: does everything run?")
    options = parser.parse_args()
    build, weights, seed = options.build, options.weights, options.seed
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for folder in (build, weights):
        folder.mkdir(parents=True, exist_ok=True)
    held_out = draw_scenes("held_out", 500 if options.quick else 2000, seed + 1, build)
    if not options.evaluate:
        sys.path.append(os.environ["COMFYUI_PATH"])  # the host's latent format
        few = {"steps": 3} if options.quick else {}
        if not options.habits:
            scenes = draw_scenes("scenes", 500 if options.quick else SCENES, seed, build)
            clip.train(scenes, weights / "garden-clip", build, seed, device, **few)
            autoencoder.train(scenes, weights / "taesd.safetensors", build, seed, device, **few)
            dinov2.train(scenes, weights / "garden-dinov2", build, seed, device, **few)
            flow.train(
                scenes, weights / "garden-clip", weights / "taesd.safetensors", weights / "flux.safetensors", build, seed, device, **few
            )
        habits.train(weights, build, seed, device, **few, **({"scenes": 500} if options.quick else {}))
    evaluate.report(held_out, weights, build, device)


if __name__ == "__main__":
    main()
