from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, open_source, read_plane
from hts.acquire.pattern import PRESETS, Name, PatternReader, compile_pattern, match_name, parse_match
from hts.errors import SourceError, UsageError
from hts.locations import location
from hts.model import PixelSize, WellId

from .conformance import ReaderConformance
from .folders import pixels, write_plane

wells = st.builds(WellId, st.integers(0, 31), st.integers(0, 47))


def parse(pattern: str, name: str) -> Name | None:
    match = match_name(compile_pattern(PRESETS.get(pattern, pattern)), name)
    return parse_match(match) if match else None


class TestCellProfilerNames(ReaderConformance):
    reader = "pattern"
    fields = (1,)

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        running = well.row * 12 + well.column + 1
        return f"Channel{channel}-{running:02d}-{well.row_name}-{well.column_name}.tif"


class TestWellSiteWaveNames(ReaderConformance):
    reader = "pattern"
    fields = (1, 3)

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"images/{well.name}_s{field}_w{channel}.tif"


@given(wells, st.integers(1, 99), st.integers(1, 1536))
def test_cellprofiler_names_round_trip(well: WellId, channel: int, running: int) -> None:
    name = f"Channel{channel}-{running:02d}-{well.row_name}-{well.column_name}.tif"
    assert parse("cellprofiler-sbs", name) == Name(well, 1, f"Channel{channel}", 0, 0)
    assert parse("well-site-wave", name) is None


@given(wells, st.integers(0, 999), st.sampled_from(["w1", "DAPI", "Texas Red", "Cy5"]), st.sampled_from(["_", "-"]))
def test_well_site_wave_names_round_trip(well: WellId, field: int, channel: str, joint: str) -> None:
    for site in (f"s{field}", str(field)):
        name = f"some folder/{well.name}{joint}{site}{joint}{channel}.TIFF"
        assert parse("well-site-wave", name) == Name(well, field, channel, 0, 0)


@given(wells, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_row_and_column_by_number_with_z_and_t(well: WellId, field: int, z: int, t: int) -> None:
    pattern = r"r(?P<row>\d+)c(?P<column>\d+)f(?P<field>\d+)p(?P<z>\d+)t(?P<t>\d+)"
    name = f"deep/down/r{well.row + 1:02d}c{well.column + 1:02d}f{field}p{z}t{t}.tiff"
    assert parse(pattern, name) == Name(well, field, "Channel1", z, t)


def test_the_pattern_sees_folders_and_may_leave_the_extension_out() -> None:
    assert parse(r"(?P<well>\w\d+)/.*_(?P<channel>\w+)", "B03/x_DAPI.tif") == Name(WellId(1, 2), 1, "DAPI", 0, 0)
    assert parse(r"(?P<well>[A-H]\d\d)_(?P<channel>\w+)\.tif", "any/B03_DAPI.tif") is not None
    assert parse(r"(?P<well>[A-H]\d\d)", "B03_DAPI.tif") is None


@pytest.mark.parametrize("name", ["Channel1-01-ZZ-01.tif", "Channel1-01-A-99.tif", "Channel1-01-A-00.tif"])
def test_wells_beyond_any_plate_are_not_recognised(name: str) -> None:
    assert parse("cellprofiler-sbs", name) is None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?P<well>[A-P]\d\d", r"missing \), unterminated subpattern at position 0"),
        (r"(?P<wel>[A-P]\d\d)", "did you mean 'well'"),
        (r"(?P<quux>[A-P]\d\d)", "rename the group"),
        (r"[A-P]\d\d", "says the well once"),
        (r"(?P<row>[A-P])(?P<field>\d\d)", "says the well once"),
        (r"(?P<well>A1)(?P<row>[A-P])(?P<column>\d\d)", "says the well once"),
        ("cellprofiler-sb", "did you mean the preset 'cellprofiler-sbs'"),
    ],
)
def test_a_pattern_that_cannot_be_meant(tmp_path: Path, pattern: str, message: str) -> None:
    write_plane(tmp_path / "A01.tif", pixels(1))
    with pytest.raises(UsageError, match=message):
        open_source(tmp_path, pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?P<well>\w\d\d)_(?P<field>\w+)", "group 'field' to be digits only.*\n.*'s1' in B03_s1"),
        (r"(?P<well>\w+)", "group 'well' to be a well"),
        (r"(?P<row>\w\d)(?P<column>\d)_s1", "group 'row' to be a row"),
    ],
)
def test_a_group_with_another_text_names_the_file(tmp_path: Path, pattern: str, message: str) -> None:
    write_plane(tmp_path / "B03_s1.tif", pixels(1))
    with pytest.raises(UsageError, match=message):
        open_source(tmp_path, pattern=pattern)


def test_pattern_as_an_argument(tmp_path: Path) -> None:
    for z in (10, 20):
        write_plane(tmp_path / f"B03-z{z}.tif", pixels(z))
    source = open_source(tmp_path, pattern=r"(?P<well>\w\d\d)-z(?P<z>\d+)")
    assert [(plane.z, plane.path.name) for plane in source.planes] == [(0, "B03-z10.tif"), (1, "B03-z20.tif")]
    assert (source.reader, source.plate_name, source.n_z) == ("pattern", tmp_path.name, 2)
    assert [channel.name for channel in source.channels] == ["Channel1"]


def test_a_preset_by_its_name(tmp_path: Path) -> None:
    write_plane(tmp_path / "Channel1-01-A-01.tif", pixels(1))
    assert len(open_source(tmp_path, pattern="cellprofiler-sbs").planes) == 1
    with pytest.raises(SourceError, match=r"pattern:well-site-wave 0 of 1"):
        open_source(tmp_path, pattern="well-site-wave")


def test_channels_sort_by_their_numbers(tmp_path: Path) -> None:
    for channel in (10, 2, 1):
        write_plane(tmp_path / f"Channel{channel}-01-A-01.tif", pixels(channel))
    assert [channel.name for channel in open_source(tmp_path).channels] == ["Channel1", "Channel2", "Channel10"]


def test_pixel_size_from_a_header_that_states_micrometres(tmp_path: Path) -> None:
    (tmp_path / "A01_s1_DAPI.tif").write_bytes(b"broken")
    for well in ("B02", "C03"):
        path = tmp_path / f"{well}_s1_DAPI.tif"
        tifffile.imwrite(path, pixels(1), imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    assert open_source(tmp_path).pixel_size == PixelSize(0.25, 0.25)


def test_from_memory(tmp_path: Path) -> None:
    root = location("memory://pattern-plate")
    for name in ("B03_s1_DAPI.tif", "B03_s2_DAPI.tif"):
        (root / "deep" / name).write_bytes(write_plane(tmp_path / name, pixels(name)).read_bytes())
    source = PatternReader().read(Listing.of(root))
    assert [source.file_name(plane) for plane in source.planes] == ["deep/B03_s1_DAPI.tif", "deep/B03_s2_DAPI.tif"]
    np.testing.assert_array_equal(read_plane(source.planes[1], source.shape, source.dtype), pixels("B03_s2_DAPI.tif"))
