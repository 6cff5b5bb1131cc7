"""Pyramids: each level half the size of the one before, until the plane is under 256 px."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST_PX = 256


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Shapes (Y, X) of all levels, the full one first; odd sizes are rounded up.

    >>> level_shapes((640, 640))
    [(640, 640), (320, 320), (160, 160)]
    """
    shapes = [shape]
    while max(shapes[-1]) >= SMALLEST_PX:
        rows, columns = shapes[-1]
        shapes.append(((rows + 1) // 2, (columns + 1) // 2))
    return shapes


def halve_image(plane: NDArray[Any]) -> NDArray[Any]:
    """Area average of 2 × 2 pixels, rounded; an odd last row or column is repeated first."""
    rows, columns = plane.shape
    if rows % 2 or columns % 2:
        plane = np.pad(plane, ((0, rows % 2), (0, columns % 2)), mode="edge")
    wide: NDArray[Any]
    if np.issubdtype(plane.dtype, np.integer):
        wide = plane.astype(np.uint32 if plane.dtype.itemsize <= 2 else np.uint64)
        total = wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2]
        rounded: NDArray[Any] = ((total + 2) // 4).astype(plane.dtype)
        return rounded
    wide = plane
    total = wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2]
    mean: NDArray[Any] = (total / 4).astype(plane.dtype)
    return mean


def halve_labels(plane: NDArray[Any]) -> NDArray[Any]:
    """Every second pixel: labels must never be mixed."""
    return plane[0::2, 0::2]
