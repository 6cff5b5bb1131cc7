from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Listing, open_source, read_plane
from hts.acquire.arrayscan import ArrayScanReader, Name, parse_name
from hts.errors import SourceError, UsageError
from hts.locations import location
from hts.model import WellId

from .conformance import ReaderConformance
from .folders import pixels, write_plane
from .simulated import check_round_trip, small_scan, write_scan


class TestArrayScanNames(ReaderConformance):
    reader = "arrayscan"
    fields = (0, 1)

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"AS_09125_050116030001_{well.name}f{field:02d}d{channel}.TIF"


class TestMfgtmpNamesInFolders(ReaderConformance):
    reader = "arrayscan"
    fields = (0, 7)

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"MFGTMP_141029170001/mfgtmp_141029170001_{well.name}f{field:02d}d{channel}.tif".lower()


@given(
    plate=st.sampled_from(["AS_09125_050116030001", "MFGTMP-PC_140320150001", "a b_A01f00d0", "x"]),
    well=st.builds(WellId, st.integers(0, 31), st.integers(0, 47)),
    field=st.integers(0, 999),
    detector=st.integers(0, 9),
    suffix=st.sampled_from(["TIF", "tif", "tiff", "C01"]),
)
def test_names_round_trip(plate: str, well: WellId, field: int, detector: int, suffix: str) -> None:
    name = f"{plate}_{well.name}f{field:02d}d{detector}.{suffix}"
    assert parse_name(name) == Name(plate, well, field, f"d{detector}")


@pytest.mark.parametrize(
    "name", ["AS_1_D03f00o1.TIF", "AS_1_ZZ03f00d1.TIF", "AS_1_D00f00d1.TIF", "D03f00d1.TIF", "P_B03_s1_w1.TIF"]
)
def test_names_of_other_layouts(name: str) -> None:
    assert parse_name(name) is None


def test_round_trip(tmp_path: Path) -> None:
    source = check_round_trip(tmp_path / "plate", "arrayscan", small_scan(lost=True))
    assert source.plate_name == source.acquisition.barcode == "MFGTMP_240115090001"
    assert [channel.name for channel in source.channels] == ["d0", "d1"]
    assert source.notes == ()


@pytest.mark.parametrize("axes", [{"n_z": 2}, {"n_t": 2}])
def test_the_simulator_has_no_place_for_z_and_t(tmp_path: Path, axes: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="one z plane and one time point"):
        write_scan(tmp_path, "arrayscan", small_scan(**axes))


def test_overlays_are_left_out(tmp_path: Path) -> None:
    write_plane(tmp_path / "AS_1_D03f00d0.TIF", pixels(0))
    write_plane(tmp_path / "AS_1_D03f00o1.TIF", pixels(1))
    source = open_source(tmp_path)
    assert [plane.path.name for plane in source.planes] == ["AS_1_D03f00d0.TIF"]
    assert "AS_1_D03f00o1.TIF" in source.notes[0]


def test_a_plane_in_the_vendors_own_format_only_is_missing(tmp_path: Path) -> None:
    for name in ("P_A01f00d0.TIF", "P_A02f00d0.TIF"):
        write_plane(tmp_path / name, pixels(name))
    for name in ("P_A01f00d0.C01", "P_A03f00d0.C01", "P_A04f00d0.DIB"):
        (tmp_path / name).write_bytes(b"own format")
    source = open_source(tmp_path)
    assert [(issue.well.name, issue.status, issue.file) for issue in source.issues] == [
        ("A03", "missing", ""),
        ("A04", "missing", ""),
    ]
    assert "only P_A03f00d0.C01 is there, in Cellomics' own format" in source.issues[0].reason


def test_several_plate_names_are_noted_and_two_plates_refused(tmp_path: Path) -> None:
    write_plane(tmp_path / "P_A01f00d0.TIF", pixels(0))
    write_plane(tmp_path / "Q_A02f00d0.TIF", pixels(1))
    assert "the files carry 2 plate names: P (1 files), Q (1 files)" in open_source(tmp_path).notes
    for plate in "PQ":
        for column in range(1, 6):
            write_plane(tmp_path / f"{plate}_A0{column}f00d0.TIF", pixels(column))
    with pytest.raises(SourceError, match="the folder holds several plates"):
        open_source(tmp_path)


def test_forced_on_another_layout(tmp_path: Path) -> None:
    write_plane(tmp_path / "P_B03_s1_w1.TIF", pixels(0))
    with pytest.raises(SourceError, match="arrayscan 0 of 1"):
        open_source(tmp_path, reader="arrayscan")
    with pytest.raises(SourceError, match=r"names such as PLATE_D03f00d1\.TIF"):
        ArrayScanReader().read(Listing.of(tmp_path))


def test_from_memory(tmp_path: Path) -> None:
    root = location("memory://arrayscan-plate")
    for place, name in enumerate(("AS_1_D03f00d0.TIF", "AS_1_D03f00d1.TIF")):
        (root / name).write_bytes(write_plane(tmp_path / name, pixels(place)).read_bytes())
    source = ArrayScanReader().read(Listing.of(root))
    assert [source.file_name(plane) for plane in source.planes] == ["AS_1_D03f00d0.TIF", "AS_1_D03f00d1.TIF"]
    np.testing.assert_array_equal(read_plane(source.planes[1], source.shape, source.dtype), pixels(1))


@pytest.mark.real
def test_real_names_with_packbits(data_dir: Path) -> None:
    source = open_source(data_dir / "cp_vendor_names" / "ExampleHuman")
    assert (source.reader, source.plate_name, source.shape) == ("arrayscan", "AS_09125_050116030001", (512, 512))
    assert [(plane.well.name, plane.field, plane.channel) for plane in source.planes] == [
        ("D03", 0, "d0"),
        ("D03", 0, "d1"),
        ("D03", 0, "d2"),
    ]
    assert all(read_plane(plane, source.shape, source.dtype).any() for plane in source.planes)
