from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pylibCZIrw.czi import create_czi, edit_czi, open_czi

from hts.acquire import Listing, open_source, read_plane
from hts.acquire import czi_file as czi_format
from hts.acquire.planes import read_pixels
from hts.acquire.zeiss import ZeissReader
from hts.errors import SourceError
from hts.locations import location
from hts.model import PixelSize, WellId
from hts.synth.microscopes import zeiss
from hts.synth.scan import Shot

from .conformance import ReaderConformance
from .container_scans import LOST, SCAN, check_channels, check_planes, shot_pixels

ZSTD = ("zstd0:ExplicitLevel=2", "zstd1:ExplicitLevel=2;PreProcess=HiLoByteUnpack")


def write_tiles(path: Path, tiles: dict[tuple[int, int], NDArray[np.generic]], options: str = "uncompressed:") -> Path:
    """One scene of tiles by their left and top pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with create_czi(str(path), exist_ok=True, compression_options=options) as writer:
        for place, image in tiles.items():
            writer.write(image[..., None], location=place, plane={"C": 0, "Z": 0, "T": 0}, scene=0)
    return path


def noise(seed: int, shape: tuple[int, int] = (24, 32), dtype: str = "uint16") -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(1, 255, shape).astype(dtype)


def change_xml(path: Path, old: str, new: str) -> None:
    with edit_czi(str(path)) as editor, editor.edit_session() as builder:
        text = builder.get_xml()
        assert old in text
        builder.set_xml(text.replace(old, new))


class TestFilesNamedAfterWells(ReaderConformance):
    reader = "zeiss"
    a_lost_end_shows_early = True

    def path_of(self, well: WellId, field: int, channel: int) -> str:
        return f"{well.name}_S{field}_{'DAPI' if channel == 1 else 'GFP'}.czi"

    def write_image(self, path: Path, image: NDArray[np.generic]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with create_czi(str(path), exist_ok=True) as writer:
            writer.write(image[..., None], plane={"C": int("GFP" in path.name)}, scene=0)
        return path


@pytest.mark.parametrize("write", [zeiss.write, zeiss.write_files])
@pytest.mark.parametrize("lost", [frozenset(), frozenset({LOST})])
def test_what_is_written_is_read_back(tmp_path: Path, write, lost) -> None:
    scan = replace(SCAN, lost=lost)
    files = write(tmp_path / "plate", scan, shot_pixels)
    source = open_source(tmp_path / "plate")
    assert (source.reader, source.n_z, source.n_t, source.notes) == ("zeiss", 3, 2, ())
    check_planes(source, files, scan)
    check_channels(source)
    assert source.pixel_size == PixelSize(0.65, 0.65, 2.0)
    acquisition = source.acquisition
    assert (acquisition.objective, acquisition.magnification) == ("20x simulated", 20.0)
    assert (acquisition.numerical_aperture, acquisition.time_step_s) == (0.75, 1800.0)
    assert {(plane.t, plane.acquired) for plane in source.planes} == {
        (0, "2024-01-15T09:00:00.000+00:00"),
        (1, "2024-01-15T09:30:00.000+00:00"),
    }
    assert {(one.well, one.field) for one in source.issues} == set(lost)
    assert all(one.status == "missing" for one in source.issues)
    assert len(source.issues) == 12 * len(lost)


def copies() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("hts-*.czi"))


def test_a_plate_elsewhere(tmp_path: Path) -> None:
    (path,) = set(zeiss.write(tmp_path / "plate", SCAN, shot_pixels).values())
    (location("memory://zeiss/plate") / path.name).write_bytes(path.read_bytes())
    before = copies()
    check_planes(open_source("memory://zeiss/plate"))
    assert copies() == before
    czi_format.FILES.close()


def test_a_plane_elsewhere_that_is_composed_is_copied_once_and_the_copy_removed(tmp_path: Path) -> None:
    whole = noise(1, (24, 64))
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): whole[:, :32], (32, 0): whole[:, 32:]})
    remote = location("memory://zeiss/tiles") / path.name
    remote.write_bytes(path.read_bytes())
    before = copies()
    for _ in range(3):
        np.testing.assert_array_equal(read_pixels(remote), whole)
    assert len(copies() - before) == 1
    czi_format.FILES.close()
    assert copies() == before


def test_a_position_named_p1_is_no_well(tmp_path: Path) -> None:
    scan = replace(SCAN, wells=(WellId(3, 5),))
    (path,) = set(zeiss.write(tmp_path, scan, shot_pixels).values())
    source = open_source(path)
    assert (source.wells, source.fields(WellId(3, 5))) == ((WellId(3, 5),), (1, 2))


def test_scenes_named_as_wells(tmp_path: Path) -> None:
    scan = replace(SCAN, wells=SCAN.wells[:1], fields=1, n_t=1, n_z=1)
    (path,) = set(zeiss.write(tmp_path, scan, shot_pixels).values())
    with edit_czi(str(path)) as editor, editor.edit_session() as builder:
        text = builder.get_xml()
        start, end = text.index("<ArrayName"), text.index("</Scene>")
        builder.set_xml((text[:start] + text[end:]).replace('Name="P1"', 'Name="B3-B3"'))
    assert open_source(path).wells == (WellId(1, 2),)


def test_no_well_anywhere(tmp_path: Path) -> None:
    write_tiles(tmp_path / "cells on glass.czi", {(0, 0): noise(0)})
    with pytest.raises(SourceError, match=r"cells on glass\.czi(.|\n)*--reader zeiss: it becomes well A01"):
        open_source(tmp_path)
    source = open_source(tmp_path, "zeiss")
    assert (source.wells, len(source.planes)) == ((WellId(0, 0),), 1)
    assert "cells on glass.czi says no well: it is placed in A01, as the reader zeiss was forced" in source.notes
    write_tiles(tmp_path / "more cells.czi", {(0, 0): noise(0)})
    with pytest.raises(SourceError, match="name each file after its well"):
        open_source(tmp_path, "zeiss")


@pytest.mark.parametrize("options", ["uncompressed:", *ZSTD])
def test_tiles_that_fit_are_one_plane(tmp_path: Path, options: str) -> None:
    whole = noise(1, (48, 64))
    tiles = {(x, y): whole[y : y + 24, x : x + 32] for x in (0, 32) for y in (0, 24)}
    write_tiles(tmp_path / "B03.czi", tiles, options)
    source = open_source(tmp_path)
    (plane,) = source.planes
    np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), whole)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("options", ["uncompressed:", *ZSTD])
@pytest.mark.parametrize("step", [28, 40])
def test_tiles_that_overlap_or_leave_gaps_are_fields_and_lose_no_pixel(
    tmp_path: Path, options: str, dtype: str, step: int
) -> None:
    images = [noise(number, dtype=dtype) for number in range(3)]
    tiles = {(step * number, 0): image for number, image in enumerate(images)}
    path = write_tiles(tmp_path / "B03.czi", tiles, options)
    source = open_source(tmp_path)
    assert [plane.field for plane in source.planes] == [1, 2, 3]
    for plane, image in zip(source.planes, images, strict=True):
        np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), image)
    with open_czi(str(path)) as czi:
        composed = czi.read()[..., 0]
    assert composed.shape[1] == 32 + 2 * step


@pytest.mark.parametrize(
    ("places", "fit"),
    [
        ([(0, 0, 32, 24)], True),
        ([(0, 0, 32, 24), (32, 0, 32, 24), (0, 24, 64, 10)], True),
        # The areas add up to the rectangle around them, yet one overlaps another and a gap is left.
        ([(0, 0, 32, 24), (16, 0, 16, 24), (48, 0, 16, 24)], False),
        ([(0, 0, 32, 24), (32, 0, 32, 24), (0, 24, 32, 24), (0, 24, 32, 24)], False),
        ([(0, 0, 32, 24), (28, 0, 32, 24)], False),
        ([(0, 0, 32, 24), (40, 0, 32, 24)], False),
    ],
)
def test_tiles_fit_where_they_cover_their_rectangle_once(places: list[tuple[int, int, int, int]], fit: bool) -> None:
    assert czi_format._fit([czi_format.Rectangle(*place) for place in places]) is fit


def test_a_tile_in_jpeg_xr_is_decoded(tmp_path: Path) -> None:
    from imagecodecs import jpegxr_encode

    image = np.add.outer(np.arange(24), np.arange(32)).astype("uint16")
    data = jpegxr_encode(image, level=100)
    # A sub-block of JPEG XR has the bytes of that format where others have pixels; the library writes none.
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): noise(1), (28, 0): noise(2)})
    raw = bytearray(path.read_bytes())
    first = raw.index(b"ZISRAWSUBBLOCK")
    n_metadata = int.from_bytes(raw[first + 32 : first + 36], "little")
    start = first + 32 + 256 + n_metadata
    assert len(data) <= image.nbytes
    raw[start : start + len(data)] = data
    directory = raw.index(b"ZISRAWDIRECTORY") + 160
    raw[directory + 18 : directory + 22] = (4).to_bytes(4, "little")
    path.write_bytes(raw)
    np.testing.assert_array_equal(read_pixels(path, 0), image)
    raw[directory + 18 : directory + 22] = (1).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="compression 1, which cannot be read one by one"):
        read_pixels(path, 0)


def test_an_absent_image_of_a_scene_is_missing(tmp_path: Path) -> None:
    with create_czi(str(tmp_path / "B03.czi")) as writer:
        for scene, c, z in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0)):
            writer.write(noise(c + z)[..., None], location=(scene * 100, 0), plane={"C": c, "Z": z}, scene=scene)
    (issue,) = open_source(tmp_path).issues
    assert (issue.field, issue.z, issue.status) == (2, 1, "missing")
    assert issue.reason == "B03.czi has no image at channel 1, z 1, t 0 of its scene"


def test_colours_are_refused(tmp_path: Path) -> None:
    with create_czi(str(tmp_path / "B03.czi")) as writer:
        writer.write(np.zeros((8, 8, 3), "uint8"), plane={"C": 0, "Z": 0, "T": 0}, scene=0)
    with pytest.raises(SourceError, match="is a colour image, grey planes are expected"):
        open_source(tmp_path)


@pytest.mark.parametrize("change", [("<Metadata>", "<Metadata x='&#38;#1;'>"), ("<Value>", "<Value>1e999 ")])
def test_odd_metadata_cost_what_they_say(tmp_path: Path, change: tuple[str, str]) -> None:
    (path,) = set(zeiss.write(tmp_path, SCAN, shot_pixels).values())
    change_xml(path, *change)
    source = open_source(path)
    assert source.wells == SCAN.wells
    assert source.pixel_size == (None if change[0] == "<Value>" else PixelSize(0.65, 0.65, 2.0))


@pytest.mark.parametrize("text", [b"<ImageDocument", b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', b"\xff\xfe\xff", b""])
def test_metadata_that_are_no_xml_are_noted_and_the_name_places_the_file(tmp_path: Path, text: bytes) -> None:
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): noise(3)})
    raw = bytearray(path.read_bytes())
    start = raw.index(b"ZISRAWMETADATA") + 32
    size = int.from_bytes(raw[start : start + 4], "little")
    raw[start + 256 : start + 256 + size] = text.ljust(size, b" ")
    path.write_bytes(raw)
    source = open_source(tmp_path)
    assert source.wells == (WellId(1, 2),)
    assert any(note.startswith("B03.czi: its metadata cannot be used") for note in source.notes)
    np.testing.assert_array_equal(read_plane(source.planes[0], source.shape, source.dtype), noise(3))


def test_an_image_that_is_not_where_the_directory_says(tmp_path: Path) -> None:
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): noise(1), (28, 0): noise(2)})
    raw = path.read_bytes()
    place = raw.index(b"ZISRAWSUBBLOCK")
    path.write_bytes(raw[:place] + b"\0" * 14 + raw[place + 14 :])
    with pytest.raises(SourceError, match="is damaged: image 0 is not where its directory says"):
        read_pixels(path, 0)
    np.testing.assert_array_equal(read_pixels(path, 1), noise(2))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_gives_the_whole_plane_or_an_error(tmp_path: Path, part: float) -> None:
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): noise(4)}, ZSTD[1])
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    try:
        image = read_pixels(path, 0)
    except SourceError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017
    else:
        np.testing.assert_array_equal(image, noise(4))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 32 + 128 + 400), value=st.integers(0, 255))
def test_a_damaged_directory_gives_the_plane_or_an_error(tmp_path: Path, place: int, value: int) -> None:
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): noise(4, (8, 8))})
    raw = bytearray(path.read_bytes())
    at = raw.index(b"ZISRAWDIRECTORY") + place
    raw[min(at, len(raw) - 1)] = value
    path.write_bytes(raw)
    with suppress(SourceError):
        source = ZeissReader().read(Listing.of(tmp_path))
        for plane in source.planes:
            read_plane(plane, source.shape, source.dtype)


@pytest.mark.parametrize("channel", [-1, 1_000, 2**31 - 1])
def test_a_channel_that_no_file_has_is_a_damaged_directory(tmp_path: Path, channel: int) -> None:
    path = write_tiles(tmp_path / "B03.czi", {(0, 0): noise(4, (8, 8))})
    raw = bytearray(path.read_bytes())
    at = raw.index(b"C\0\0\0", raw.index(b"ZISRAWDIRECTORY")) + 4
    raw[at : at + 4] = channel.to_bytes(4, "little", signed=True)
    path.write_bytes(raw)
    with pytest.raises(SourceError, match=f"image of channel {channel}: its directory is damaged"):
        open_source(tmp_path)


def test_many_planes_of_a_file_are_one_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeiss.write(tmp_path, SCAN, shot_pixels)
    opened: list[Path] = []
    look = czi_format._directory
    monkeypatch.setattr(czi_format, "_directory", lambda path, *others: opened.append(path) or look(path, *others))
    check_planes(open_source(tmp_path))
    assert len(opened) == 1


def test_scenes_saved_as_files_of_their_own_complete_one_another(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    (path,) = set(zeiss.write(whole, replace(SCAN, n_z=1, n_t=1), shot_pixels).values())
    with open_czi(str(path)) as czi:
        text = czi.raw_metadata
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, shot in enumerate(Shot(well, field, 0) for well in SCAN.wells for field in (1, 2)):
        part = parts / f"Plate7-Scene-{number + 1}.czi"
        with create_czi(str(part)) as writer:
            for channel in (0, 1):
                image = shot_pixels(shot._replace(channel=channel))[..., None]
                writer.write(image, plane={"C": channel, "Z": 0, "T": 0}, scene=number)
        # The parts keep the metadata of the whole.
        with edit_czi(str(part)) as editor, editor.edit_session() as builder:
            builder.set_xml(text)
    source = open_source(parts)
    assert source.issues == ()
    check_planes(source, scan=replace(SCAN, n_z=1, n_t=1))


@pytest.mark.real
def test_real_files(data_dir: Path) -> None:
    expected = {
        "WellD6_S1": ("D06", 1, (440, 544), "uint16", PixelSize(0.1, 0.1)),
        "nuc_small": ("A01", 1, (240, 320), "uint8", PixelSize(0.457150682504, 0.457150682504)),
        "CellDivision_T3_Z5_CH2_X240_Y170": (
            "A01",
            30,
            (170, 240),
            "uint16",
            PixelSize(0.0905766741522, 0.0905766741522, 0.32),
        ),
        "CellDivision_T3_Z5_CH2_X240_Y170_comp1": ("A01", 30, (170, 240), "uint16", None),
        "DAPI_GFP": ("A01", 2, (640, 640), "uint8", None),
        "100x100": ("A01", 1, (10, 10), "uint8", PixelSize(0.1, 0.1, 0.1)),
        "nuc_small_new_red": ("A01", 1, (240, 320), "uint8", PixelSize(0.1, 0.1, 0.2)),
    }
    for name, facts in expected.items():
        path = data_dir / "czi_czitools" / f"{name}.czi"
        source = open_source(path, "zeiss")
        (well,) = source.wells
        assert (well.name, len(source.planes), source.shape, str(source.dtype), source.pixel_size) == facts
        numbers = {channel.name: number for number, channel in enumerate(source.channels)}
        with open_czi(str(path)) as czi:
            for plane in source.planes:
                other = czi.read(plane={"C": numbers[plane.channel], "Z": plane.z, "T": plane.t})[..., 0]
                np.testing.assert_array_equal(read_plane(plane, source.shape, source.dtype), other)


@pytest.mark.real
def test_real_files_that_say_their_wells(data_dir: Path) -> None:
    source = open_source(data_dir / "czi_czitools")
    assert [well.name for well in source.wells] == ["A01", "D06"]
    (first, second) = source.planes
    assert (second.path.name, second.x_um, second.y_um, second.z_um) == ("WellD6_S1.czi", 49500.0, 35500.0, 111.842)
    assert first.acquired == "2016-07-04T14:52:09.686412+00:00"
    assert any("5 image files left out, neither they nor their names say a well" in note for note in source.notes)
    assert any("1 files have another pixel size than most, such as" in note for note in source.notes)
    (channel,) = open_source(data_dir / "czi_czitools" / "WellD6_S1.czi").channels
    assert (channel.name, channel.wavelength_nm, channel.excitation_nm, channel.exposure_ms) == ("AF488", 517, 493, 150)
