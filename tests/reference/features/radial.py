"""Radial distribution, beside cp_measure."""

from __future__ import annotations

import numpy as np
from cp_measure.core.measureobjectintensitydistribution import get_radial_distribution
from numpy.typing import NDArray

from hts.stages.measure import channel_token
from tests.reference.features.peers import Columns, ParityField, PeerRow


def _named(found: dict[str, NDArray[np.float64]], role: str) -> Columns:
    return {"_".join([*name.split("_")[:2], channel_token(role), *name.split("_")[2:]]): v for name, v in found.items()}


def _of(field: ParityField, **settings: object) -> Columns:
    columns: Columns = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for role, image in zip(field.channels, field.scaled, strict=True):
            columns.update(_named(get_radial_distribution(field.labels, image, **settings), role))
    return columns


def scaled(field: ParityField) -> Columns:
    """Four rings by the fraction of the way."""
    return _of(field)


def unscaled(field: ParityField) -> Columns:
    """Three rings by distance, and what is beyond."""
    return _of(field, scaled=False, bin_count=3, maximum_radius=20)


def _no_mean(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A ring without pixels has no mean, and nothing varies about a mean of 0; theirs is 0 or what was in memory."""
    if "FracAtD" in name:
        return np.zeros(theirs.shape, np.bool_)
    ring = name.rsplit("_", 1)[1]
    settings = {} if ring.endswith("of4") else {"scaled": False, "bin_count": 3, "maximum_radius": 20}
    pixels = get_radial_distribution(field.labels, np.ones(field.labels.shape), **settings)
    empty = np.asarray(pixels[f"RadialDistribution_FracAtD_{ring}"] == 0)
    dark = _of(field, **settings)[name.replace("RadialCV", "FracAtD")] == 0
    return np.asarray(empty | dark if "RadialCV" in name else empty)


_WHY = "where a ring has no pixel, or only dark ones, ours is NaN"

PEERS = (
    PeerRow("radial", "cp_measure 0.3", scaled, atol=1e-13, why=_WHY, undefined=_no_mean),
    PeerRow(
        "radial",
        "cp_measure 0.3",
        unscaled,
        atol=1e-13,
        why=_WHY,
        options={"scaled": False, "bins": 3, "maximum_radius_px": 20},
        undefined=_no_mean,
    ),
)
