"""Zernike moments of the shape of objects, as CellProfiler 4 names and defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo
from hts.stages.measure.shared.zernike import MAX_DEGREE, shape_moments, zernike_indices

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

_DEFINITION = (
    "Magnitude of the Zernike moment of degree n and order m (n_m in the name) of the pixels in their smallest "
    "enclosing circle, over the area of that circle; undefined for one pixel"
)


class ZernikeParams(FamilyParams):
    """How many polynomials."""

    degree: int = Field(9, ge=0, le=MAX_DEGREE, description="highest degree; CellProfiler's gives 30 features")


class ZernikeFeatures(BuiltInFamily):
    """How much of each Zernike polynomial is in the shape of an object."""

    name = "zernike"
    version = 1
    Params = ZernikeParams
    needs = ("runs", "hulls", "circles")
    cost_ns = 5.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """The moments by degree and order; the same whatever the channels."""
        return tuple(
            FeatureInfo(
                f"AreaShape_Zernike_{n}_{m}",
                self.name,
                "1",
                None,
                _DEFINITION,
                "CellProfiler 4 MeasureObjectSizeShape",
            )
            for n, m in zernike_indices(self.params.degree)
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects of one pixel and without one."""
        degree, radius = self.params.degree, objects.circles[:, 2]
        area = np.pi * np.where(radius > 0, radius, np.nan) ** 2
        magnitude = np.abs(shape_moments(objects, degree)) / area[:, None]
        return {
            f"AreaShape_Zernike_{n}_{m}": column
            for (n, m), column in zip(zernike_indices(degree), magnitude.T, strict=True)
        }
