"""How far the grey levels of two channels go together inside an object, as CellProfiler names it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo, channel_token

if TYPE_CHECKING:
    from hts.stages.measure.families._kernels_correlation import Joint
    from hts.stages.measure.shared.objects import Objects

Columns = dict[str, NDArray[np.float64]]

_SOURCE = "CellProfiler 4 MeasureColocalization, inside each object as cp_measure"
_BRIGHT = "bright: at or above `threshold_percent` of the channel's maximum in the object"
_BOTH_WAYS = ("K", "Manders", "RWC")
_DEFINITIONS = {
    "Correlation": "Pearson correlation of the grey levels of {a} and {b}; undefined when either is constant",
    "Slope": "Slope of the least-squares line of {b} on {a}, in counts of {b} for one of {a}; undefined when {a} is "
    "constant",
    "Overlap": "Sum of products over the root of the product of the sums of squares of {a} and {b}, over pixels where "
    f"both are {_BRIGHT}; undefined when there is none, or one sum of squares is 0",
    "K": "Sum of products of {a} and {b} over the sum of squares of {a}, over pixels where both are "
    f"{_BRIGHT}; undefined when there is none, or the sum of squares is 0",
    "Manders": f"Share of the grey levels of bright pixels of {{a}} that lies where {{b}} is bright too ({_BRIGHT}); 0 "
    "when the two never are; undefined when the sum over bright pixels is not above 0",
    "RWC": "As Manders of {a} and {b}, each pixel in both weighted with 1 - D / R: D is the difference of its ranks "
    "among the grey levels of {a} and of {b} in the object, equal levels with equal rank, R the larger number of "
    f"different levels ({_BRIGHT}); undefined as Manders is",
}


class CorrelationParams(FamilyParams):
    """Settings of the correlation features.

    threshold_percent : a pixel is bright from this share of the object's maximum on, for Overlap, K, Manders and RWC.
    """

    threshold_percent: float = Field(
        15.0, ge=0.0, le=100.0, description="pixels from this percentage of the object's maximum count as bright"
    )


class CorrelationFeatures(BuiltInFamily):
    """Pearson, slope, overlap, Manders and rank-weighted colocalisation of every pair of channels.

    Undefined where a pixel of one of the two is not finite.
    """

    name = "correlation"
    version = 2
    Params: ClassVar[type[FamilyParams]] = CorrelationParams
    needs = ("moments", "values", "ranks")
    cost_ns = 4.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Nine features a pair: by feature, then by pair in the order of the channels."""
        return tuple(
            FeatureInfo(_column(name, a, b), self.name, "1", f"{a},{b}", _DEFINITIONS[name].format(a=a, b=b), _SOURCE)
            for name in _DEFINITIONS
            for one, two in combinations(channels, 2)
            for a, b in (((one, two), (two, one)) if name in _BOTH_WAYS else ((one, two),))
        )

    def compute(self, objects: Objects) -> Columns:
        """(n,) values by name; NaN where undefined, and for objects without a pixel."""
        channels = objects.channels
        if len(channels) < 2:
            return {}
        pairs = tuple(combinations(range(len(channels)), 2))
        joint = _joint(objects, pairs, self.params.threshold_percent)
        columns: Columns = {}
        for pair, (a, b) in enumerate(pairs):
            finite = objects.finite[:, a] & objects.finite[:, b]
            one, two = channels[a], channels[b]
            found = {**_lines(objects, joint, pair, (a, b)), **_shares(objects, joint, pair, (a, b))}
            for name, values in found.items():
                feature, turned = name.removesuffix("'"), name.endswith("'")
                column = _column(feature, two, one) if turned else _column(feature, one, two)
                columns[column] = np.where(finite, values, np.nan)
        return {info.name: columns[info.name] for info in self.catalogue(channels)}


def _column(name: str, first: str, second: str) -> str:
    return f"Correlation_{name}_{channel_token(first)}_{channel_token(second)}"


def _joint(objects: Objects, pairs: tuple[tuple[int, int], ...], percent: float) -> Joint:
    """The sums of the kernel for all objects and pairs; those of objects that are not finite are 0."""
    from hts.stages.measure.families import _kernels_correlation as kernels

    m, ranks = objects.moments, objects.ranks
    number = m.total.dtype
    shift = np.where(objects.finite, m.shift, 0).astype(number)
    compared = kernels.Compared(objects.values, ranks.ranks, ranks.distinct, _thresholds(objects, percent), shift)
    joint = kernels.Joint(
        np.zeros(m.total.shape, number), np.zeros((objects.count, len(pairs), kernels.COLUMNS), number)
    )
    kernel = kernels.correlate_floats if number == np.float64 else kernels.correlate_integers
    objects.over(kernel, np.array(pairs, np.int64), compared, joint)
    joint.bright[~objects.finite] = 0
    for pair, (a, b) in enumerate(pairs):
        joint.pairs[~(objects.finite[:, a] & objects.finite[:, b]), pair] = 0
    return joint


def _thresholds(objects: Objects, percent: float) -> NDArray[np.generic]:
    """(n, C) lowest grey level that is bright, of the type of the sums.

    Whole grey levels are compared as CellProfiler does, as doubles from 0 to 1: where a level is exactly at the
    threshold, rounding decides.
    """
    m = objects.moments
    highest = np.where(objects.finite, m.highest, 0).astype(np.float64)
    if m.total.dtype == np.float64:
        return np.asarray(percent / 100 * highest)
    scale = np.array(objects.field.full_scale)
    threshold = percent / 100 * (highest / scale)
    lowest = np.ceil(percent / 100 * highest)
    lowest = np.where((lowest - 1) / scale >= threshold, lowest - 1, lowest)
    return np.where(lowest / scale >= threshold, lowest, lowest + 1).astype(np.int64)


def _lines(objects: Objects, joint: Joint, pair: int, channels: tuple[int, int]) -> Columns:
    """Pearson's coefficient and the slope; deviations are from the exact sums, not from sums of large squares."""
    from hts.stages.measure.families._kernels_correlation import PRODUCTS
    from hts.stages.measure.shared.moments import centred

    m, (a, b) = objects.moments, channels
    together = centred(m.area, m.total[:, a], m.total[:, b], joint.pairs[:, pair, PRODUCTS])
    squared_a, squared_b = m.squared_deviations(a), m.squared_deviations(b)
    scale = np.sqrt(squared_a) * np.sqrt(squared_b)
    return {
        "Correlation": np.clip(_ratio(together, scale), -1.0, 1.0),
        "Slope": _ratio(together, squared_a),
    }


def _shares(objects: Objects, joint: Joint, pair: int, channels: tuple[int, int]) -> Columns:
    """Overlap, K, Manders and RWC; the second of two ways has a mark."""
    from hts.stages.measure.families import _kernels_correlation as kernels

    sums, (a, b) = joint.pairs[:, pair].astype(np.float64), channels
    bright_a, bright_b = (joint.bright[:, channel].astype(np.float64) for channel in channels)
    levels = np.maximum(objects.ranks.distinct[:, a], objects.ranks.distinct[:, b])
    squares_a, squares_b, products = (sums[:, n] for n in (kernels.BOTH_AA, kernels.BOTH_BB, kernels.BOTH_AB))
    return {
        "Overlap": _ratio(products, np.sqrt(squares_a) * np.sqrt(squares_b)),
        "K": _ratio(products, squares_a),
        "K'": _ratio(products, squares_b),
        "Manders": _ratio(sums[:, kernels.BOTH_A], bright_a),
        "Manders'": _ratio(sums[:, kernels.BOTH_B], bright_b),
        "RWC": _ratio(sums[:, kernels.RANKED_A], levels * bright_a),
        "RWC'": _ratio(sums[:, kernels.RANKED_B], levels * bright_b),
    }


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(above / np.where(below > 0, below, np.nan), dtype=np.float64)
