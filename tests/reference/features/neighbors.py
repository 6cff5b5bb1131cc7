"""Neighbours, beside cp_measure where it follows CellProfiler."""

from __future__ import annotations

from cp_measure.multimask.measureobjectneighbors import measureobjectneighbors
from scipy import ndimage

from tests.reference.features.peers import Columns, ParityField, PeerRow


def _kept(found: Columns) -> Columns:
    """Without the numbers of the closest objects (no features; their first one is the object itself), and angles."""
    return {name: value for name, value in found.items() if "ObjectNumber" not in name and "Angle" not in name}


def angle(field: ParityField) -> Columns:
    """The angle at the centre, which is the same whatever counts as near."""
    found = measureobjectneighbors(field.labels, field.labels, "Adjacent")
    return {name: value for name, value in found.items() if "Angle" in name}


def adjacent(field: ParityField) -> Columns:
    """Objects that touch."""
    return _kept(measureobjectneighbors(field.labels, field.labels, "Adjacent"))


def within(field: ParityField) -> Columns:
    """Objects within 4 px, and within 10 px."""
    found: Columns = {}
    for distance in (4, 10):
        found |= measureobjectneighbors(field.labels, field.labels, "Within a specified distance", distance)
    return _kept(found)


def expanded(field: ParityField) -> Columns:
    """Objects expanded until they touch.

    CellProfiler looks for neighbours among the expanded objects and takes the centres of the objects as they are;
    cp_measure has these the other way round, so that it is given objects that are expanded before.
    """
    nearest = ndimage.distance_transform_edt(field.labels == 0, return_distances=False, return_indices=True)
    grown = field.labels[tuple(nearest)]
    count = measureobjectneighbors(grown, grown, "Adjacent")["Neighbors_NumberOfNeighbors_Adjacent"]
    touching = measureobjectneighbors(field.labels, field.labels, "Expand until adjacent")
    return {
        "Neighbors_NumberOfNeighbors_Expanded": count,
        "Neighbors_PercentTouching_Expanded": touching["Neighbors_PercentTouching_Expanded"],
        **{name.replace("Adjacent", "Expanded"): v for name, v in adjacent(field).items() if "Closest" in name},
    }


_WHY = "the arc cosine of theirs has 8 digits near 0 and 180 degrees"
PEERS = (
    PeerRow("neighbors", "cp_measure 0.3", adjacent, options={"methods": ("adjacent",)}),
    PeerRow("neighbors", "cp_measure 0.3", within, options={"methods": (4, 10)}),
    PeerRow("neighbors", "cp_measure 0.3", expanded, options={"methods": ("expanded",)}),
    PeerRow("neighbors", "cp_measure 0.3", angle, atol=3e-6, why=_WHY),
)
