"""Small scans for the tests of the layouts that microscopes leave behind; every plane has pixels of its own."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.model import FieldKey, PlateLayout, WellId
from hts.synth.scan import PlateScan, ScanChannel, Shot

CHANNELS = (
    ScanChannel("DAPI", 452, 385, 30),
    ScanChannel("FITC", 536, 475, 80),
    ScanChannel("Cy5", 692, 635, 200),
)


def small_scan(**changes: Any) -> PlateScan:
    """Two wells × three fields × two channels × two z × two time points of 24 × 32 pixels, one field lost."""
    options: dict[str, Any] = {
        "plate_name": "P1",
        "layout": PlateLayout(8, 12),
        "wells": (WellId(1, 1), WellId(2, 10)),
        "channels": CHANNELS[:2],
        "fields": 3,
        "n_z": 2,
        "n_t": 2,
        "shape": (24, 32),
        "lost": frozenset({FieldKey(WellId(2, 10), 2)}),
    }
    return PlateScan(**options | changes)


def pixels_of(shot: Shot, shape: tuple[int, int] = (24, 32)) -> NDArray[np.uint16]:
    """Noise of 12 bit that depends on the shot only."""
    rng = np.random.default_rng(zlib.crc32(repr(tuple(shot)).encode()))
    return rng.integers(1, 4096, shape).astype(np.uint16)
