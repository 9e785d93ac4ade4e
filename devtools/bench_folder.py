"""python3 dev.py bench folder: QIP Selector on a folder of many pictures of different sizes: seconds by part, and peak memory. Every
figure is of a fresh process on the CPU, above what is in use after a small folder."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SMALL = 20
SIDES = 200, 900


def write(folder, count):
    """JPEGs of smooth colours and some noise, the same ones first for every count."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        width, height = (int(side) for side in random.integers(*SIDES, 2))
        colours = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        noisy = np.asarray(colours, dtype=np.int16) + random.integers(-8, 9, (height, width, 1), dtype=np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i:06}.jpg", quality=90)


def measure(root, count, size, whole):
    """{"peak": bytes, "rows": bytes, "seconds" by part} of a selection, or of looking at the pictures alone."""
    import torch

    from .bench_scorers import load
    from .memory import peak_above

    with torch.inference_mode():
        load()
        import folder_paths
        from group_inference.nodes.qip_selector import QIPSelector
        from group_inference.sampling import ask
        from group_inference.scorers.clip import Clip
        from group_inference.scorers.dinov2 import Dinov2
        from group_inference.scorers.embedding import EmbeddingDistance
        from group_inference.scorers.text_image import TextImage

        folder_paths.set_input_directory(root)
        pairwise, unary = EmbeddingDistance(Dinov2.shared("garden-dinov2")), TextImage(Clip.shared("garden-clip"), "red tulips")
        seconds, rows = {}, []

        def select(folder, n):
            out = QIPSelector.execute((), [n], [1.5], ["balanced"], unary=(unary,), pairwise=(pairwise,), folder=[folder])
            seconds.update(json.loads(out.args[3])["seconds"])

        class Looked(Exception):
            pass

        between, said = ask.Stream._between, ask.Stream.said

        def timed(self, scorer, pool):
            rows.append(self.rows[id(scorer)][1].nbytes)
            started = time.perf_counter()
            found = between(self, scorer, pool)
            seconds["comparing"] = time.perf_counter() - started
            return found

        def looked(self):
            raise Looked

        select("small", 2)
        ask.Stream._between, ask.Stream.said = timed, said if whole else looked

        def work():
            with suppress(Looked):
                select(f"of {count}", size)

        peak = peak_above(work)
        return {"peak": peak, "rows": sum(rows), "seconds": seconds}


def measured(*what):
    # As bench memory: what glibc hoards would count.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", __spec__.name, "--one", json.dumps(what)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment)
    if out.returncode:
        raise RuntimeError(out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench folder", description=__doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=[500, 2000, 10000])
    parser.add_argument("--size", type=int, default=8, help="of the group")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    if min(options.pictures) < max(SMALL, options.size):
        parser.error(f"--pictures starts at {max(SMALL, options.size)}")
    with tempfile.TemporaryDirectory() as root:
        every = Path(root) / f"of {max(options.pictures)}"
        write(every, max(options.pictures))
        files = sorted(every.iterdir())
        for name, count in [("small", SMALL), *((f"of {count}", count) for count in options.pictures)]:
            (Path(root) / name).mkdir(exist_ok=True)
            for file in files[:count] if Path(root) / name != every else ():
                os.link(file, Path(root) / name / file.name)
        print(
            f"{options.size} of JPEGs of {SIDES[0]} to {SIDES[1]} pixels a side, by the garden's clip and dinov2 class token; the memory while"
        )
        print("looking is that of all but rows and distances, a matrix that of M x M float64.")
        print(f"{'':10}{'seconds':>32}{'peak MiB':>32}{'MiB':>10}")
        print(
            f"{'pictures':>10}{'reading':>9}{'looking':>9}{'comparing':>11}{'selecting':>11}{'looking':>9}{'whole':>9}{'rows':>7}{'matrix':>9}",
            flush=True,
        )
        for count in sorted(set(options.pictures)):
            look, whole = (measured(root, count, options.size, flag) for flag in (False, True))
            seconds = whole["seconds"]
            parts = seconds["preview"], seconds["scores"] - seconds["comparing"], seconds["comparing"], seconds["solver"]
            peaks = (
                f"{bytes_ / 2**20:{width}.0f}"
                for bytes_, width in ((look["peak"], 9), (whole["peak"], 9), (whole["rows"], 7), (8 * count**2, 9))
            )
            times = (f"{part:{width}.1f}" for part, width in zip(parts, (9, 9, 11, 11), strict=True))
            print(f"{count:10}{''.join(times)}{''.join(peaks)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
