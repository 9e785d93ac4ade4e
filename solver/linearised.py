"""The program made linear and given to HiGHS.

Variables y_i (binary) and z_ij >= 0 for the product y_i y_j. Rows: sum y = n; z_ij <= y_i; z_ij <= y_j; and the
cardinality row multiplied by each y_i, sum_j z_ij = (n - 1) y_i. The last family makes the usual z_ij >= y_i + y_j - 1
superfluous and the relaxation several times tighter (reformulation-linearisation, Sherali and Adams 1986).
"""

from dataclasses import dataclass

import numpy as np

FEASIBILITY = 1e-10


@dataclass(frozen=True)
class Answer:
    """indices sorted; bound is valid for the maximum, inf if HiGHS had no time for one; proven: HiGHS says optimal."""

    indices: np.ndarray
    bound: float
    proven: bool


def solve(u, w, n, start, time_limit, products=True):
    """Maximise u'y + sum_{i<j} w_ij y_i y_j over n-subsets, starting from the indices `start`, in `time_limit` seconds.

    products=False leaves out the multiplied cardinality rows (then only for w >= 0): what the benchmark compares with.
    """
    import highspy  # too slow for the host's start

    items = len(u)
    first, second = np.triu_indices(items, 1)
    pairs = len(first)
    # HiGHS works with absolute tolerances: give it numbers around 1.
    scale = max(1e-300, float(np.abs(u).max()), float(np.abs(w).max()))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = items + pairs, 1 + 2 * pairs + items
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = np.concatenate([u, w[first, second]]) / scale
    lp.col_lower_, lp.col_upper_ = np.zeros(items + pairs), np.ones(items + pairs)
    lp.integrality_ = [highspy.HighsVarType.kInteger] * items + [highspy.HighsVarType.kContinuous] * pairs
    slack = np.full(items, 0.0 if products else highspy.kHighsInf)
    lp.row_lower_ = np.concatenate([[n], np.full(2 * pairs, -highspy.kHighsInf), -slack])
    lp.row_upper_ = np.concatenate([[n], np.zeros(2 * pairs), slack])

    z = items + np.arange(pairs)
    below = lambda rows, owner: (np.repeat(rows, 2), np.stack([z, owner], 1).ravel(), np.tile([1.0, -1.0], pairs))
    product = 1 + 2 * pairs
    parts = [
        (np.zeros(items, dtype=int), np.arange(items), np.ones(items)),
        below(1 + np.arange(pairs), first),
        below(1 + pairs + np.arange(pairs), second),
        (product + np.arange(items), np.arange(items), np.full(items, -(n - 1.0))),
        (product + first, z, np.ones(pairs)),
        (product + second, z, np.ones(pairs)),
    ]
    row, column, value = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.lexsort((column, row))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.bincount(row, minlength=lp.num_row_).cumsum()])
    lp.a_matrix_.index_, lp.a_matrix_.value_ = column[order], value[order]

    highs = highspy.Highs()
    highs.silent()
    highs.setOptionValue("time_limit", float(time_limit))
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.0)
    for kind in ("mip", "primal", "dual"):
        highs.setOptionValue(f"{kind}_feasibility_tolerance", FEASIBILITY)
    highs.passModel(lp)
    y = np.zeros(items)
    y[start] = 1.0
    warm = highspy.HighsSolution()
    warm.col_value = np.concatenate([y, y[first] * y[second]])
    highs.setSolution(warm)
    highs.run()

    info, solution = highs.getInfo(), highs.getSolution()
    found = np.asarray(solution.col_value)[:items] if solution.value_valid else y
    indices = np.flatnonzero(found > 0.5)
    if len(indices) != n:
        indices = np.asarray(start)
    # Rows may be violated by the tolerance, and the bound with them.
    margin = FEASIBILITY * scale * n
    bound = info.mip_dual_bound * scale + margin if np.isfinite(info.mip_dual_bound) else np.inf
    return Answer(indices, bound, highs.getModelStatus() == highspy.HighsModelStatus.kOptimal)
