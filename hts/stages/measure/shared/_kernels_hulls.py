"""Convex hulls of objects: the corners of the hull of the pixel centres, in exact integers.

Only the first and the last pixel of a row can be a corner. Going down the rows, the left ends and the right ends are
two chains of which every point that is not strictly outside the line between its neighbours is dropped (Andrew,
Information Processing Letters 9, 1979).
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Hulls(NamedTuple):
    """Corners of the convex hulls of objects 0 … n - 1; those of object ``i`` are ``first[i] : first[i + 1]``.

    They go round by the top, the right and the bottom, from the leftmost corner (the upper of two), and no three lie
    on a line: one pixel has one corner, a line two.

    first : (n + 1,) int64
    row, column : (V,) int32, pixel centres.
    """

    first: NDArray[np.int64]
    row: NDArray[np.int32]
    column: NDArray[np.int32]


@njit(cache=True, nogil=True)
def _push(chain: Any, size: Any, row: Any, column: Any) -> Any:
    """Add a point below a chain that bulges to small columns, and drop what no longer bulges; the new size."""
    while size >= 2:
        row_0, column_0 = chain[size - 2, 0], chain[size - 2, 1]
        row_1, column_1 = chain[size - 1, 0], chain[size - 1, 1]
        if (column_1 - column_0) * (row - row_0) < (column - column_0) * (row_1 - row_0):
            break
        size -= 1
    chain[size, 0] = row
    chain[size, 1] = column
    return size + 1


@njit(cache=True, nogil=True)
def _close(left: Any, lefts: Any, right: Any, rights: Any, ring: Any) -> Any:
    """Write the right chain downwards and the left chain upwards, each corner once; the number of corners."""
    size = 0
    for k in range(rights):
        ring[size, 0], ring[size, 1] = right[k, 0], -right[k, 1]
        size += 1
    for k in range(lefts - 1, -1, -1):
        row, column = left[k, 0], left[k, 1]
        last, top = ring[size - 1], ring[0]
        if (last[0] == row and last[1] == column) or (top[0] == row and top[1] == column):
            continue
        ring[size, 0], ring[size, 1] = row, column
        size += 1
    return size


@njit(cache=True, nogil=True)
def hull_corners(first: Any, stop: Any, runs: Any, corners: Any, counts: Any) -> None:
    """List the corners of objects ``first <= i < stop``.

    Parameters
    ----------
    corners : (2 R, 2) int32, twice the number of runs; those of object ``i`` are written from ``2 runs.first[i]``.
    counts : (n,) int64, how many they are.
    """
    longest = 0
    for i in range(first, stop):
        longest = max(longest, runs.first[i + 1] - runs.first[i])
    left, right = np.empty((longest + 1, 2), np.int64), np.empty((longest + 1, 2), np.int64)
    ring = np.empty((2 * longest + 1, 2), np.int64)
    for i in range(first, stop):
        lefts = rights = 0
        for run in range(runs.first[i], runs.first[i + 1]):
            row = np.int64(runs.row[run])
            if run == runs.first[i] or runs.row[run - 1] != row:
                lefts = _push(left, lefts, row, np.int64(runs.start[run]))
            if run + 1 == runs.first[i + 1] or runs.row[run + 1] != row:
                rights = _push(right, rights, row, 1 - np.int64(runs.stop[run]))
        size = _close(left, lefts, right, rights, ring)
        begin = 0
        for k in range(1, size):
            if ring[k, 1] < ring[begin, 1] or (ring[k, 1] == ring[begin, 1] and ring[k, 0] < ring[begin, 0]):
                begin = k
        counts[i] = size
        for k in range(size):
            corners[2 * runs.first[i] + k] = ring[(begin + k) % size]
