"""Zernike moments of the grey levels of objects, as CellProfiler 4 names and defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo, channel_token
from hts.stages.measure.shared.zernike import MAX_DEGREE, weighted_moments, zernike_indices

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

_SOURCE = "CellProfiler 4 MeasureObjectIntensityDistribution"

_MOMENT = (
    "Zernike moment of degree n and order m (n_m in the name) of the grey levels in the smallest circle around the "
    "object"
)
_DEFINITIONS = {
    "Magnitude": f"Magnitude of the {_MOMENT}, over its number of pixels; undefined for one pixel",
    "Phase": f"Phase of the {_MOMENT}: the angle whose sine goes with the real and whose cosine goes with the "
    "imaginary part, -pi to pi, as CellProfiler has it; means nothing where the magnitude is about 0; undefined for "
    "one pixel",
}


class RadialZernikeParams(FamilyParams):
    """How many polynomials."""

    degree: int = Field(
        9, ge=0, le=MAX_DEGREE, description="highest degree; CellProfiler's gives 60 features a channel"
    )


class RadialZernikeFeatures(BuiltInFamily):
    """How much of each Zernike polynomial is in the grey levels of an object, and in which direction."""

    name = "radial_zernike"
    version = 1
    Params = RadialZernikeParams
    needs = ("moments", "runs", "values", "hulls", "circles")
    bytes_px = 1.0
    cost_ns = 8.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Magnitude and phase of the moments by channel, degree and order."""
        return tuple(
            FeatureInfo(
                _name(kind, role, n, m), self.name, unit, role, f"{_DEFINITIONS[kind]}, channel {role}", _SOURCE
            )
            for role in channels
            for kind, unit in (("Magnitude", "count"), ("Phase", "radian"))
            for n, m in zernike_indices(self.params.degree)
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects of one pixel, without one, or with one that is not finite."""
        columns: dict[str, NDArray[np.float64]] = {}
        degree = self.params.degree
        pixels = np.where(objects.present, np.diff(objects.runs.offset), np.nan)
        for channel, role in enumerate(objects.channels):
            moments = weighted_moments(objects, channel, degree)
            values = {
                "Magnitude": np.abs(moments) / pixels[:, None],
                "Phase": np.arctan2(moments.real, moments.imag),
            }
            for kind, table in values.items():
                for (n, m), column in zip(zernike_indices(degree), table.T, strict=True):
                    columns[_name(kind, role, n, m)] = column
        return columns


def _name(kind: str, role: str, n: int, m: int) -> str:
    return f"RadialDistribution_Zernike{kind}_{channel_token(role)}_{n}_{m}"
