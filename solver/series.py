"""Several selections from one pool."""

from .select import select


def frontier(unary, pairwise, n, weights, **options):
    """One Selection per weight, each started from the one before: how the group changes from quality to difference."""
    found = []
    for weight in weights:
        found.append(select(unary, pairwise, n, weight, start=found[-1].indices if found else None, **options))
    return found


def select_many(unary, pairwise, n, groups, weight=1.0, **options):
    """`groups` disjoint Selections of n, one after the other: the best group, then the best of the rest, and so on.

    Raises ValueError when there are fewer than groups * n items.
    """
    if groups * n > len(unary):
        raise ValueError(f"{groups} groups of {n} need {groups * n} items, but there are {len(unary)}.")
    found = []
    for _ in range(groups):
        found.append(select(unary, pairwise, n, weight, banned=[i for s in found for i in s.indices], **options))
    return found
