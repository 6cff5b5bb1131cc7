"""Grey levels inside objects, as CellProfiler names them, in the counts of the image (not scaled to 0 … 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo, channel_token

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

Columns = dict[str, NDArray[np.float64]]

_SOURCE = "CellProfiler 4 MeasureObjectIntensity"
_EDGE = (
    "the edge: pixels with another label or background among their four neighbours (the frame of the image is no edge)"
)
_QUANTILE = "interpolated between pixels as the setting `quantiles` says"
_DEFINITIONS = {
    "Intensity_IntegratedIntensity": ("count", "Sum of the grey levels"),
    "Intensity_MeanIntensity": ("count", "Mean grey level"),
    "Intensity_StdIntensity": ("count", "Standard deviation of the grey levels (divided by the number of pixels)"),
    "Intensity_MinIntensity": ("count", "Smallest grey level"),
    "Intensity_MaxIntensity": ("count", "Largest grey level"),
    "Intensity_IntegratedIntensityEdge": ("count", f"Sum of the grey levels of {_EDGE}; undefined without an edge"),
    "Intensity_MeanIntensityEdge": ("count", f"Mean grey level of {_EDGE}; undefined without an edge"),
    "Intensity_StdIntensityEdge": (
        "count",
        f"Standard deviation of the grey levels of {_EDGE}, divided by their number; undefined without an edge",
    ),
    "Intensity_MinIntensityEdge": ("count", f"Smallest grey level of {_EDGE}; undefined without an edge"),
    "Intensity_MaxIntensityEdge": ("count", f"Largest grey level of {_EDGE}; undefined without an edge"),
    "Intensity_MassDisplacement": (
        "px",
        "Distance of the centre of mass of the grey levels from the centre of the pixels; undefined when the grey "
        "levels sum to 0",
    ),
    "Intensity_LowerQuartileIntensity": ("count", f"Grey level below which a quarter of the pixels are, {_QUANTILE}"),
    "Intensity_MedianIntensity": ("count", f"Median of the grey levels, {_QUANTILE}"),
    "Intensity_MADIntensity": ("count", f"Median of the distances of the grey levels from their median, {_QUANTILE}"),
    "Intensity_UpperQuartileIntensity": (
        "count",
        f"Grey level below which three quarters of the pixels are, {_QUANTILE}",
    ),
    "Location_CenterMassIntensity_X": (
        "px",
        "Mean column of the pixels weighted with their grey levels; undefined when these sum to 0",
    ),
    "Location_CenterMassIntensity_Y": (
        "px",
        "Mean row of the pixels weighted with their grey levels; undefined when these sum to 0",
    ),
    "Location_MaxIntensity_X": ("px", "Column of the brightest pixel, the first in raster order among equals"),
    "Location_MaxIntensity_Y": ("px", "Row of the brightest pixel, the first in raster order among equals"),
}


class IntensityParams(FamilyParams):
    """Settings of the intensity features.

    quantiles : where quantile q of n pixels in ascending order is: ``linear`` at q (n - 1), as NumPy and cp_measure
        have it; ``cellprofiler4`` at q n, which is half a pixel higher for the median.
    """

    quantiles: Literal["linear", "cellprofiler4"] = Field(
        "linear", description="quartiles and MAD at (n - 1) q, as NumPy and cp_measure, or at n q, as CellProfiler 4"
    )


class IntensityFeatures(BuiltInFamily):
    """Sums, quantiles, edge and places of the grey levels of every channel; undefined where a pixel is not finite."""

    name = "intensity"
    version = 2
    Params: ClassVar[type[FamilyParams]] = IntensityParams
    # `order` is read, not needed beforehand: where a family needs ranks, they hold what it tells.
    needs = ("moments", "values", "edges")
    cost_ns = 7.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Nineteen features a channel."""
        return tuple(
            FeatureInfo(
                f"{name}_{channel_token(role)}", self.name, unit, role, f"{definition}, channel {role}", _SOURCE
            )
            for role in channels
            for name, (unit, definition) in _DEFINITIONS.items()
        )

    def compute(self, objects: Objects) -> Columns:
        """(n,) values by name; NaN for objects without a pixel, or with one that is not finite."""
        columns: Columns = {}
        for role, (channel, values) in zip(objects.channels, enumerate(self._by_channel(objects)), strict=True):
            finite = objects.finite[:, channel]
            for name in _DEFINITIONS:
                columns[f"{name}_{channel_token(role)}"] = np.where(finite, values[name], np.nan)
        return columns

    def _by_channel(self, objects: Objects) -> Iterator[Columns]:
        from hts.stages.measure.families import _kernels_intensity as kernels
        from hts.stages.measure.shared.ranks import CUMULATIVE, LINEAR

        m = objects.moments
        convention = LINEAR if self.params.quantiles == "linear" else CUMULATIVE
        weights = np.zeros((*m.shift.shape, kernels.COLUMNS), m.total.dtype)
        objects.over(kernels.weigh, objects.values, m.shift.astype(m.total.dtype), objects.edges, weights)
        weights[~objects.finite] = 0  # sums with infinities would warn
        for channel in range(len(objects.channels)):
            yield {
                **_levels(objects, channel),
                **_quantiles(objects.order.statistics[:, channel, convention]),
                **_edge(objects, channel, weights[:, channel]),
                **_places(objects, channel, weights[:, channel]),
            }


def _levels(objects: Objects, channel: int) -> Columns:
    m = objects.moments
    return {
        "Intensity_IntegratedIntensity": m.integrated(channel),
        "Intensity_MeanIntensity": m.mean(channel),
        "Intensity_StdIntensity": np.sqrt(m.squared_deviations(channel) / m.pixels),
        "Intensity_MinIntensity": m.lowest[:, channel].astype(np.float64),
        "Intensity_MaxIntensity": m.highest[:, channel].astype(np.float64),
    }


def _quantiles(statistics: NDArray[np.float64]) -> Columns:
    from hts.stages.measure.shared.ranks import LOWER, MAD, MEDIAN, UPPER

    return {
        "Intensity_LowerQuartileIntensity": statistics[:, LOWER],
        "Intensity_MedianIntensity": statistics[:, MEDIAN],
        "Intensity_MADIntensity": statistics[:, MAD],
        "Intensity_UpperQuartileIntensity": statistics[:, UPPER],
    }


def _edge(objects: Objects, channel: int, weights: NDArray[np.generic]) -> Columns:
    from hts.stages.measure.families import _kernels_intensity as kernels
    from hts.stages.measure.shared.moments import centred

    count = np.diff(objects.edges.first)
    pixels = np.where(count > 0, count.astype(np.float64), np.nan)
    total, squares = weights[:, kernels.EDGE_TOTAL], weights[:, kernels.EDGE_SQUARES]
    shift = objects.moments.shift[:, channel]
    squared_deviations = np.maximum(centred(count, total, total, squares), 0.0)
    return {
        "Intensity_IntegratedIntensityEdge": shift * pixels + total,
        "Intensity_MeanIntensityEdge": shift + total / pixels,
        "Intensity_StdIntensityEdge": np.sqrt(squared_deviations / pixels),
        "Intensity_MinIntensityEdge": np.where(count > 0, weights[:, kernels.EDGE_LOWEST], np.nan),
        "Intensity_MaxIntensityEdge": np.where(count > 0, weights[:, kernels.EDGE_HIGHEST], np.nan),
    }


def _places(objects: Objects, channel: int, weights: NDArray[np.generic]) -> Columns:
    """Centre of mass and brightest pixel, in the coordinates of the whole field.

    The centre of mass is the centre of the pixels and what the unevenness of the light adds to it: as a difference of
    two places far from the origin the displacement would lose digits.
    """
    from hts.stages.measure.families import _kernels_intensity as kernels
    from hts.stages.measure.shared.moments import centred

    m, (rows, columns) = objects.moments, objects.field.origin
    light = m.integrated(channel)
    light = np.where(light != 0, light, np.nan)
    total = m.total[:, channel]
    aside = centred(m.area, total, m.sum_x, weights[:, kernels.ALONG_X]) / light
    down = centred(m.area, total, m.sum_y, weights[:, kernels.ALONG_Y]) / light
    return {
        "Intensity_MassDisplacement": np.hypot(aside, down),
        "Location_CenterMassIntensity_X": m.sum_x / m.pixels + columns + aside,
        "Location_CenterMassIntensity_Y": m.sum_y / m.pixels + rows + down,
        "Location_MaxIntensity_X": weights[:, kernels.PEAK_X].astype(np.float64) + columns,
        "Location_MaxIntensity_Y": weights[:, kernels.PEAK_Y].astype(np.float64) + rows,
    }
