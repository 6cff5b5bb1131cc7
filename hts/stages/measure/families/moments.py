"""Moments of the pixels of objects: spatial, central, normalised, Hu's, and the tensor of inertia, as CellProfiler 4.

In ``Moment_p_q`` p is the power of the row and q that of the column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.stages.measure.families._kernels_power_sums import POWERS, power_sums
from hts.stages.measure.features import BuiltInFamily, FeatureInfo

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

_SOURCE = "CellProfiler 4 MeasureObjectSizeShape"
_HU = "Hu's invariant {} of the normalised moments: the same when the object is moved, turned or enlarged"
_TENSOR = "of the tensor of inertia about the mean pixel, over the area"
_INERTIA = {
    "InertiaTensor_0_0": f"Row, row entry {_TENSOR}: the variance of the columns",
    "InertiaTensor_0_1": f"Row, column entry {_TENSOR}: the covariance, negative",
    "InertiaTensor_1_0": f"Column, row entry {_TENSOR}: the covariance, negative",
    "InertiaTensor_1_1": f"Column, column entry {_TENSOR}: the variance of the rows",
    "InertiaTensorEigenvalues_0": f"Larger eigenvalue {_TENSOR}",
    "InertiaTensorEigenvalues_1": f"Smaller eigenvalue {_TENSOR}, at least 0",
}


class MomentFeatures(BuiltInFamily):
    """Moments up to the third power of either coordinate."""

    name = "moments"
    version = 1
    needs = ("runs",)
    cost_ns = 3.0

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """The 53 features; the same whatever the channels."""
        infos = [
            (name, "1" if name.startswith("Normalized") else f"px^{p + q + 2}", text)
            for name, p, q, text in _spatial_definitions()
        ]
        infos += [(f"HuMoment_{k}", "1", _HU.format(k + 1)) for k in range(7)]
        infos += [(name, "px^2", text) for name, text in _INERTIA.items()]
        return tuple(
            FeatureInfo(f"AreaShape_{name}", self.name, unit, None, text, _SOURCE) for name, unit, text in infos
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel."""
        raw, central = np.full((2, objects.count, POWERS, POWERS), np.nan)
        objects.over(power_sums, raw, central)
        for p, q in ((0, 1), (1, 0)):  # 0 by definition; what is left is rounding
            central[:, p, q] = np.where(objects.present, 0.0, np.nan)
        normalized = _normalized(central)
        tables = {"SpatialMoment": raw, "CentralMoment": central, "NormalizedMoment": normalized}
        values = {name: tables[name.partition("_")[0]][:, p, q].copy() for name, p, q, _ in _spatial_definitions()}
        values |= {f"HuMoment_{k}": column for k, column in enumerate(_hu(normalized))}
        values |= _inertia(central)
        return {f"AreaShape_{name}": column for name, column in values.items()}


def _spatial_definitions() -> list[tuple[str, int, int, str]]:
    """Name, powers and definition of the spatial, central and normalised moments, in CellProfiler's order."""
    found = [
        (f"{kind}Moment_{p}_{q}", p, q, f"Sum of row^p times column^q (p_q in the name) of the pixels, from {zero}")
        for kind, zero in (("Spatial", "the first row and column of the object"), ("Central", "their means"))
        for p in range(POWERS - 1)
        for q in range(POWERS)
    ]
    text = "Central moment p_q over area^((p + q) / 2 + 1), so that size does not matter; undefined for p + q < 2"
    return found + [(f"NormalizedMoment_{p}_{q}", p, q, text) for p in range(POWERS) for q in range(POWERS)]


def _normalized(central: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.full_like(central, np.nan)
    for p in range(POWERS):
        for q in range(POWERS):
            if p + q >= 2:
                found[:, p, q] = central[:, p, q] / central[:, 0, 0] ** ((p + q) / 2 + 1)
    return found


def _hu(eta: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The seven invariants (Hu, IRE Transactions on Information Theory 8, 1962)."""
    difference, mixed = eta[:, 2, 0] - eta[:, 0, 2], eta[:, 1, 1]
    c, d = eta[:, 3, 0] - 3 * eta[:, 1, 2], 3 * eta[:, 2, 1] - eta[:, 0, 3]
    a, b = eta[:, 3, 0] + eta[:, 1, 2], eta[:, 2, 1] + eta[:, 0, 3]
    cubic_a, cubic_b = a * (a**2 - 3 * b**2), b * (3 * a**2 - b**2)
    return [
        eta[:, 2, 0] + eta[:, 0, 2],
        difference**2 + 4 * mixed**2,
        c**2 + d**2,
        a**2 + b**2,
        c * cubic_a + d * cubic_b,
        difference * (a**2 - b**2) + 4 * mixed * a * b,
        d * cubic_a - c * cubic_b,
    ]


def _inertia(central: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    area = central[:, 0, 0]
    rows, columns, both = central[:, 2, 0] / area, central[:, 0, 2] / area, central[:, 1, 1] / area
    middle, half = (rows + columns) / 2, np.hypot((columns - rows) / 2, both)
    return {
        "InertiaTensor_0_0": columns,
        "InertiaTensor_0_1": -both,
        "InertiaTensor_1_0": -both,
        "InertiaTensor_1_1": rows,
        "InertiaTensorEigenvalues_0": middle + half,
        "InertiaTensorEigenvalues_1": np.maximum(middle - half, 0.0),
    }
