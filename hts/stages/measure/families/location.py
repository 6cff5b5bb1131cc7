"""Where objects are in the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.features import BuiltInFamily, FeatureInfo

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

SOURCE = "CellProfiler 4 IdentifyPrimaryObjects"
_AXES = {"X": "column", "Y": "row"}


class LocationFeatures(BuiltInFamily):
    """The centre of each object."""

    name = "location"
    version = 1
    needs = ("moments",)
    cost_ns = 7.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Two features; the same whatever the channels."""
        return tuple(
            FeatureInfo(
                f"Location_Center_{axis}",
                self.name,
                "px",
                None,
                f"Mean {line} of the object's pixels in the whole field, the first {line} is 0",
                SOURCE,
            )
            for axis, line in _AXES.items()
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel."""
        m = objects.moments.moved(*objects.field.origin)
        return {"Location_Center_X": m.sum_x / m.pixels, "Location_Center_Y": m.sum_y / m.pixels}
