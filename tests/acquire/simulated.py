"""Round trips: what a simulated microscope wrote is what its reader finds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from hts.acquire import Plane, Source, open_source, read_plane
from hts.model import FieldKey, PlateLayout, WellId
from hts.synth.microscopes import microscope
from hts.synth.scan import PlateScan, ScanChannel, Shot

from .folders import SHAPE, pixels

LOST = FieldKey(WellId(1, 1), 2)


def small_scan(n_z: int = 1, n_t: int = 1, lost: bool = False) -> PlateScan:
    """Three wells, three fields and two channels of small planes."""
    return PlateScan(
        plate_name="P7",
        layout=PlateLayout(8, 12),
        wells=(WellId(0, 0), WellId(1, 1), WellId(7, 11)),
        channels=(ScanChannel("DNA", 450.0, 390.0, 50.0), ScanChannel("Actin", 520.0, 488.0, 20.0)),
        fields=3,
        n_z=n_z,
        n_t=n_t,
        shape=SHAPE,
        lost=frozenset({LOST} if lost else ()),
    )


def write_scan(folder: Path, name: str, scan: PlateScan) -> dict[Shot, Path]:
    return microscope(name).write(folder, scan, pixels)


def check_round_trip(folder: Path, name: str, scan: PlateScan) -> Source:
    """Every shot is found once, at its place, with its pixels; every shot of a lost field is missing."""
    written = write_scan(folder, name, scan)
    source = open_source(folder)
    assert source.reader == name
    assert (source.n_z, source.n_t, source.shape) == (scan.n_z, scan.n_t, scan.shape)
    assert source.wells == tuple(sorted(scan.wells))
    shots = {path: shot for shot, path in written.items()}
    assert {plane.path for plane in source.planes} == shots.keys()
    first = source.fields(source.wells[0])[0]
    order = [channel.name for channel in source.channels]
    places = sorted({shot.channel for shot in written}, key=lambda place: _name_of(source, shots, place))
    for plane in source.planes:
        shot = shots[plane.path]
        found = (plane.well, plane.field - first + 1, places[order.index(plane.channel)], plane.z, plane.t)
        assert found == tuple(shot)
        np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), pixels(shot))
    a_field = len(scan.channels) * scan.n_z * scan.n_t
    assert [(issue.well, issue.field - first + 1, issue.status) for issue in source.issues] == [
        (*key, "missing") for key in sorted(scan.lost) for _ in range(a_field)
    ]
    return source


def _name_of(source: Source, shots: dict[Path, Shot], place: int) -> int:
    """Where the reader sorted the channel of the scan's ``place``, by one of its files."""
    order = [channel.name for channel in source.channels]
    return next(order.index(plane.channel) for plane in source.planes if shots[plane.path].channel == place)


def check_positions(source: Source, scan: PlateScan) -> None:
    """Distances of neighbouring planes on the stage are those of the scan's, inside a well."""
    for first, second in pairwise(source.planes):
        if first.well != second.well:
            continue
        (x1, y1), (x2, y2) = (scan.offset_um(plane.field) for plane in (first, second))
        found = np.subtract(_stage_um(second), _stage_um(first))
        np.testing.assert_allclose(found, (y2 - y1, x2 - x1, (second.z - first.z) * scan.z_step_um), atol=0.02)
    for plane in source.planes:
        shot = Shot(plane.well, plane.field, 0, plane.z, plane.t)
        assert plane.acquired[:16] == scan.acquired(shot).isoformat()[:16]


def _stage_um(plane: Plane) -> tuple[float | None, ...]:
    return plane.y_um, plane.x_um, plane.z_um
