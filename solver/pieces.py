"""The distances of a program, a piece at a time: those of 10,000 items are 800 MB, and so is every array made of all at once."""

import numpy as np

# Up to here one piece holds all.
SIDE = 1024


def pieces(items, clock):
    """Slices of SIDE items, in order; asks the clock before each."""
    for start in range(0, items, SIDE):
        clock.check()
        yield slice(start, start + SIDE)


def tiles(items, clock):
    """(rows, columns): two such slices each, the former not after the latter, so that each pair of items is in one of the tiles."""
    for rows in pieces(items, clock):
        for columns in pieces(items, clock):
            if rows.start <= columns.start:
                yield rows, columns


def between(b, rows, columns):
    """(b_ij + b_ji) / 2 of the items `rows` and `columns`, arrays of indices, and 0 from an item to itself; float64."""
    distance = (b[np.ix_(rows, columns)].astype(np.float64) + b[np.ix_(columns, rows)].T) / 2
    distance[rows[:, None] == columns] = 0.0
    return distance


def weighted(b, weight, items, clock):
    """weight * the distances among `items`, [K, K] float64."""
    w = np.empty((len(items), len(items)))
    for rows, columns in tiles(len(items), clock):
        w[rows, columns] = weight * between(b, items[rows], items[columns])
        w[columns, rows] = w[rows, columns].T
    return w
