"""Slow, obvious twins of the kernels that halve a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def halve_integers(plane: NDArray[Any]) -> NDArray[Any]:
    """Mean of each 2 × 2 block in Python's numbers, halves up; what lies outside is the nearest pixel inside."""
    return _halve(plane, lambda values: (sum(values) + 2) // 4)


def halve_floats(plane: NDArray[Any]) -> NDArray[Any]:
    """The same for floats, not rounded."""
    return _halve(plane, lambda values: sum(values) / 4)


def _halve(plane: NDArray[Any], mean: Any) -> NDArray[Any]:
    rows, columns = plane.shape
    half = np.zeros((-(-rows // 2), -(-columns // 2)), plane.dtype)
    for y, x in np.ndindex(half.shape):
        ys, xs = (2 * y, min(2 * y + 1, rows - 1)), (2 * x, min(2 * x + 1, columns - 1))
        half[y, x] = mean([plane[a, b].item() for a in ys for b in xs])
    return half
