"""All rows: family, peer, tolerance."""

from __future__ import annotations

from tests.reference.features import basic, correlation, intensity, location, neighbors, radial, shape, texture
from tests.reference.features.peers import PeerRow

PEERS: tuple[PeerRow, ...] = (
    *basic.PEERS,
    *shape.PEERS,
    *texture.PEERS,
    *radial.PEERS,
    *neighbors.PEERS,
    *location.PEERS,
    *intensity.PEERS,
    *correlation.PEERS,
)
