"""Radial distribution, beside cp_measure."""

from __future__ import annotations

import numpy as np
from cp_measure.core.measureobjectintensitydistribution import get_radial_distribution
from numpy.typing import NDArray

from hts.stages.measure import channel_token
from tests.reference.features.peers import Columns, ParityField, PeerRow

_UNSCALED = {"scaled": False, "bin_count": 3, "maximum_radius": 20}


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
    return _of(field, **_UNSCALED)


def _no_mean(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A ring without pixels has no mean, and nothing varies about a mean of 0; theirs is 0 or what was in memory."""
    measure, role, ring = name.split("_")[1:]
    if measure == "FracAtD":
        return np.zeros(theirs.shape, np.bool_)
    undefined = _pixels(field, ring)[ring] == 0
    if measure == "RadialCV":
        undefined |= _pixels(field, ring, role)[ring] == 0
    return np.asarray(undefined)


_KEPT: dict[tuple[str, bool, str | None], tuple[ParityField, Columns]] = {}


def _pixels(field: ParityField, ring: str, role: str | None = None) -> Columns:
    """Fraction of the pixels, or of the grey levels of a channel, by ring; computed once, as it takes long."""
    settings = {} if ring.endswith("of4") else _UNSCALED
    key = field.name, not settings, role
    if key not in _KEPT or _KEPT[key][0] is not field:
        tokens = [channel_token(name) for name in field.channels]
        image = np.ones(field.labels.shape) if role is None else field.scaled[tokens.index(role)]
        found = get_radial_distribution(field.labels, image, **settings)
        _KEPT[key] = field, {name.split("_")[2]: value for name, value in found.items() if "FracAtD" in name}
    return _KEPT[key][1]


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
