"""Every microscope that can be simulated, from its folder to the plane table: nothing lost, nothing misplaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hts.acquire import Source, read_plane
from hts.engine.inspection import inspect_source
from hts.errors import UsageError
from hts.synth import SynthSpec, render_field, write_plate
from hts.synth.microscopes import MICROSCOPES
from hts.synth.plate import plate_scan
from hts.synth.render import render_plane
from hts.synth.scan import Shot


def shots_of(source: Source) -> dict[Shot, int]:
    """Planes of the table as shots; fields by their rank, since vendors count from 0 or 1."""
    fields = sorted({field for well in source.wells for field in source.fields(well)})
    channels = [channel.name for channel in source.channels]
    return {
        Shot(one.well, fields.index(one.field) + 1, channels.index(one.channel), one.z, one.t): place
        for place, one in enumerate(source.planes)
    }


def made(tmp_path: Path, name: str, z_planes: int, time_points: int) -> SynthSpec:
    spec = SynthSpec(
        wells="B02-B04",
        fields=2,
        size_px=128,
        cells_per_field=20,
        microscope=name,
        z_planes=z_planes,
        time_points=time_points,
    )
    try:
        write_plate(tmp_path / "made", spec)
    except UsageError as error:
        if z_planes * time_points == 1:
            raise
        pytest.skip(f"{name} has no place for it: {error}")
    return spec


@pytest.mark.parametrize(("z_planes", "time_points"), [(1, 1), (3, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("name", MICROSCOPES)
def test_every_plane_that_was_taken_is_found(name: str, z_planes: int, time_points: int, tmp_path: Path) -> None:
    spec = made(tmp_path, name, z_planes, time_points)
    inspection = inspect_source(tmp_path / "made" / spec.plate_name)
    source, scan = inspection.source, plate_scan(spec)
    expected = list(scan.shots())
    (lost,) = scan.lost
    assert inspection.counts == {"found": len(expected), "missing": 2 * z_planes * time_points}
    assert {issue.well for issue in source.issues} == {lost.well}
    found = shots_of(source)
    assert found.keys() == set(expected)
    fields = {shot.key: None for shot in expected}
    for key in fields:
        field = render_field(spec, *key)
        for shot in (shot for shot in expected if shot.key == key):
            read = source.read or read_plane
            plane = read(source.planes[found[shot]], source.shape, source.dtype)
            np.testing.assert_array_equal(plane, render_plane(spec, field, shot.channel, shot.z, shot.t))
