"""Simulated acquisitions for the tests of readers: written by ``synth``, read back, compared plane by plane."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.acquire import Source, read_plane
from hts.model import FieldKey, PlateLayout, WellId
from hts.synth.scan import Pixels, PlateScan, ScanChannel, Shot

SCAN = PlateScan(
    plate_name="Plate7",
    layout=PlateLayout(8, 12),
    wells=(WellId(0, 0), WellId(1, 2), WellId(7, 11)),
    channels=(ScanChannel("DAPI", 450.0, 390.0, 50.0), ScanChannel("GFP", 520.0, 480.0, 120.0)),
    fields=2,
    n_z=3,
    n_t=2,
    shape=(24, 32),
)
LOST = FieldKey(WellId(1, 2), 2)
Write = Callable[[Path, PlateScan, Pixels], dict[Shot, Path]]


def shot_pixels(shot: Shot) -> NDArray[Any]:
    """Noise of 16 bits that tells a shot from every other one."""
    rng = np.random.default_rng(zlib.crc32(repr(shot).encode()))
    return rng.integers(1, 60_000, (24, 32)).astype("uint16")


def check_planes(source: Source, files: dict[Shot, Path] | None = None, scan: PlateScan = SCAN) -> None:
    """Every shot is a plane with its pixels, at its place; nothing else is there."""
    numbers = {channel.name: place for place, channel in enumerate(source.channels)}
    found = {Shot(one.well, one.field, numbers[one.channel], one.z, one.t): one for one in source.planes}
    assert found.keys() == set(scan.shots())
    for shot, plane in found.items():
        np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), shot_pixels(shot))
        assert (plane.x_um, plane.y_um) == tuple(np.round(scan.stage_um(shot.key), 4))
        if files is not None:
            assert plane.path == files[shot]


def check_channels(source: Source, scan: PlateScan = SCAN) -> None:
    """Names, light and exposure of the channels as they were set up."""
    assert [(one.name, one.wavelength_nm, one.excitation_nm, one.exposure_ms) for one in source.channels] == [
        (one.name, one.emission_nm, one.excitation_nm, one.exposure_ms) for one in scan.channels
    ]
