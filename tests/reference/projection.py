"""Twins of the projections: pixel by pixel, in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


def max_projection(stack: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Largest value of every pixel."""
    result = np.empty_like(stack[0])
    for place in np.ndindex(result.shape):
        result[place] = max(plane[place].item() for plane in stack)
    return result


def mean_projection(stack: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Mean of every pixel; of integers the nearest one, halves upwards."""
    result = np.empty_like(stack[0])
    for place in np.ndindex(result.shape):
        values = [plane[place].item() for plane in stack]
        if result.dtype.kind == "f":
            result[place] = math.fsum(values) / len(values)
        else:
            result[place] = math.floor(Fraction(sum(map(int, values)), len(values)) + Fraction(1, 2))
    return result
