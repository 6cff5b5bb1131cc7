"""What a reader must make of a plate that a simulated microscope wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hts.acquire import Plane, Source, open_source, read_plane
from hts.synth.microscopes import microscope
from hts.synth.scan import PlateScan, Shot
from tests.synth.scans import pixels_of, small_scan


def written(folder: Path, name: str, **changes: Any) -> tuple[PlateScan, dict[Shot, Path]]:
    """A small scan in the layout of a microscope, and the files of its planes."""
    scan = small_scan(**changes)
    folder.mkdir(parents=True, exist_ok=True)
    return scan, microscope(name).write(folder, scan, lambda shot: pixels_of(shot, scan.shape))


def planes_by_shot(source: Source) -> dict[Shot, Plane]:
    """The found planes; fields by their rank, since vendors count from 0 or 1, channels by their order."""
    fields = sorted({field for well in source.wells for field in source.fields(well)})
    channels = [channel.name for channel in source.channels]
    return {
        Shot(one.well, fields.index(one.field) + 1, channels.index(one.channel), one.z, one.t): one
        for one in source.planes
    }


def check_round_trip(folder: Path, scan: PlateScan, reader: str) -> Source:
    """Every shot of the scan is a plane with its pixels; every plane of a lost field is missing."""
    source = open_source(folder)
    assert source.reader == reader
    assert (source.n_z, source.n_t, source.shape) == (scan.n_z, scan.n_t, scan.shape)
    found = planes_by_shot(source)
    assert found.keys() == set(scan.shots())
    for shot, plane in found.items():
        read = source.read or read_plane
        np.testing.assert_array_equal(read(plane, source.shape, source.dtype), pixels_of(shot, scan.shape))
    lost = len(scan.lost) * len(scan.channels) * scan.n_z * scan.n_t
    assert [issue.status for issue in source.issues] == ["missing"] * lost
    assert {issue.well for issue in source.issues} == {key.well for key in scan.lost}
    return source


def check_positions(source: Source, scan: PlateScan) -> None:
    """Positions and times are those of the scan wherever the source tells them; every field has a position."""
    told = 0
    for shot, plane in planes_by_shot(source).items():
        x_um, y_um = scan.stage_um(shot.key)
        assert (plane.x_um, plane.y_um) == (pytest.approx(x_um, abs=0.01), pytest.approx(y_um, abs=0.01))
        if plane.acquired:
            told += 1
            assert plane.acquired == scan.acquired(shot).isoformat(timespec="milliseconds").replace(".000", "")
    assert told > 0
