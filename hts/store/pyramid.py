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
    """Area average of 2 × 2 pixels, integers rounded; an odd last row or column is repeated first.

    Parameters
    ----------
    plane : (Y, X) of integers or floats; the result has the same type, in the byte order of this machine.
    """
    native = np.ascontiguousarray(plane, plane.dtype.newbyteorder("="))
    real = np.issubdtype(native.dtype, np.floating)
    if native.dtype.itemsize > (8 if real else 4) or (real and native.dtype.itemsize < 4):
        return _halve_rare(native)
    from hts.store import _kernels_pyramid as kernels

    half = np.empty(((plane.shape[0] + 1) // 2, (plane.shape[1] + 1) // 2), native.dtype)
    # Numba compiles anew for read-only arrays, such as those of a file: always read-only is one kernel a type.
    native = native.view()
    native.flags.writeable = False
    (kernels.halve_floats if real else kernels.halve_integers)(native, half)
    return half


def _halve_rare(plane: NDArray[Any]) -> NDArray[Any]:
    """Types that no camera has: integers of 64 bits, whose sums would overflow, and half and long floats."""
    rows, columns = plane.shape
    plane = np.pad(plane, ((0, rows % 2), (0, columns % 2)), mode="edge")
    parts = [plane[y::2, x::2] for x in (0, 1) for y in (0, 1)]
    if np.issubdtype(plane.dtype, np.integer):
        rests: NDArray[Any] = np.sum([part & 3 for part in parts], axis=0, dtype=plane.dtype)
        quarters: NDArray[Any] = np.sum([part >> 2 for part in parts], axis=0, dtype=plane.dtype)
        half: NDArray[Any] = quarters + ((rests + 2) >> 2)
        return half
    mean: NDArray[Any] = np.sum([part / 4 for part in parts], axis=0, dtype=plane.dtype)
    return mean


def halve_labels(plane: NDArray[Any]) -> NDArray[Any]:
    """Every second pixel: labels must never be mixed."""
    return plane[0::2, 0::2]
