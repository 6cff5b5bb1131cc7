"""Kernels of percentile normalisation: grey levels counted, pixels scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_levels(pixels: NDArray[Any], counts: NDArray[np.int64]) -> None:
    """Add to ``counts[v]`` how many of `pixels` (flat, uint8 or uint16) have the value v.

    Neighbouring pixels often have one value; two tables let the second addition start before the first has ended.
    """
    second = np.zeros(counts.size, np.int64)
    even = pixels.size - pixels.size % 2
    for i in range(0, even, 2):
        counts[pixels[i]] += 1
        second[pixels[i + 1]] += 1
    if even < pixels.size:
        counts[pixels[even]] += 1
    for level in range(counts.size):
        counts[level] += second[level]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def scale_pixels(pixels: NDArray[Any], low: float, height: float, out: NDArray[np.float32]) -> None:
    """``out = (pixels - low) / height`` in float32, for flat arrays of integers."""
    base = np.float32(low)
    factor = np.float32(1.0 / height)
    for i in range(pixels.size):
        out[i] = (np.float32(pixels[i]) - base) * factor


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def scale_finite(pixels: NDArray[Any], low: float, height: float, out: NDArray[np.float32]) -> None:
    """As `scale_pixels` for floats; what is no finite number becomes 0."""
    factor = np.float32(1.0 / height)
    for i in range(pixels.size):
        value = np.float32(pixels[i] - low) * factor
        out[i] = value if np.isfinite(value) else np.float32(0.0)
