"""The concave relaxation: an upper bound within per cents or much less, in milliseconds.

On the plane sum y = n the objective u'y + y'Wy/2 keeps its value at binary points when s y'y / 2 is taken away and
s sum(y) / 2 added. With s the largest eigenvalue of W over the directions of the plane the result is concave there, so every
tangent plane is an upper bound, at any point, optimal or not. For distances 1 - cos (half a squared distance, of negative
type: Cevallos, Eisenbrand and Zenklusen, arXiv 1511.07077) s is 0 or less and the bound is tight; for other distances it
stays valid and is weaker.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tangent:
    """An upper bound over all n-subsets: the tangent plane at y, largest at the n items with the largest slope."""

    bound: float
    y: np.ndarray
    slope: np.ndarray


def relax(u, w, n, y, goal, iterations):
    """The lowest tangent bound met while climbing the relaxation from y; stops early at `goal` or below.

    u [M], w [M, M] symmetric with zero diagonal, 0 < n < M, y in the capped simplex. Accelerated projected gradient with
    restarts (O'Donoghue and Candes, arXiv 1204.3982).
    """
    shift, curvature = _shift_and_curvature(w)
    linear, ahead, momentum, best = u + shift / 2, y, 1.0, None
    for i in range(iterations):
        slope = linear + w @ ahead - shift * ahead
        if i % 5 == 0 or i == iterations - 1:
            value = (linear + slope) @ ahead / 2
            bound = value + np.partition(slope, len(u) - n)[len(u) - n :].sum() - slope @ ahead
            if best is None or bound < best.bound:
                best = Tangent(float(bound), ahead, slope)
            if bound <= goal:
                break
        new = project(ahead + slope / curvature, n)
        if (new - y) @ slope < 0:
            momentum = 1.0
        faster = (1 + (1 + 4 * momentum * momentum) ** 0.5) / 2
        y, ahead, momentum = new, new + (momentum - 1) / faster * (new - y), faster
    return best


def project(v, n):
    """The nearest point to v in {0 <= y <= 1, sum y = n}: clip(v - t), t by Newton's method inside a bracket."""
    low, high, t = v.min() - 1.0, v.max(), (v.sum() - n) / len(v)
    for _ in range(60):
        y = np.clip(v - t, 0.0, 1.0)
        excess = y.sum() - n
        if abs(excess) < 1e-12 * len(v):
            break
        low, high = (t, high) if excess > 0 else (low, t)
        inside = np.count_nonzero((y > 0) & (y < 1))
        t = t + excess / inside if inside else (low + high) / 2
        if not low < t < high:
            t = (low + high) / 2
    return y


def _shift_and_curvature(w):
    """The largest eigenvalue of w over vectors that sum to 0, and its distance to the smallest; both with a margin."""
    mean = w.mean(0)
    centred = w - mean - mean[:, None] + mean.mean()
    scale = max(1e-300, float(np.abs(centred).max()))
    # The ones vector adds an eigenvalue 0 that no direction of the plane has: put it below all others.
    values = np.linalg.eigvalsh(centred - 2 * scale)
    shift = values[-1] + 1e-12 * scale * len(w)
    return shift, max(shift - values[1 if len(w) > 1 else 0], 1e-9 * scale)
