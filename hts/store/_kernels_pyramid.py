"""Kernels that halve a plane: the mean of 2 × 2 pixels. Twins: ``tests/reference/pyramid.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def halve_integers(plane: NDArray[Any], half: NDArray[Any]) -> None:
    """Rounded means, halves up, of integers of at most four bytes; an odd last row or column counts twice."""
    rows, columns = plane.shape
    pairs = columns // 2
    for y in range(half.shape[0]):
        upper, lower = plane[2 * y], plane[min(2 * y + 1, rows - 1)]
        for x in range(pairs):
            total = np.int64(upper[2 * x]) + np.int64(upper[2 * x + 1])
            total += np.int64(lower[2 * x]) + np.int64(lower[2 * x + 1])
            half[y, x] = (total + 2) >> 2
        if pairs < half.shape[1]:
            half[y, pairs] = (np.int64(upper[columns - 1]) + np.int64(lower[columns - 1]) + 1) >> 1


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def halve_floats(plane: NDArray[Any], half: NDArray[Any]) -> None:
    """Means of floats, added in their own precision; an odd last row or column counts twice."""
    rows, columns = plane.shape
    for y in range(half.shape[0]):
        upper, lower = plane[2 * y], plane[min(2 * y + 1, rows - 1)]
        for x in range(half.shape[1]):
            right = min(2 * x + 1, columns - 1)
            half[y, x] = (upper[2 * x] + lower[2 * x] + upper[right] + lower[right]) / 4
