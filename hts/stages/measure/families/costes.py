"""Manders' coefficients with Costes' automatic threshold for every pair of channels, inside each object."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.features import BuiltInFamily, FeatureInfo, channel_token

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

FLOAT_STEPS = 65_535
"""Steps of the threshold between 0 and full scale for images of floats: those of 16 bits."""

_SOURCE = "CellProfiler 4 MeasureColocalization (Costes, Faster), inside each object as cp_measure"
_DEFINITION = (
    "Share of the grey levels of {a} at or above its threshold that lies where {a} and {b} are above theirs; the "
    "thresholds are a point of the orthogonal regression line, the lowest above which bisection from full scale finds "
    "the pixels below to correlate; undefined for fewer than 3 pixels that are not 0 in both, for grey levels that "
    "are constant, do not covary or are off the scale, where no threshold is found, and where the sum of either "
    "channel at or above its threshold is 0"
)


class CostesFeatures(BuiltInFamily):
    """Two features for each pair of channels; thresholds are searched as cp_measure's ``bisection_costes`` does.

    A background whose correlation is 0 but for rounding counts as one that is not negative, which is the search's
    question; cp_measure goes by the sign of the rounding there (one nucleus in a thousand in small images of 8 bits).
    """

    name = "costes"
    version = 1
    needs = ("moments", "runs", "values", "in_scale")
    bytes_px = 1.0
    cost_ns = 9.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """By pair in the order of the channels, both ways."""
        return tuple(
            FeatureInfo(_column(a, b), self.name, "1", f"{a},{b}", _DEFINITION.format(a=a, b=b), _SOURCE)
            for one, two in combinations(channels, 2)
            for a, b in ((one, two), (two, one))
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN where undefined, and for objects without a pixel.

        Raises
        ------
        StageError
            when most objects have grey levels below 0 or above full scale.
        """
        from hts.stages.measure.families import _kernels_costes as kernels

        scales, channels, usable = objects.field.full_scale, objects.channels, objects.in_scale
        shift = _near_means(objects)
        columns: dict[str, NDArray[np.float64]] = {}
        for one, two in combinations(range(len(channels)), 2):
            steps = _steps(objects.values.dtype, scales[one], scales[two])
            pair = kernels.Pair(objects.values[one], objects.values[two], scales[one], scales[two], steps)
            shares = np.full((objects.count, 2), np.nan)
            both = np.ascontiguousarray(shift[:, [one, two]])
            objects.over(kernels.costes, pair, both, usable[:, one] & usable[:, two], shares)
            columns[_column(channels[one], channels[two])] = shares[:, 0]
            columns[_column(channels[two], channels[one])] = shares[:, 1]
        return columns


def _column(first: str, second: str) -> str:
    return f"Correlation_Costes_{channel_token(first)}_{channel_token(second)}"


def _steps(dtype: np.dtype[np.generic], *scales: float) -> int:
    """Steps of the threshold: grey levels of the finer of the two channels, as CellProfiler has it."""
    if dtype == np.float32:
        return FLOAT_STEPS
    return max(2, round(max(scales)))


def _near_means(objects: Objects) -> NDArray[np.generic]:
    """(n, C) a grey level near the mean of the object, whole for whole grey levels: sums about it lose no digits."""
    m = objects.moments
    means = np.empty(m.total.shape)
    for channel in range(len(objects.channels)):
        means[:, channel] = np.where(objects.finite[:, channel], m.mean(channel), 0.0)
    return means if m.total.dtype == np.float64 else np.rint(means).astype(np.int64)
