from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire import Source, open_source, read_plane
from hts.acquire.build import PlateFacts, Sighting, build_source, spread
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.table import Acquisition
from hts.errors import NotFoundError, SourceError
from hts.model import Channel, PixelSize, WellId

from .folders import pixels, write_plane

PATTERN = r"(?P<well>[A-H]\d\d)_f(?P<field>\d)_(?P<channel>[a-z]+)_z(?P<z>\d)_t(?P<t>\d)"


def plate(root: Path, keys: set[tuple[str, int, str, int, int]]) -> Source:
    for key in keys:
        write_plane(root / "{}_f{}_{}_z{}_t{}.tif".format(*key), pixels(key))
    return open_source(root, pattern=PATTERN)


def grid(wells: str = "A01 B02", fields: str = "12", channels: str = "dna er", z: int = 2, t: int = 2) -> set:
    return set(product(wells.split(), map(int, fields), channels.split(), range(z), range(t)))


def missing(source: Source) -> set[tuple[str, int, str, int, int]]:
    return {(one.well.name, one.field, one.channel, one.z, one.t) for one in source.issues if one.status == "missing"}


def test_each_absent_file_is_missing(tmp_path: Path) -> None:
    lost = {("A01", 2, "er", 1, 0), ("B02", 1, "dna", 0, 1)}
    source = plate(tmp_path, grid() - lost)
    assert missing(source) == lost
    assert (source.n_z, source.n_t, source.notes) == (2, 2, ())
    assert len(source.planes) + len(source.issues) == len(grid())


def test_a_field_that_other_wells_have_is_missing_whole(tmp_path: Path) -> None:
    lost = {key for key in grid() if key[:2] == ("B02", 2)}
    source = plate(tmp_path, grid() - lost)
    assert missing(source) == lost
    assert source.fields(WellId(1, 1)) == (1, 2)
    assert {issue.reason for issue in source.issues} == {"field 2 has no file in this well, other wells have it"}


@pytest.mark.parametrize(
    ("absent", "note"),
    [
        (
            lambda key: key[2] == "er" and key[3] == 1,
            r"er was acquired at 2 of the plate's 4 .*\(z index 0, t index 0, 1\)",
        ),
        (
            lambda key: key[2] == "er" and key[4] == 1,
            r"er was acquired at 2 of the plate's 4 .*\(z index 0, 1, t index 0\)",
        ),
        (lambda key: key[3] == 1 and key[4] == 1, r"dna was acquired at 3 of the plate's 4"),
    ],
)
def test_what_no_field_has_was_not_acquired(tmp_path: Path, absent: Callable[[tuple], bool], note: str) -> None:
    source = plate(tmp_path, {key for key in grid() if not absent(key)})
    assert missing(source) == set()
    assert any(re.search(note, text) for text in source.notes)


def test_one_field_alone_is_no_evidence_of_a_design(tmp_path: Path) -> None:
    lost = ("A01", 1, "er", 1, 1)
    source = plate(tmp_path, grid("A01", "1") - {lost})
    assert missing(source) == {lost}


def test_z_and_t_are_indices_into_sorted_values(tmp_path: Path) -> None:
    source = plate(tmp_path, {("A01", 1, "dna", z, t) for z in (3, 7, 9) for t in (2, 4)})
    assert {(plane.z, plane.path.name[12:13]) for plane in source.planes} == {(0, "3"), (1, "7"), (2, "9")}
    assert (source.n_z, source.n_t) == (3, 2)


def test_planes_and_rows_are_sorted_by_well_field_t_channel_z(tmp_path: Path) -> None:
    source = plate(tmp_path, grid())
    keys = [(one.well, one.field, one.t, one.channel, one.z) for one in source.planes]
    assert keys == sorted(keys)
    frame = source.to_frame()
    assert frame["File"].tolist() == [plane.path.name for plane in source.planes]


def test_frame_types_hold_with_and_without_issues(tmp_path: Path) -> None:
    source = plate(tmp_path, grid() - {("A01", 1, "dna", 0, 0)})
    frame = source.to_frame()
    assert frame["Status"].tolist()[0] == "missing"
    assert {name: str(kind) for name, kind in frame.dtypes.items() if name in ("Field", "Index", "X_um")} == {
        "Field": "int64",
        "Index": "Int64",
        "X_um": "float64",
    }


def test_most_planes_twice_is_two_plates(tmp_path: Path) -> None:
    plate(tmp_path / "one", grid())
    plate(tmp_path / "two", grid())
    with pytest.raises(SourceError, match=r"one plate in .*\n.*32 of 32 planes have several files"):
        open_source(tmp_path, pattern=PATTERN)


def test_a_twin_of_an_empty_file_is_still_a_duplicate(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "A01_f1_dna_z0_t0.tif").write_bytes(b"")
    source = plate(tmp_path, grid())
    (issue,) = source.issues
    assert issue.status == "duplicate"
    assert issue.file == "A01_f1_dna_z0_t0.tif; again/A01_f1_dna_z0_t0.tif"


def test_shape_is_that_of_most_and_others_are_noted(tmp_path: Path) -> None:
    write_plane(tmp_path / "A01_f1_dna_z0_t0.tif", pixels(0, (9, 9)))
    source = plate(tmp_path, grid(z=1, t=1) - {("A01", 1, "dna", 0, 0)})
    assert source.shape == (24, 32)
    assert source.dtype == np.dtype("uint16")
    assert source.notes == ("1 of 8 headers looked at are not 24 × 32 uint16, as most are; such planes are refused",)


def test_no_readable_file_at_all_is_an_error(tmp_path: Path) -> None:
    for name in ("A01_f1_dna_z0_t0.tif", "A02_f1_dna_z0_t0.tif"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"none of 2; .*A01_f1_dna_z0_t0\.tif: is not a TIFF"):
        open_source(tmp_path, pattern=PATTERN)


def test_fields_of_an_unknown_well(tmp_path: Path) -> None:
    source = plate(tmp_path, grid())
    with pytest.raises(NotFoundError, match=r"such as A01, B02\n.*H12"):
        source.fields(WellId(7, 11))


@given(st.lists(st.integers(), max_size=60), st.integers(1, 12))
def test_spread_yields_everything_once(items: list[int], count: int) -> None:
    numbered = list(enumerate(items))
    found = list(spread(numbered, count))
    assert sorted(found) == numbered
    if items:
        assert found[0] == numbered[0]
        assert count == 1 or numbered[-1] in found[:count]


def test_numbers_with_gaps_are_noted_where_they_may_be_anything(tmp_path: Path) -> None:
    source = plate(tmp_path, {("A01", 1, "dna", z, t) for z in (1, 2, 4) for t in (1, 3)})
    assert (source.n_z, source.n_t, source.issues) == (3, 2, ())
    assert [note.partition(":")[0] for note in source.notes] == ["z is numbered 1, 2, 4", "t is numbered 1, 3"]


def scanr_plate(root: Path, z: tuple[int, ...], t: tuple[int, ...]) -> Source:
    for at in product((1, 2), z, t, ("DAPI", "GFP")):
        # GFP was never acquired below z 2.
        if at[3] == "DAPI" or at[1] >= 2:
            number, *where, channel = at
            name = "--W{:05d}--P00001--Z{:05d}--T{:05d}--{}.tif".format(number, *where, channel)
            write_plane(root / name, pixels(at))
    return open_source(root, reader="scanr")


def test_a_number_that_no_file_has_is_missing_where_the_vendor_counts(tmp_path: Path) -> None:
    source = scanr_plate(tmp_path, z=(0, 1, 2, 4), t=(0, 2, 3))
    assert (source.n_z, source.n_t) == (5, 4)
    assert {(one.channel, one.z, one.t) for one in source.issues} == {
        *(("DAPI", z, 1) for z in range(5)),
        *(("GFP", z, 1) for z in (2, 3, 4)),
        *((channel, 3, t) for channel in ("DAPI", "GFP") for t in range(4)),
    }
    assert {one.status for one in source.issues} == {"missing"}
    assert "no file has z number 3: such planes are expected and listed as missing" in source.notes
    assert "no file has t number 1: such planes are expected and listed as missing" in source.notes
    assert {(plane.z, plane.path.name.split("--")[3]) for plane in source.planes} == {
        (z, f"Z0000{z}") for z in (0, 1, 2, 4)
    }


def test_every_second_number_of_a_vendor_scales_its_steps(tmp_path: Path) -> None:
    facts = PlateFacts(
        "any",
        "P",
        (Channel("dna"),),
        pixel_size=PixelSize(0.5, 0.5, 1.5),
        acquisition=Acquisition(time_step_s=60.0),
        counted=True,
    )
    files = {(z, t): write_plane(tmp_path / f"{z}{t}.tif", pixels((z, t))) for z, t in product((2, 4), (1, 4, 7))}
    sightings = [Sighting(WellId(0, 0), 1, "dna", z, t, ImageFile(path, path.name)) for (z, t), path in files.items()]
    source = build_source(Listing.of(tmp_path), sightings, facts)
    assert (source.n_z, source.n_t, source.issues) == (2, 3, ())
    assert source.pixel_size == PixelSize(0.5, 0.5, 3.0)
    assert source.acquisition.time_step_s == 180.0


def test_names_that_are_no_utf8_are_text_in_all_that_is_said(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/10x_\xb5"))
    for name in (b"A01_f1_dna_z0_t0.tif", b"A02_f1_\xb5_dna_z0_t0.tif", b"overview_\xb5m.tif", b"A01_f1_er_z0_t0.tif"):
        write_plane(root / os.fsdecode(name), pixels(name))
    (root / os.fsdecode(b"A02_f1_\xb5_er_z0_t0.tif")).write_bytes(b"")
    pattern = PATTERN.replace("(?P<channel>", r"(?:\\xb5_)?(?P<channel>")
    source = open_source(root, pattern=pattern)
    assert source.plate_name == r"10x_\xb5"
    assert [source.file_name(plane) for plane in source.planes][2:] == [r"A02_f1_\xb5_dna_z0_t0.tif"]
    assert source.issues[0].file == r"A02_f1_\xb5_er_z0_t0.tif"
    assert source.notes == (
        r"1 image file left out, their names say no well by " + repr(pattern) + r": overview_\xb5m.tif",
    )
    said = [source.plate_name, *source.notes, source.to_frame().to_dict("records")]
    assert json.dumps(said, ensure_ascii=False).encode()
    for plane in source.planes:
        assert read_plane(plane, source.shape, source.dtype).shape == source.shape
