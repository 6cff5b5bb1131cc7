"""OME-Zarr plates as sources: what differs between fields is said and costs the field, nothing vanishes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import hts
from hts.engine.conversion.plates import from_plate
from hts.engine.inspection import inspect_source
from hts.errors import StoreError, UsageError
from hts.store import Plate
from tests.engine.folders import PATTERN, keys, write_folder


@pytest.fixture
def plate(tmp_path: Path) -> Plate:
    """Three wells of two fields, two channels, two z planes."""
    write_folder(tmp_path / "s", keys("B02,B03,C02", fields=2, n_z=2))
    return hts.convert(tmp_path / "s", tmp_path / "p.ome.zarr", pattern=PATTERN, pixel_size_um=0.5)


def edit(plate: Plate, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the document of field 2 of B03."""
    path = plate.path / "B" / "03" / "2" / "zarr.json"
    document = json.loads(path.read_text())
    change(document["attributes"])
    path.write_text(json.dumps(document))


def problems(plate: Plate) -> set[tuple[str, str]]:
    """Status and reason of the planes that cannot be used; all must be of B03 field 2."""
    issues = from_plate(Plate.open(plate.path)).issues
    assert {(issue.well.name, issue.field) for issue in issues} <= {("B03", 2)}
    return {(issue.status, issue.reason) for issue in issues}


def scales(attributes: dict[str, Any], factor: float) -> None:
    for dataset in attributes["ome"]["multiscales"][0]["datasets"]:
        scale = dataset["coordinateTransformations"][0]["scale"]
        scale[-2:] = [value * factor for value in scale[-2:]]


def test_a_field_with_another_pixel_size_is_not_taken_for_the_others(plate: Plate) -> None:
    edit(plate, lambda attributes: scales(attributes, 0.5))
    ((status, reason),) = problems(plate)
    assert status == "unreadable"
    assert "0.25 µm a pixel; most fields of the plate are 24 × 40 uint16, 0.5 µm" in reason
    assert any("1 of 24 × 40 uint16, 0.25 µm" in note for note in from_plate(plate).notes)


def test_a_field_whose_document_is_damaged_costs_itself(plate: Plate) -> None:
    (plate.path / "B" / "03" / "2" / "zarr.json").write_text("{")
    ((status, reason),) = problems(plate)
    assert (status, "B03 field 2" in reason) == ("unreadable", True)
    assert inspect_source(plate.path).counts == {"found": 20, "unreadable": 4}


def test_a_field_with_another_channel_lacks_the_one_and_has_the_other(plate: Plate) -> None:
    edit(plate, lambda attributes: attributes["ome"]["omero"]["channels"][1].update(label="Red"))
    source = from_plate(Plate.open(plate.path))
    assert [channel.name for channel in source.channels] == ["DNA", "GFP", "Red"]
    missing = {(issue.channel, issue.well.name) for issue in source.issues if issue.field == 2}
    assert ("GFP", "B03") in missing
    assert ("Red", "B03") not in missing


def test_planes_that_only_one_field_has_are_expected_of_all(plate: Plate) -> None:
    folder = plate.path / "B" / "03" / "2" / "0"
    shutil.rmtree(folder)
    array = zarr.create_array(folder, shape=(1, 2, 3, 24, 40), dtype="uint16", chunks=(1, 1, 1, 24, 40), fill_value=7)
    array[:] = 7
    source = from_plate(Plate.open(plate.path))
    assert source.n_z == 3
    assert {issue.reason for issue in source.issues if issue.well.name == "C02"} == {
        "the field has 1 time points and 2 z planes, others have more"
    }


def test_big_endian_pixels_of_other_software_are_read(plate: Plate, tmp_path: Path) -> None:
    source = from_plate(Plate.open(plate.path))
    assert source.read is not None
    pixels = source.read(source.planes[0], source.shape, np.dtype(">u2"))
    assert pixels.dtype == np.dtype("uint16")
    np.testing.assert_array_equal(pixels, plate["B02"].field(1).read_plane("DNA"))


def test_what_a_plate_knows_of_its_acquisition_is_kept_when_it_is_copied(plate: Plate, tmp_path: Path) -> None:
    path = plate.path / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["hts"]["acquisition"] = {"barcode": "X1", "time_step_s": 60.0}
    document["attributes"]["hts"]["offset"] = 32_768
    path.write_text(json.dumps(document))
    vendor = plate.path / ".hts" / "vendor" / "sub"
    vendor.mkdir(parents=True)
    (vendor / "a.HTD").write_text("kept")
    source = from_plate(Plate.open(plate.path))
    assert (source.acquisition.barcode, source.acquisition.time_step_s, source.offset) == ("X1", 60.0, 32_768)
    copied = hts.convert(plate.path, tmp_path / "copy.ome.zarr", rewrite=True)
    assert copied.origin["acquisition"] == {"barcode": "X1", "time_step_s": 60.0}
    assert (copied.root / ".hts" / "vendor" / "sub" / "a.HTD").read_text() == "kept"


def test_pixels_of_another_plate_that_changed_in_place_are_noticed(plate: Plate, tmp_path: Path) -> None:
    """A plate that hts did not make has no hash of its pixels: its files are looked at."""
    path = plate.path / "zarr.json"
    document = json.loads(path.read_text())
    del document["attributes"]["hts"]
    path.write_text(json.dumps(document))
    hts.convert(plate.path, tmp_path / "copy.ome.zarr", rewrite=True)
    one, other = plate["B03"].field(2), plate["C02"].field(1)
    for name in ("c/0/0/0/0/0",):
        shutil.copyfile(Path(str(other.location)) / "0" / name, Path(str(one.location)) / "0" / name)
    again = hts.convert(plate.path, tmp_path / "copy.ome.zarr", rewrite=True)
    np.testing.assert_array_equal(again["B03"].field(2).read_plane("DNA"), other.read_plane("DNA"))


def test_an_empty_plate_and_a_zip_to_write_into_are_refused(plate: Plate, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zip files are only read"):
        hts.convert(plate.path, tmp_path / "out.ozx", rewrite=True)
    for well in ("B/02", "B/03", "C/02"):
        shutil.rmtree(plate.path / well)
    with pytest.raises(StoreError, match="hts validate says what is wrong"):
        from_plate(Plate.open(plate.path))
