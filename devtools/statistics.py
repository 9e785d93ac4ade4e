"""What the benches say figures with: means with intervals, the Vendi score, tables, and on what machine it all was."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 2000


def interval(values):
    """(mean, low, high): the mean over prompts [P] and its 95% bootstrap interval by percentiles (Efron, Ann. Stat. 7(1), 1979).
    NaN, where a prompt has no such figure, is left out."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2 or np.ptp(values) == 0:
        return (float(values.mean()),) * 3 if len(values) else (float("nan"),) * 3
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return float(values.mean()), float(found.low), float(found.high)


def vendi(distances):
    """Friedman and Dieng, "The Vendi Score", arXiv 2210.02410: the effective number of different images, from cosine distances."""
    eigenvalues = np.linalg.eigvalsh((1 - np.array(distances)) / len(distances))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))


def cell(figure, digits=3):
    """(mean, low, high) as text: 'mean low..high'."""
    return " ".join((f"{figure[0]:.{digits}f}", "..".join(f"{bound:.{digits}f}" for bound in figure[1:])))


def table(head, rows, title=""):
    """Text of rows under a head, first column to the left. head: names; rows: (name, *texts) each."""
    lines = [[str(text) for text in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join([f"{line[0]:{widths[0]}}", *(f"{t:>{w}}" for t, w in zip(line[1:], widths[1:], strict=True))]) for line in lines]
    return "\n".join([*[title][: len(title)], *texts])


def machine():
    """What figures depend on: processor, threads, and versions of what computes."""
    import torch

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    try:
        from comfyui_version import __version__ as comfyui
    except ImportError:
        comfyui = "unknown"
    packages = {name: version(name) for name in ("torch", "numpy", "scipy", "transformers")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor
    return {
        "system": platform.system(), "device": device, "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "python": sys.version.split()[0], "comfyui": comfyui, **packages,
    }  # fmt: skip
