"""How grey levels are distributed between centre and edge of an object, as CellProfiler 4 defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo, channel_token

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

SOURCE = "CellProfiler 4 MeasureObjectIntensityDistribution"

_DEFINITIONS = {
    "FracAtD": "Sum of the grey levels in the ring over that of all rings; undefined when the latter is 0",
    "MeanFrac": "Mean grey level in the ring over that of all rings; undefined when the latter is 0 or the ring has no "
    "pixel",
    "RadialCV": "Standard deviation over mean of the mean grey levels of those of the ring's 8 slices that have "
    "pixels; undefined when the ring has no pixel or the mean is 0",
}
_RINGS = (
    "rings are counted from the centre, which is the first of the pixels furthest from the edge (the frame is none, "
    "but of what fills the field), and divide {unit} along paths inside the object; pieces that no path reaches are "
    "left out"
)


class RadialParams(FamilyParams):
    """How objects are divided into rings."""

    bins: int = Field(default=4, ge=1, le=1000, description="Number of rings.")
    scaled: bool = Field(
        default=True,
        description="Rings by the fraction of the way from centre to edge; if not, by distance from the centre.",
    )
    maximum_radius_px: float = Field(
        default=100, gt=0, description="Outer radius of the last ring when not scaled; what is beyond is the overflow."
    )


class RadialFeatures(BuiltInFamily):
    """Fraction and mean of the grey levels, and how evenly they go round, in each ring of an object, by channel."""

    name = "radial"
    version = 1
    Params = RadialParams
    needs = ("runs", "values", "edge_distance", "moments")
    bytes_px = 6.0
    cost_ns = 12.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Three features a ring and channel."""
        return tuple(
            FeatureInfo(
                f"RadialDistribution_{name}_{channel_token(role)}_{ring}",
                self.name,
                "1",
                role,
                f"{definition}; {self._meaning()}, channel {role}",
                SOURCE,
            )
            for name, definition in _DEFINITIONS.items()
            for role in channels
            for ring in self._rings()
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel, or with one that is not finite."""
        codes = self._codes(objects)
        counts = self._sums(objects, codes, np.broadcast_to(np.uint16(1), codes.shape))
        columns: dict[str, NDArray[np.float64]] = {}
        for channel, role in enumerate(objects.channels):
            sums = self._sums(objects, codes, objects.values[channel])
            known = objects.finite[:, channel, None]
            for name, values in zip(_DEFINITIONS, _distribution(sums, counts), strict=True):
                for ring, value in zip(self._rings(), np.where(known, values, np.nan).T, strict=False):
                    columns[f"RadialDistribution_{name}_{channel_token(role)}_{ring}"] = value
        return columns

    def _rings(self) -> list[str]:
        bins = self.params.bins
        return [f"{number}of{bins}" for number in range(1, bins + 1)] + ([] if self.params.scaled else ["Overflow"])

    def _meaning(self) -> str:
        if self.params.scaled:
            return _RINGS.format(unit="the way from there to the edge")
        return _RINGS.format(unit=f"{self.params.maximum_radius_px:g} px, with what is beyond in Overflow,")

    def _codes(self, objects: Objects) -> NDArray[np.uint16]:
        """(N,) ring and slice of each pixel, as the kernel ``code_pixels`` writes them."""
        from hts.stages.measure.families import _kernels_radial as kernels
        from hts.stages.measure.shared._kernels_distance import Frame

        codes = np.empty(objects.edge_distance.shape, np.uint16)
        height, width = objects.labels.shape
        rings = kernels.Rings(self.params.bins, self.params.scaled, float(self.params.maximum_radius_px))
        objects.over(kernels.code_pixels, Frame(height, width, False), rings, objects.edge_distance, codes)
        return codes

    def _sums(self, objects: Objects, codes: NDArray[np.uint16], values: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, bins + 1, 8) sums by ring and slice; what the centre cannot reach is left out."""
        from hts.stages.measure.families import _kernels_radial as kernels

        rings = self.params.bins + 1
        sums = np.zeros((objects.count, rings * kernels.SLICES + 1))
        objects.over(kernels.sum_by_code, codes, values, sums)
        return sums[:, :-1].reshape(-1, rings, kernels.SLICES)


def _distribution(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """(n, bins + 1) fraction, mean fraction and variation, from (n, bins + 1, 8) sums of grey levels and of pixels."""
    with np.errstate(invalid="ignore", divide="ignore"):
        in_ring, pixels = sums.sum(axis=2), counts.sum(axis=2)
        total = in_ring.sum(axis=1, keepdims=True)
        fraction = np.where(total != 0, in_ring / total, np.nan)
        mean_fraction = fraction / (pixels / pixels.sum(axis=1, keepdims=True))
        slices = np.where(counts > 0, sums / counts, 0.0)
        used = (counts > 0).sum(axis=2)
        mean = slices.sum(axis=2) / used
        spread = np.where(counts > 0, slices - mean[..., None], 0.0)
        variation = np.sqrt((spread**2).sum(axis=2) / used) / mean
    return (
        fraction,
        np.where(pixels > 0, mean_fraction, np.nan),
        np.where((used > 0) & (mean != 0), variation, np.nan),
    )
