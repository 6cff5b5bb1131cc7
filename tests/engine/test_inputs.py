"""Plates that are OME-Zarr already, as a source of planes: ours, those of others, and damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import hts
from hts.engine.conversion.inputs import from_plate, open_input
from hts.errors import HtsError, NotFoundError, SourceError, StoreError
from hts.locations import location
from hts.model import WellId
from hts.store import Plate
from tests.engine.folders import PATTERN, Key, broken, images, keys, write_folder
from tests.store.foreign import ints, write_image, write_plate, write_well

VERSIONS = pytest.mark.parametrize("version", ["0.5", "0.4"])
ALL = keys("B02,C03", fields=2, n_z=2, n_t=2)
YX = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
CYX = [{"name": "c", "type": "channel"}, *YX]


@pytest.fixture
def ours(tmp_path: Path, version: str) -> Plate:
    write_folder(tmp_path / "s", [key for key in ALL if key != Key("C03", 1, "GFP", 1, 1)])
    return hts.convert(tmp_path / "s", tmp_path / "p.ome.zarr", pattern=PATTERN, ngff=version, pixel_size_um=0.5)


@VERSIONS
def test_a_plate_of_ours_is_the_source_it_came_from(ours: Plate) -> None:
    source = from_plate(ours)
    assert [channel.name for channel in source.channels] == ["DNA", "GFP"]
    assert (source.n_z, source.n_t, source.shape, source.dtype) == (2, 2, (24, 40), np.dtype("uint16"))
    assert len(source.planes) == len(ALL) - 1
    assert [(issue.well.name, issue.field, issue.channel, issue.z, issue.t) for issue in source.issues] == [
        ("C03", 1, "GFP", 1, 1)
    ]
    assert source.issues[0].reason == broken(ours)[Key("C03", 1, "GFP", 1, 1)][1]
    assert not any("was not made by hts" in note for note in source.notes)
    assert source.read is not None
    for plane in source.planes:
        mine = ours[plane.well].field(plane.field).read_plane(plane.channel, z=plane.z, t=plane.t)
        np.testing.assert_array_equal(source.read(plane, source.shape, source.dtype), mine)


@VERSIONS
def test_absent_planes_count_also_without_a_completeness_table(ours: Plate) -> None:
    (Path(str(ours.path)) / ".hts" / "completeness.parquet").unlink()
    issue = from_plate(Plate.open(ours.path)).issues
    assert [(one.status, one.reason) for one in issue] == [("missing", "the plate lists the plane as absent")]


@VERSIONS
def test_a_damaged_image_costs_its_field(ours: Plate) -> None:
    document = {"0.5": "zarr.json", "0.4": ".zattrs"}[ours.version]
    (Path(str(ours.path)) / "B" / "02" / "2" / document).write_text("{")
    source = from_plate(Plate.open(ours.path))
    lost = {(issue.well.name, issue.field) for issue in source.issues}
    assert lost == {("B02", 2), ("C03", 1)}
    assert {(plane.well.name, plane.field) for plane in source.planes} == {("B02", 1), ("C03", 1), ("C03", 2)}
    assert all(issue.status == "unreadable" for issue in source.issues if issue.well.name == "B02")


@VERSIONS
def test_a_damaged_well_costs_the_well(ours: Plate) -> None:
    document = {"0.5": "zarr.json", "0.4": ".zattrs"}[ours.version]
    (Path(str(ours.path)) / "B" / "02" / document).unlink()
    source = from_plate(Plate.open(ours.path))
    assert {plane.well.name for plane in source.planes} == {"C03"}
    assert "B02" in {issue.well.name for issue in source.issues}


@VERSIONS
def test_a_lost_file_is_an_issue_when_it_is_read(ours: Plate, version: str) -> None:
    images(ours)[0].unlink()
    source = from_plate(ours)
    assert source.read is not None
    with pytest.raises(SourceError, match="can be read"):
        source.read(source.planes[0], source.shape, source.dtype)
    with pytest.raises(SourceError, match=r"is \(24, 40\) uint16, the plate's planes are \(9, 9\) uint16"):
        source.read(source.planes[1], (9, 9), source.dtype)


@VERSIONS
def test_fields_of_another_size_or_with_fewer_planes_are_issues(tmp_path: Path, version: str) -> None:
    """Plates of others need not be regular: a plane of another shape is refused, one that is not there is missing."""
    place = tmp_path / "theirs.zarr"
    write_plate(place, [("A/1", 0, 0), ("A/2", 0, 1)], version)
    write_well(place / "A/1", ["0", "1"], version)
    write_well(place / "A/2", ["0"], version)
    write_image(place / "A/1/0", ints((2, 40, 48), 1), CYX, [1, 0.5, 0.5], version=version)
    write_image(place / "A/1/1", ints((2, 40, 50), 2), CYX, [1, 0.5, 0.5], version=version)
    write_image(place / "A/2/0", ints((1, 40, 48), 3), CYX, [1, 0.5, 0.5], version=version)
    plate = hts.convert(place, tmp_path / "p.ome.zarr", rewrite=True)
    rows = broken(plate)
    # Names of images that are numbers are the fields' numbers.
    assert {(key.well, key.field, key.channel) for key in rows} == {
        ("A01", 1, "Channel1"),
        ("A01", 1, "Channel2"),
        ("A02", 0, "Channel2"),
    }
    np.testing.assert_array_equal(plate["A01"].field(0).read_plane("Channel2"), ints((2, 40, 48), 1)[1])
    np.testing.assert_array_equal(plate["A02"].field(0).read_plane("Channel1"), ints((1, 40, 48), 3)[0])


@VERSIONS
def test_an_image_with_more_than_the_first_loses_nothing(tmp_path: Path, version: str) -> None:
    """The first image is no measure of the others: more z planes, another channel."""
    place = tmp_path / "theirs.zarr"
    axes = [{"name": "c", "type": "channel"}, {"name": "z", "type": "space", "unit": "micrometer"}, *YX]
    write_plate(place, [("A/1", 0, 0), ("A/2", 0, 1)], version)
    values = {"A/1": ints((1, 1, 40, 48), 1), "A/2": ints((2, 3, 40, 48), 2)}
    for well, image in values.items():
        write_well(place / well, ["1"], version)
        names = [{"label": name, "color": "00FF00"} for name in ("DNA", "GFP")[: len(image)]]
        write_image(place / well / "1", image, axes, [1, 2, 1, 1], version=version, ome={"omero": {"channels": names}})
    plate = hts.convert(place, tmp_path / "p.ome.zarr", rewrite=True)
    assert (plate.channels, plate.shape["z"]) == (("DNA", "GFP"), 3)
    assert plate.channel_colors == {"DNA": "00FF00", "GFP": "00FF00"}
    for c, name in enumerate(plate.channels):
        for z in range(3):
            np.testing.assert_array_equal(plate["A02"].field(1).read_plane(name, z=z), values["A/2"][c, z])
    np.testing.assert_array_equal(plate["A01"].field(1).read_plane("DNA"), values["A/1"][0, 0])
    assert len(broken(plate)) == 5


@VERSIONS
def test_what_the_metadata_told_survives_a_rewriting(ours: Plate, tmp_path: Path, small_plate: Plate) -> None:
    again = hts.convert(small_plate.path, tmp_path / "again.ome.zarr", rewrite=True, ngff=ours.version)
    first, copy = small_plate["B02"].fields[0], again["B02"].fields[0]
    assert copy.position_um == first.position_um
    for key in ("acquired", "acquired_t"):
        assert copy.attributes["hts"].get(key) == first.attributes["hts"].get(key)
    for key in ("acquisition", "channels", "offset", "removed_offset"):
        assert again.origin[key] == small_plate.origin[key]


@VERSIONS
def test_channels_of_other_names_in_one_field_are_never_taken_for_those_of_the_plate(
    tmp_path: Path, version: str
) -> None:
    place = tmp_path / "theirs.zarr"
    write_plate(place, [("A/1", 0, 0), ("A/2", 0, 1)], version)
    for well, names in (("A/1", ("DNA", "GFP")), ("A/2", ("GFP", "DNA"))):
        write_well(place / well, ["0"], version)
        omero = {"omero": {"channels": [{"label": name, "color": "FFFFFF"} for name in names]}}
        write_image(place / well / "0", ints((2, 40, 48), len(well + names[0])), CYX, [1, 0.5, 0.5], version=version,
                    ome=omero)  # fmt: skip
    plate = hts.convert(place, tmp_path / "p.ome.zarr", rewrite=True)
    for well in ("A01", "A02"):
        for name in ("DNA", "GFP"):
            theirs = Plate.open(place)[well].fields[0].read_plane(name)
            np.testing.assert_array_equal(plate[well].fields[0].read_plane(name), theirs)


def test_a_plate_of_one_plane_without_other_axes(tmp_path: Path) -> None:
    place = tmp_path / "theirs.zarr"
    write_plate(place, [("H/12", 7, 11)])
    write_well(place / "H/12", ["0"])
    write_image(place / "H/12/0", ints((40, 48)), YX, [0.5, 0.5])
    plate = hts.convert(place, tmp_path / "p.ome.zarr", rewrite=True)
    np.testing.assert_array_equal(plate["H12"].fields[0].read_plane("Channel1"), ints((40, 48)))


def test_a_plate_without_an_image_says_so(tmp_path: Path) -> None:
    write_plate(tmp_path / "theirs.zarr", [("A/1", 0, 0)])
    write_well(tmp_path / "theirs.zarr" / "A/1", ["0"])
    with pytest.raises(StoreError, match="has an image that can be opened"):
        open_input(tmp_path / "theirs.zarr")


def test_a_zip_file_is_a_plate_on_any_file_system(tmp_path: Path, memory: str) -> None:
    made = write_folder(tmp_path / "s", keys("B02"))
    hts.convert(tmp_path / "s", tmp_path / "p.ome.zarr", pattern=PATTERN)
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "p.ome.zarr"))
    (location(memory) / "plate.ozx").write_bytes(packed.read_bytes())
    for where in (packed, location(memory) / "plate.ozx"):
        source = open_input(where)
        assert (source.reader, source.wells) == ("ome-zarr", (WellId(1, 1),))
        assert source.read is not None
        for plane in source.planes:
            expected = made[Key("B02", 1, plane.channel)]
            np.testing.assert_array_equal(source.read(plane, source.shape, source.dtype), expected)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"no zip"])
def test_a_damaged_zip_file_is_one_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(HtsError, match=r"zip"):
        open_input(tmp_path / "p.zip")
    with pytest.raises(NotFoundError, match=r"none\.zip"):
        open_input(tmp_path / "none.zip")
