"""One mixed-integer program for HiGHS, which can be interrupted."""

import importlib.util
import threading
from dataclasses import dataclass

import numpy as np

FEASIBILITY = 1e-10
# HiGHS asks its callbacks every few tenths of a second and looks at its time limit as rarely: it runs beside, and whoever stops
# waiting leaves it to end by itself.
POLL_SECONDS, GRACE_SECONDS = 0.02, 0.1


@dataclass(frozen=True)
class Answer:
    """x: the best found, None without any; bound: valid for the maximum, -inf if nothing is feasible, inf if HiGHS had no time
    for one; proven: HiGHS says optimal, or infeasible."""

    x: np.ndarray | None
    bound: float
    proven: bool


def installed():
    """Whether there is a HiGHS: it is not made for Windows on ARM, for one."""
    return importlib.util.find_spec("highspy") is not None


def maximise(cost, binaries, lower, upper, entries, start, clock):
    """Maximise cost'x over 0 <= x <= 1, the first `binaries` of x integer, and lower <= A x <= upper.

    entries: (row, column, value) of A, three arrays; start: a feasible x, or None.
    """
    import highspy  # too slow for the host's start

    # HiGHS works with absolute tolerances: give it numbers around 1.
    scale = max(1e-300, float(np.abs(cost).max()))
    row, column, value = entries
    order = np.lexsort((column, row))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(lower)
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = cost / scale
    lp.col_lower_, lp.col_upper_ = np.zeros(len(cost)), np.ones(len(cost))
    lp.integrality_ = [highspy.HighsVarType.kInteger] * binaries + [highspy.HighsVarType.kContinuous] * (len(cost) - binaries)
    lp.row_lower_ = np.where(np.isfinite(lower), lower, -highspy.kHighsInf)
    lp.row_upper_ = np.where(np.isfinite(upper), upper, highspy.kHighsInf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.bincount(row, minlength=len(lower)).cumsum()])
    lp.a_matrix_.index_, lp.a_matrix_.value_ = column[order], value[order]

    highs = highspy.Highs()
    highs.silent()
    highs.setOptionValue("time_limit", max(0.0, min(clock.left(), 1e9)))
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.0)
    for kind in ("mip", "primal", "dual"):
        highs.setOptionValue(f"{kind}_feasibility_tolerance", FEASIBILITY)
    highs.passModel(lp)
    if start is not None:
        warm = highspy.HighsSolution()
        warm.col_value = start
        highs.setSolution(warm)
    if not _run(highs, clock):
        return Answer(None, np.inf, False)
    info, solution, status = highs.getInfo(), highs.getSolution(), highs.getModelStatus()
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return Answer(None, -np.inf, True)
    # Rows may be violated by the tolerance, and the bound with them.
    margin = FEASIBILITY * scale * np.abs(upper[0])
    bound = info.mip_dual_bound * scale + margin if abs(info.mip_dual_bound) < highspy.kHighsInf else np.inf
    found = np.asarray(solution.col_value) if solution.value_valid else None
    return Answer(found, bound, status == highspy.HighsModelStatus.kOptimal)


def _run(highs, clock):
    """highs.run(), left as soon as clock.check raises; False if it was left long after the clock's limit."""
    unwanted = threading.Event()

    def ask(event):
        event.data_in.user_interrupt = unwanted.is_set()

    def work():
        highs.run()
        highs.resetGlobalScheduler(False)  # of this thread; Windows may wait for ever at its end otherwise

    highs.cbMipInterrupt += ask
    highs.cbSimplexInterrupt += ask
    # No daemon: Python waits for it at its end, where a callback would find no interpreter.
    thread = threading.Thread(target=work)
    thread.start()
    try:
        while thread.is_alive() and clock.left() > -GRACE_SECONDS:
            thread.join(POLL_SECONDS)
        return not thread.is_alive()
    finally:
        unwanted.set()
