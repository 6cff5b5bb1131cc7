"""Where points gather: seeds, the sinks around them, and the object each point belongs to."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Plane = NDArray[np.int32]
Seeds = NDArray[np.int64]

SEED_POINTS = 10
"""A seed has more points than this, and no fewer than any pixel up to two away."""
SINK_POINTS = 2
"""A sink grows over pixels with more points than this."""
REACH_PX = 5
"""A sink grows this far, in steps to one of eight neighbours."""


@njit(cache=True, nogil=True)
def count_ends(ends: Plane, counts: Plane) -> None:
    """How many points end in each pixel, into `counts` (Y, X); points of place -1 are none."""
    counts[:] = 0
    flat = counts.reshape(-1)
    for place in ends.reshape(-1):
        if place >= 0:
            flat[place] += 1


@njit(cache=True, nogil=True)
def _is_peak(counts: Plane, y: int, x: int) -> bool:
    rows, columns = counts.shape
    for v in range(max(y - 2, 0), min(y + 3, rows)):
        for u in range(max(x - 2, 0), min(x + 3, columns)):
            if counts[v, u] > counts[y, x]:
                return False
    return True


@njit(cache=True, nogil=True)
def find_seeds(counts: Plane, seeds: Seeds) -> int:
    """Places of the seeds in raster order into `seeds`, which has room for all pixels of enough points: how many."""
    rows, columns = counts.shape
    found = 0
    for y in range(rows):
        for x in range(columns):
            if counts[y, x] > SEED_POINTS and _is_peak(counts, y, x):
                seeds[found] = y * columns + x
                found += 1
    return found


@njit(cache=True, nogil=True)
def _grow(counts: Plane, place: int, number: int, owners: Plane, queue: Seeds) -> None:
    """Paint what can be reached from `place` over neighbours of enough points, ring by ring."""
    rows, columns = counts.shape
    flat = owners.reshape(-1)
    queue[0] = place
    flat[place] = number
    begin, end = 0, 1
    for _ in range(REACH_PX):
        ring = end
        for i in range(begin, ring):
            y, x = queue[i] // columns, queue[i] % columns
            for v in range(max(y - 1, 0), min(y + 2, rows)):
                for u in range(max(x - 1, 0), min(x + 2, columns)):
                    if counts[v, u] > SINK_POINTS and owners[v, u] != number:
                        owners[v, u] = number
                        queue[end] = v * columns + u
                        end += 1
        begin = ring


@njit(cache=True, nogil=True)
def grow_sinks(counts: Plane, seeds: Seeds, owners: Plane, queue: Seeds) -> None:
    """Sinks around `seeds` into `owners` (Y, X), numbered 1… in the order of the seeds; a later one takes from earlier.

    `queue` has room for (2 · REACH_PX + 1)² places.
    """
    owners[:] = 0
    for index in range(seeds.size):
        _grow(counts, seeds[index], index + 1, owners, queue)


@njit(cache=True, nogil=True)
def label_points(ends: Plane, owners: Plane, labels: Plane) -> None:
    """Give every pixel of `labels` (Y, X) the number of the sink in which its point ends, or 0."""
    sinks, places, out = owners.reshape(-1), ends.reshape(-1), labels.reshape(-1)
    for i in range(places.size):
        out[i] = sinks[places[i]] if places[i] >= 0 else 0
