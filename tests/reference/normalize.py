"""Slow, obvious twins of the kernels of normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def count_levels(pixels: NDArray[Any], levels: int) -> NDArray[np.int64]:
    """How many pixels have each value, one value at a time."""
    return np.array([np.count_nonzero(pixels == level) for level in range(levels)], np.int64)


def scale_pixels(pixels: NDArray[Any], low: float, height: float) -> NDArray[np.float64]:
    """The formula, in float64."""
    return (pixels.astype(np.float64) - low) / height


def scale_finite(pixels: NDArray[Any], low: float, height: float) -> NDArray[np.float64]:
    """The formula, in float64; 0 for what is no finite number."""
    return np.where(np.isfinite(pixels), (np.nan_to_num(pixels.astype(np.float64)) - low) / height, 0.0)
