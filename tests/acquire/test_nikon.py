from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hts.acquire import Listing, Plane, open_source, read_plane
from hts.acquire import nd2_file as nd2_format
from hts.acquire.nikon import NikonReader
from hts.acquire.planes import read_header, read_pixels
from hts.errors import SourceError
from hts.locations import location
from hts.model import PixelSize, PlateLayout, WellId
from hts.synth.microscopes import nikon
from hts.synth.scan import PlateScan, ScanChannel, Shot

from .conformance import ReaderConformance
from .container_scans import LOST, SCAN, check_channels, check_planes, shot_pixels
from .folders import write_plane

ONE = PlateScan("one", PlateLayout(8, 12), (WellId(0, 0),), (ScanChannel("DAPI"),))


@pytest.fixture(autouse=True)
def _no_file_stays_open() -> Iterator[None]:
    yield
    nd2_format.FILES.close()
    if Path("/proc/self/fd").is_dir():
        links = [os.readlink(f"/proc/self/fd/{entry}") for entry in os.listdir("/proc/self/fd") if _is_link(entry)]
        assert not [link for link in links if link.endswith(".nd2")]


def _is_link(entry: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{entry}")


def write_one(path: Path, image: NDArray[np.generic], points: str = "", channel: str = "DAPI") -> Path:
    """A file of one plane, whose stage position is named ``points`` (up to 8 letters)."""
    scan = replace(ONE, shape=image.shape, plate_name=path.stem, channels=(ScanChannel(channel),))
    path.parent.mkdir(parents=True, exist_ok=True)
    (source,) = set(nikon.write_one_file(path.parent / ".new", scan, lambda shot: image).values())
    name, other = "A01_0001".encode("utf-16-le"), points.ljust(8).encode("utf-16-le")
    path.write_bytes(source.read_bytes().replace(name, other))
    source.unlink()
    source.parent.rmdir()
    return path


class TestFilesNamedAfterWells(ReaderConformance):
    reader = "nikon"
    a_lost_end_shows_early = True

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"Well{well.name}_Point{field:04d}_Channel{'DAPI' if channel == 1 else 'GFP'}_Seq0000.nd2"

    def write_image(self, path: Path, image: NDArray[np.generic]) -> Path:
        return write_one(path, image, "Point001", "GFP" if "GFP" in path.name else "DAPI")


@pytest.mark.parametrize("write", [nikon.write, nikon.write_one_file])
@pytest.mark.parametrize("lost", [frozenset(), frozenset({LOST})])
def test_what_is_written_is_read_back(tmp_path: Path, write, lost) -> None:
    scan = replace(SCAN, lost=lost)
    files = write(tmp_path / "plate", scan, shot_pixels)
    source = open_source(tmp_path / "plate")
    assert (source.reader, source.n_z, source.n_t, source.notes) == ("nikon", 3, 2, ())
    check_planes(source, files, scan)
    check_channels(source)
    assert source.pixel_size == PixelSize(0.65, 0.65, 2.0)
    assert source.acquisition.objective == "20x simulated"
    assert (source.acquisition.magnification, source.acquisition.numerical_aperture) == (20.0, 0.75)
    assert source.acquisition.time_step_s == 1800.0
    first, last = source.planes[0], source.planes[-1]
    assert (first.acquired, first.z_um) == ("2024-01-15T09:00:00.000+00:00", 100.0)
    shot = Shot(last.well, last.field, 0, last.z, last.t)
    assert last.acquired == scan.acquired(shot).isoformat(timespec="milliseconds") + "+00:00"
    assert last.z_um == 104.0
    assert {(one.well, one.field) for one in source.issues} == set(lost)
    assert all("announced and not in" in one.reason and one.status == "missing" for one in source.issues)
    assert len(source.issues) == 12 * len(lost)


def test_a_plate_elsewhere(tmp_path: Path) -> None:
    files = nikon.write(tmp_path / "plate", SCAN, shot_pixels)
    root = location("memory://nikon/plate")
    for path in set(files.values()):
        (root / path.name).write_bytes(path.read_bytes())
    check_planes(open_source("memory://nikon/plate"))
    nd2_format.FILES.close()


def test_one_file_of_a_folder(tmp_path: Path) -> None:
    files = nikon.write(tmp_path / "plate", SCAN, shot_pixels)
    source = open_source(files[Shot(WellId(1, 2), 1, 0)])
    assert source.wells == (WellId(1, 2),)
    assert source.plate_name == "WellB03_ChannelDAPI,GFP_Seq0001"


@pytest.mark.parametrize(
    ("name", "points", "expected"),
    [
        ("WellB03_Point0004_Seq0000", "Point004", ("B03", 4)),
        ("B03", "anything", ("B03", 1)),
        ("plate 7", "D06_0003", ("D06", 3)),
        ("plate 7", "WellC05 ", ("C05", 1)),
        ("WellB03_Point0004", "B03     ", ("B03", 4)),
    ],
)
def test_wells_of_positions_and_names(tmp_path: Path, name: str, points: str, expected: tuple[str, int]) -> None:
    write_one(tmp_path / f"{name}.nd2", np.ones((8, 8), "uint16"), points)
    (plane,) = open_source(tmp_path).planes
    assert (plane.well.name, plane.field) == expected


def test_a_renamed_file_is_noted(tmp_path: Path) -> None:
    write_one(tmp_path / "B03.nd2", np.ones((8, 8), "uint16"), "C04_0001")
    source = open_source(tmp_path)
    assert source.wells == (WellId(2, 3),)
    assert "B03.nd2 is named as well B03, its metadata say C04: that is taken" in source.notes


def test_sequence_numbers_are_times_where_all_wells_have_the_same(tmp_path: Path) -> None:
    for well in ("B03", "C04"):
        for number in (1, 2):
            image = np.full((8, 8), number, "uint16")
            write_one(tmp_path / f"Well{well}_ChannelDAPI_Seq{number:04d}.nd2", image, "nowhere")
    source = open_source(tmp_path)
    assert (source.n_t, len(source.planes), source.issues) == (2, 4, ())
    assert [int(read_plane(one, source.shape, source.dtype).max()) for one in source.planes] == [1, 2, 1, 2]


def test_sequence_numbers_beside_points_are_no_times(tmp_path: Path) -> None:
    for well in ("B03", "C04"):
        for number in (1, 2):
            name = f"Well{well}_Point{number:04d}_Seq{number:04d}.nd2"
            write_one(tmp_path / name, np.full((8, 8), number, "uint16"), "nowhere")
    source = open_source(tmp_path)
    assert (source.n_t, source.fields(WellId(1, 2)), source.issues) == (1, (1, 2), ())


def test_no_well_anywhere(tmp_path: Path) -> None:
    write_one(tmp_path / "cells on glass.nd2", np.ones((8, 8), "uint16"), "first   ")
    with pytest.raises(
        SourceError, match=r"cells on glass\.nd2: .*1 stage positions are not named after a well: first"
    ):
        open_source(tmp_path)
    source = open_source(tmp_path, "nikon")
    assert source.wells == (WellId(0, 0),)
    assert "cells on glass.nd2 says no well: it is placed in A01, as the reader nikon was forced" in source.notes


def test_a_file_that_cannot_be_read_costs_its_planes(tmp_path: Path) -> None:
    files = nikon.write(tmp_path / "plate", SCAN, shot_pixels)
    victim = files[Shot(WellId(1, 2), 1, 0)]
    victim.write_bytes(victim.read_bytes()[:-100])
    source = open_source(tmp_path / "plate")
    assert len(source.planes) == 48
    assert {(one.well, one.status) for one in source.issues} == {(WellId(1, 2), "unreadable")}
    assert len(source.issues) == 24
    assert source.issues[0].reason == "is truncated: the map of its frames, at the end, is lost; copy it again"


def test_nothing_readable_says_why(tmp_path: Path) -> None:
    (tmp_path / "B03.nd2").write_bytes(b"\0" * 500)
    with pytest.raises(SourceError, match="is no nd2 file of NIS-Elements 3 or later"):
        open_source(tmp_path)


def test_a_frame_that_is_not_where_the_map_says_is_never_zeros_nor_another(tmp_path: Path) -> None:
    (path,) = set(nikon.write_one_file(tmp_path, replace(SCAN, wells=SCAN.wells[:1]), shot_pixels).values())
    whole = path.read_bytes()
    name = b"ImageDataSeq|5!"
    place = whole.index(name) - 16
    path.write_bytes(whole[:place] + b"\0" * 64 + whole[place + 64 :])
    for index in (5 * 2, 5 * 2 + 1):
        with pytest.raises(SourceError, match="damaged: frame 5 is not where its map of frames says"):
            read_pixels(path, index)
    assert read_pixels(path, 4 * 2).any()
    # The same, with the map pointing past the end of the file.
    entry = whole.rindex(name) + len(name)
    path.write_bytes(whole[:entry] + struct.pack("<Q", len(whole) + 5) + whole[entry + 8 :])
    with pytest.raises(SourceError, match=f"{path.name}: "):
        read_pixels(path, 10)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path, part: float) -> None:
    path = write_one(tmp_path / "B03.nd2", np.ones((8, 8), "uint16"))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(SourceError, match=r"B03\.nd2: "):
        read_pixels(path, 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_damaged_metadata_cost_a_file_or_a_fact(tmp_path: Path, place: float, value: int) -> None:
    path = write_one(tmp_path / "B03.nd2", np.ones((8, 8), "uint16"))
    raw = bytearray(path.read_bytes())
    start = raw.index(b"ImageAttributesLV!")
    raw[start + int(place * (len(raw) - start))] = value
    path.write_bytes(raw)
    with suppress(SourceError):
        source = NikonReader().read(Listing.of(tmp_path))
        for plane in source.planes:
            read_plane(plane, source.shape, source.dtype)


def test_colours_are_refused(tmp_path: Path) -> None:
    path = write_one(tmp_path / "B03.nd2", np.ones((8, 24), "uint16"))
    raw = path.read_bytes()
    for key, value in (("uiComp", 3), ("uiWidth", 8)):
        name = (key + "\0").encode("utf-16-le")
        at = raw.index(name) + len(name)
        raw = raw[:at] + struct.pack("<I", value) + raw[at + 4 :]
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="is a colour image"):
        open_source(tmp_path)


def test_a_plane_of_many_must_be_chosen(tmp_path: Path) -> None:
    (path, *_) = set(nikon.write(tmp_path, SCAN, shot_pixels).values())
    with pytest.raises(SourceError, match="holds 24 planes, one is expected"):
        read_plane(Plane(WellId(0, 0), 1, "DAPI", path=path), (24, 32), np.dtype("uint16"))
    header = read_header(path, 1)
    assert (header.shape, header.dtype) == ((24, 32), np.dtype("uint16"))


def test_many_planes_of_a_file_are_one_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nikon.write_one_file(tmp_path, SCAN, shot_pixels)
    opened: list[object] = []
    make = nd2_format.nd2.ND2File
    monkeypatch.setattr(nd2_format.nd2, "ND2File", lambda path: opened.append(path) or make(path))
    source = open_source(tmp_path)
    check_planes(source)
    assert len(opened) == 1


def test_other_images_are_left_out_with_a_note(tmp_path: Path) -> None:
    nikon.write(tmp_path, SCAN, shot_pixels)
    write_plane(tmp_path / "B03_s1_w1.tif", np.ones((8, 8), "uint16"))
    assert "1 image file left out, they are no files of the reader nikon: B03_s1_w1.tif" in open_source(tmp_path).notes
