"""Grey levels inside objects, beside cp_measure and scikit-image."""

from __future__ import annotations

import numpy as np

from hts.stages.measure import channel_token
from tests.reference import measure
from tests.reference.features.peers import Columns, ParityField, PeerRow

_PER_GREY_LEVEL = ("Displacement", "_X", "_Y")


def scikit_image(field: ParityField) -> Columns:
    """Mean, deviation, extremes and sum."""
    found = measure.scikit_image(field.labels, np.moveaxis(field.images, 0, -1))
    tokens = {f"_C{n}": f"_{channel_token(name)}" for n, name in enumerate(field.channels)}
    return {f"{k[:-3]}{tokens[k[-3:]]}": v for k, v in found.items() if k[-3:] in tokens and k.startswith("Intensity_")}


def cp_measure(field: ParityField, *, legacy: bool = False) -> Columns:
    """All fifteen, and the places; cp_measure's grey levels are from 0 to 1."""
    from cp_measure.core.measureobjectintensity import get_intensity

    columns: Columns = {}
    scale = np.iinfo(field.images.dtype).max if field.images.dtype.kind == "u" else 1.0
    for role, image in zip(field.channels, field.scaled, strict=True):
        for name, values in get_intensity(field.labels, image, legacy=legacy).items():
            if not name.endswith("_Z"):
                unit = 1.0 if name.endswith(_PER_GREY_LEVEL) else scale
                columns[f"{name}_{channel_token(role)}"] = np.asarray(values) * unit
    return columns


def cp_measure_legacy(field: ParityField) -> Columns:
    """With the quantiles of CellProfiler 4."""
    return cp_measure(field, legacy=True)


_WHY = "deviations and displacements of nearly 0: sums of floats from 0 to 1, and of coordinates, round in the peer"

PEERS = (
    PeerRow("intensity", "cp_measure 0.3 get_intensity", cp_measure, atol=1e-9, why=_WHY),
    PeerRow(
        "intensity",
        "cp_measure 0.3 get_intensity(legacy=True), as CellProfiler 4",
        cp_measure_legacy,
        atol=1e-9,
        why=_WHY,
        options={"quantiles": "cellprofiler4"},
    ),
    PeerRow("intensity", "scikit-image regionprops_table", scikit_image),
)
