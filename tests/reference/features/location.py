"""Centres of objects, beside cp_measure's and CellProfiler's centrosome."""

from __future__ import annotations

from centrosome.cpmorphology import centers_of_labels

from tests.reference.features.peers import Columns, ParityField, PeerRow


def centres(field: ParityField) -> Columns:
    """Mean row and column."""
    y, x = centers_of_labels(field.labels)
    return {"Location_Center_X": x, "Location_Center_Y": y}


PEERS = (PeerRow("location", "centrosome centers_of_labels", centres),)
