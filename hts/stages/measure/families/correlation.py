"""How far the grey levels of two channels go together inside an object."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.features import BuiltInFamily, FeatureInfo, channel_token
from hts.stages.measure.shared.moments import object_moments

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects


class CorrelationFeatures(BuiltInFamily):
    """Pearson's correlation coefficient of every pair of channels."""

    name = "correlation"
    version = 1
    needs = ("moments",)

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """One feature a pair, in the order of the channels."""
        return tuple(
            FeatureInfo(
                _column(first, second),
                self.name,
                "1",
                f"{first},{second}",
                f"Pearson correlation of the grey levels of {first} and {second}; undefined when either is constant",
            )
            for place, first in enumerate(channels)
            for second in channels[place + 1 :]
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel, or where a channel is constant."""
        channels = objects.channels
        pairs = tuple(combinations(range(len(channels)), 2))
        m = object_moments(objects.labels, objects.field.images, pairs, objects.count)
        deviations = [np.sqrt(m.squared_deviations(channel)) for channel in range(len(channels))]
        columns: dict[str, NDArray[np.float64]] = {}
        for pair, (first, second) in enumerate(m.pairs):
            scale = deviations[first] * deviations[second]
            value = m.joint_deviations(pair) / np.where(scale > 0, scale, np.nan)
            columns[_column(channels[first], channels[second])] = np.clip(value, -1.0, 1.0)
        return columns


def _column(first: str, second: str) -> str:
    return f"Correlation_Correlation_{channel_token(first)}_{channel_token(second)}"
