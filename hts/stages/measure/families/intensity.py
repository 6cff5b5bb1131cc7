"""Grey levels inside objects, as CellProfiler names them, in the counts of the image (not scaled to 0 … 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.features import BuiltInFamily, FeatureInfo, channel_token

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

_DEFINITIONS = {
    "MeanIntensity": "Mean grey level",
    "StdIntensity": "Standard deviation of the grey levels (divided by the number of pixels)",
    "MinIntensity": "Smallest grey level",
    "MaxIntensity": "Largest grey level",
    "IntegratedIntensity": "Sum of the grey levels",
}


class IntensityFeatures(BuiltInFamily):
    """Mean, standard deviation, extremes and sum of the grey levels of every channel."""

    name = "intensity"
    version = 1
    needs = ("moments",)

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Five features a channel."""
        return tuple(
            FeatureInfo(
                f"Intensity_{name}_{channel_token(role)}", self.name, "count", role, f"{definition}, channel {role}"
            )
            for role in channels
            for name, definition in _DEFINITIONS.items()
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel, or with one that is not finite."""
        m, present = objects.moments, objects.moments.area > 0
        columns: dict[str, NDArray[np.float64]] = {}
        for channel, role in enumerate(objects.channels):
            values = {
                "MeanIntensity": m.mean(channel),
                "StdIntensity": np.sqrt(m.squared_deviations(channel) / m.pixels),
                "MinIntensity": np.where(present, m.lowest[:, channel], np.nan),
                "MaxIntensity": np.where(present, m.highest[:, channel], np.nan),
                "IntegratedIntensity": m.integrated(channel),
            }
            columns.update({f"Intensity_{name}_{channel_token(role)}": value for name, value in values.items()})
        return columns
