"""How much memory a piece of work takes at its peak."""

import sys
from pathlib import Path

import psutil
import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_above(work):
    """Bytes that work() takes at its peak above what is in use before it: of the GPU where there is one, else resident ones of
    this process. Only Linux can forget an earlier peak of a process; elsewhere let nothing larger go before."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    if RESET.exists():
        RESET.write_text("5")
    before = psutil.Process().memory_info().rss
    work()
    return max(0, _peak_resident() - before)


def _peak_resident():
    if STATUS.exists():
        return int(STATUS.read_text().split("VmHWM:")[1].split()[0]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
