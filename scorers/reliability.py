"""What an early score says about the finished picture's: its rank correlation with it, against the share of the noise that is gone.

Measured by `dev.py bench previews` on the garden (30 prompts, guidance 3). By noise, not by step: image-to-image begins within the
curve, and schedules walk along it as fast as they like. A scorer names its curve as `reliability`; one of another pack may bring its
own [(share of the noise that is gone, 0..1), ...], and without any counts as cautiously as a text score.
"""

import numpy as np

GONE = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)
_curve = lambda *known: tuple(zip(GONE, known, strict=True))

# What lies where: features or structure place by place, and latents with themselves.
PLACES = _curve(0, 0.41, 0.54, 0.69, 0.79, 0.85, 0.89, 0.95, 0.97, 0.99, 1)
# Colours and edges.
COLORS = _curve(0, 0.38, 0.47, 0.56, 0.66, 0.72, 0.79, 0.91, 0.96, 0.99, 1)
# One embedding of the whole picture.
WHOLE = _curve(0, 0.18, 0.25, 0.34, 0.45, 0.54, 0.62, 0.76, 0.86, 0.96, 1)
# How well a picture fits words.
WORDS = _curve(0, 0.11, 0.11, 0.11, 0.24, 0.32, 0.36, 0.52, 0.71, 0.9, 1)
# What adds up from step to step.
GUIDANCE = _curve(0, 0.83, 0.85, 0.88, 0.92, 0.94, 0.96, 0.97, 0.98, 0.99, 1)
# The distance of latents, of the distance that a pairwise scorer will see (dinov2 patches).
LATENTS = _curve(0, 0.38, 0.56, 0.69, 0.75, 0.79, 0.82, 0.84, 0.85, 0.86, 0.86)

# What a scorer has to know to be trusted: nobody leaves in the paper's schedule before one is, and at least twice the group goes on
# until all are. With a half small budgets lose a fifth of their gain and win no right pictures (docs/results.md).
TRUSTED = 1 / 3


def reliability(scorer, gone):
    """0..1 for a scorer when this share of the noise is gone, or [steps] for so many shares."""
    return along(getattr(scorer, "reliability", WORDS), gone)


def check_curve(scorer):
    """Raise ValueError for a scorer whose own reliability is no curve."""
    curve = getattr(scorer, "reliability", WORDS)
    try:
        points = np.array([(float(gone), float(known)) for gone, known in curve])
        good = len(points) > 0 and (points >= 0).all() and (points <= 1).all() and (np.diff(points[:, 0]) > 0).all()
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(
            f"The scorer {scorer.name} has a reliability that is no curve: it must be pairs (share of the noise that is gone, what an early score knows of the final one), all from 0 to 1, with rising shares."
        )


def along(curve, gone):
    return np.interp(gone, *zip(*curve, strict=True))


def trusted_from(scorer):
    """Share of the noise that has to be gone for a scorer to be trusted; 1 if it never is."""
    gone = np.arange(1001) / 1000
    enough = reliability(scorer, gone) >= TRUSTED
    return float(gone[enough.argmax()]) if enough.any() else 1.0
