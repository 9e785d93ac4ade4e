"""What the benches say figures with: means with intervals, the Vendi score, tables, and on what machine it all was."""

import os
import platform
import runpy
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

from .host import host_in_use

RESAMPLES = 2000


def interval(values):
    """(mean, low, high): the mean over prompts [P] and its 95% bootstrap interval by percentiles (Efron, Ann. Stat. 7(1), 1979).
    NaN, where a prompt has no such figure, is left out; one prompt has no interval, which is NaN then."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float(values[0]) if len(values) else np.nan, np.nan, np.nan
    if np.ptp(values) == 0:
        return (float(values[0]),) * 3
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return float(values.mean()), float(found.low), float(found.high)


def vendi(distances):
    """Friedman and Dieng, "The Vendi Score", arXiv 2210.02410: the effective number of different images, from cosine distances."""
    eigenvalues = np.linalg.eigvalsh((1 - np.array(distances)) / len(distances))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))


def cell(figure, digits=3, sign=""):
    """(mean, low, high) as text: the mean and half of the interval's width."""
    return f"{figure[0]:{sign}.{digits}f} ±{(figure[2] - figure[1]) / 2:.{digits}f}"


def table(head, rows, title=""):
    """Text of rows under a head, first column to the left. head: names; rows: (name, *texts) each."""
    lines = [[str(text) for text in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join([f"{line[0]:{widths[0]}}", *(f"{t:>{w}}" for t, w in zip(line[1:], widths[1:], strict=True))]) for line in lines]
    return "\n".join([title, *texts] if title else texts)


def machine():
    """What figures depend on: processor, threads, and versions of what computes."""
    import torch

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    # Of benches that run beside the host too.
    comfyui = runpy.run_path(str(host_in_use().path / "comfyui_version.py"))["__version__"]
    packages = {name: version(name) for name in ("torch", "numpy", "scipy", "transformers")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor
    return {
        "system": platform.system(), "device": device, "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "python": sys.version.split()[0], "comfyui": comfyui, **packages,
    }  # fmt: skip


def plot(path, panels, notes="", joined=False):
    """One picture of panels, two in a row. panels: (title, x label, y label, {series: [(x, y, mark)]}), x and y numbers or
    (mean, low, high), whose intervals become bars; a label that ends in "log" makes a logarithmic axis. mark: what is written at the
    point; notes: beside the panels; joined: the points of a series as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = -(-len(panels) // 2)
    figure, axes = pyplot.subplots(rows, 2, figsize=(15, 6.5 * rows), layout="constrained", squeeze=False)
    for axis, (title, across, up, series) in zip(axes.flat, panels, strict=False):
        for name, points in series.items():
            means, bars = [], []
            for values in ([x for x, _, _ in points], [y for _, y, _ in points]):
                found = np.array([v if isinstance(v, tuple) else (v, v, v) for v in values])
                means.append(found[:, 0])
                bars.append(np.abs(found[:, 1:] - found[:, :1]).T)
            drawn = axis.errorbar(*means, xerr=bars[0], yerr=bars[1], label=name, fmt="o-" if joined else "o", markersize=5, elinewidth=0.7)
            for bar in drawn[2]:
                bar.set_alpha(0.3)
            for x, y, mark in zip(*means, (mark for *_, mark in points), strict=True):
                axis.annotate(mark, (x, y), textcoords="offset points", xytext=(4, 3), fontsize=8)
        axis.set(title=title, xlabel=across.removesuffix(" log"), ylabel=up, xscale="log" if across.endswith(" log") else "linear")
        if across.endswith(" log"):
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
        if axis is axes.flat[0] or set(series) != set(panels[0][-1]):
            axis.legend(fontsize=8, loc="lower right" if joined else "lower left")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    figure.text(1.01, 0.5, notes, fontsize=8, verticalalignment="center", family="monospace")
    figure.savefig(path, dpi=90, bbox_inches="tight")
    pyplot.close(figure)
