"""Conversion: pixels kept, faults cost one plane and are listed; what is committed is not converted again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import hts
from hts.engine.facts import well_input
from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.store import Plate
from tests.engine.folders import content

if TYPE_CHECKING:
    from distributed import Client

    from hts.recipe import Recipe
    from hts.synth import Truth


@pytest.fixture
def source(small_truth: Truth, tmp_path: Path) -> Path:
    """A copy of the microscope folder to break."""
    shutil.copytree(small_truth.plate, tmp_path / "source")
    return tmp_path / "source"


def image(source: Path, well: str, site: int, wave: int) -> Path:
    return next(source.rglob(f"*_{well}_s{site}_w{wave}.TIF"))


VERSIONS = pytest.mark.parametrize("ngff", ["0.5", "0.4"])


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def either(request: pytest.FixtureRequest, small_truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Plate:
    """The small plate in either version."""
    place = tmp_path_factory.mktemp("either") / "small.ome.zarr"
    return hts.convert(small_truth.plate, place, layout=small_truth.layout, ngff=request.param)


def test_every_plane_reads_back_equal_to_its_file(either: Plate, small_truth: Truth) -> None:
    compared = 0
    for well in either.wells:
        for field in either[well].fields:
            for wave, channel in enumerate(either.channels, start=1):
                name = f"*_{well.name}_s{field.key.field}_w{wave}.TIF"
                files = list(small_truth.plate.rglob(name))
                if files:
                    np.testing.assert_array_equal(field.read_plane(channel), tifffile.imread(files[0]))
                    compared += 1
    assert compared == 15 * 2 * 2 - 2


def test_a_missing_field_is_listed_and_never_read_as_black(either: Plate, small_truth: Truth) -> None:
    key = small_truth.missing[0]
    broken = either.completeness().query("Status != 'found'")
    assert set(zip(broken["Well"], broken["Field"], strict=True)) == {(key.well.name, key.field)}
    assert set(broken["Channel"]) == set(either.channels)
    field = either[key.well].field(key.field)
    with pytest.raises(SourceError, match="was not acquired or could not be read"):
        field.read_plane("DNA")
    values = field.to_xarray()
    assert not values.any()
    assert values.attrs["absent_planes"] == [[0, 0, 0], [0, 1, 0]]


def test_pixel_size_positions_layout_and_vendor_files_are_kept(either: Plate, small_truth: Truth) -> None:
    assert either.pixel_size is not None
    assert either.pixel_size.x_um == pytest.approx(0.65)
    assert either["B02"].fields[0].position_um is not None
    assert list((either.path / ".hts" / "vendor").rglob("*.HTD"))
    assert {"Well", "Dose_uM", "Control", "Compound"} <= set(either.layout_table().columns)


@VERSIONS
def test_converting_again_changes_nothing(small_truth: Truth, tmp_path: Path, ngff: str) -> None:
    plate = tmp_path / "p.ome.zarr"
    hts.convert(small_truth.plate, plate, ngff=ngff)
    before = content(plate)
    stamps = {path: path.stat().st_mtime_ns for path in plate.glob("*/*/*/**/*") if path.is_file()}
    hts.convert(small_truth.plate, plate, ngff=ngff)
    assert stamps
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert content(plate) == before


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_size(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((96, 96), np.uint16))


def other_dtype(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((192, 192), np.float32))


def not_an_image(path: Path) -> None:
    path.write_bytes(b"this is no image" * 100)


def remove(path: Path) -> None:
    path.unlink()


def twice(path: Path) -> None:
    shutil.copy(path, path.with_name(path.name.replace(".TIF", ".tiff")))


FAULTS = [
    (truncate, "unreadable", "truncated|cut|incomplete|shorter|end"),
    (empty, "unreadable", "empty"),
    (other_size, "unreadable", "96 × 96"),
    (other_dtype, "unreadable", "float32"),
    (not_an_image, "unreadable", "TIFF"),
    (remove, "missing", "no file"),
    (twice, "duplicate", "TIF"),
]


@pytest.mark.parametrize(("fault", "status", "reason"), FAULTS, ids=[fault.__name__ for fault, _, _ in FAULTS])
def test_a_fault_costs_one_plane_and_is_listed_everywhere(
    fault, status: str, reason: str, source: Path, tmp_path: Path, client: Client, recipe: Recipe
) -> None:
    """The plane in the completeness table, the field in status and report; the well and the plate finish without it."""
    fault(image(source, "C03", 2, 1))
    plate = hts.convert(source, tmp_path / "p.ome.zarr")
    broken = plate.completeness().query("Status != 'found' and Well == 'C03'")
    assert list(broken["Status"]) == [status]
    assert list(broken["Channel"]) == ["DNA"]
    assert broken["Reason"].str.contains(reason).all(), broken["Reason"].tolist()
    simple = type(recipe).from_dict({**recipe.to_dict(), "profile": {"readout": "Count_Nuclei"}})
    result = hts.submit(plate, simple, client, wells=frozenset({plate["C03"].id, plate["B02"].id})).result(60)
    assert result.wells["done"] == 2
    used = result.profiles.set_index("Metadata_Well")["Metadata_FieldsUsed"]
    assert used.to_dict() == {"B02": 2, "C03": 1}
    drops = hts.status(plate).dropped_fields
    assert [(drop["well"], drop["field"]) for drop in drops] == [("C03", 2)]
    page = hts.write_report(plate.path).read_text()
    assert f"DNA {status}" in page


def test_a_well_without_a_usable_field_fails_with_its_reason(
    source: Path, tmp_path: Path, client: Client, recipe: Recipe
) -> None:
    for site in (1, 2):
        empty(image(source, "C03", site, 1))
    plate = hts.convert(source, tmp_path / "p.ome.zarr")
    simple = type(recipe).from_dict({**recipe.to_dict(), "profile": {"readout": "Count_Nuclei"}})
    wells = frozenset({plate["C03"].id, plate["B02"].id})
    result = hts.submit(plate, simple, client, wells=wells).result(60)
    assert result.wells == {"expected": 2, "done": 1, "failed": 1, "skipped": 0}
    assert "no usable field" in result.failures["C03"]
    assert "empty" in result.failures["C03"]


def test_a_mended_file_converts_and_computes_only_its_well_again(
    source: Path, tmp_path: Path, client: Client, recipe: Recipe
) -> None:
    broken = image(source, "C03", 2, 1)
    whole = broken.read_bytes()
    truncate(broken)
    plate = hts.convert(source, tmp_path / "p.ome.zarr")
    simple = type(recipe).from_dict({**recipe.to_dict(), "profile": {"readout": "Count_Nuclei"}})
    wells = frozenset({plate["C03"].id, plate["B02"].id})
    hts.submit(plate, simple, client, wells=wells).result(60)
    broken.write_bytes(whole)
    mended = hts.convert(source, tmp_path / "p.ome.zarr")
    run = hts.submit(mended, simple, client, wells=wells)
    result = run.result(60)
    assert [task.well.name for task in run.plan.tasks] == ["C03"]
    assert result.profiles.set_index("Metadata_Well")["Metadata_FieldsUsed"].to_dict() == {"B02": 2, "C03": 2}


@VERSIONS
def test_other_pixels_in_a_file_of_the_same_size_are_noticed(source: Path, tmp_path: Path, ngff: str) -> None:
    plate = hts.convert(source, tmp_path / "p.ome.zarr", ngff=ngff)
    before = {well: well_input(plate, well) for well in plate.wells}
    path = image(source, "C03", 2, 1)
    pixels = tifffile.imread(path)
    content = path.read_bytes()
    place = content.index(pixels[100].tobytes())
    path.write_bytes(content[:place] + b"\x07" + content[place + 1 :])
    again = hts.convert(source, tmp_path / "p.ome.zarr", ngff=ngff)
    assert again["C03"].field(2).read_plane("DNA")[100, 0] == tifffile.imread(path)[100, 0] != pixels[100, 0]
    after = {well: well_input(again, well) for well in again.wells}
    assert [well.name for well in before if before[well] != after[well]] == ["C03"]


@VERSIONS
def test_touched_files_with_the_same_pixels_are_not_computed_again(source: Path, tmp_path: Path, ngff: str) -> None:
    plate = hts.convert(source, tmp_path / "p.ome.zarr", ngff=ngff)
    before = {well: well_input(plate, well) for well in plate.wells}
    for path in source.rglob("*.TIF"):
        os.utime(path)
    again = hts.convert(source, tmp_path / "p.ome.zarr", ngff=ngff)
    assert {well: well_input(again, well) for well in again.wells} == before


def test_two_plates_in_one_results_folder_never_share_a_result(
    source: Path, tmp_path: Path, client: Client, recipe: Recipe
) -> None:
    """Files of the same names and sizes, other pixels, the same folder by mistake."""
    simple = type(recipe).from_dict({**recipe.to_dict(), "profile": {"readout": "Count_Nuclei"}})
    first = hts.convert(source, tmp_path / "a.ome.zarr")
    wells = frozenset({first["B02"].id})
    one = hts.submit(first, simple, client, wells=wells, out=tmp_path / "out").result(60).profiles
    for site in (1, 2):
        for wave in (1, 2):
            shutil.copy(image(source, "D06", site, wave), image(source, "B02", site, wave))
    second = hts.convert(source, tmp_path / "b.ome.zarr")
    run = hts.submit(second, simple, client, wells=wells, out=tmp_path / "out")
    two = run.result(60).profiles
    assert len(run.plan.tasks) == 1
    assert list(one["Mean_Nuclei_AreaShape_Area"]) != list(two["Mean_Nuclei_AreaShape_Area"])


def test_a_layout_well_that_is_not_on_the_plate_is_noted(small_truth: Truth, tmp_path: Path) -> None:
    layout = tmp_path / "layout.csv"
    layout.write_text(small_truth.layout.read_text() + "H12,1,0,Nothing\n")
    plate = hts.convert(small_truth.plate, tmp_path / "p.ome.zarr", layout=layout)
    notes = hts.status(plate).notes
    assert any("layout.csv describes wells that are not on the plate: H12" in note for note in notes)
    assert "H12" not in set(plate.layout_table()["Well"])


def test_unknown_folders_and_places_end_in_one_clear_message(tmp_path: Path, small_truth: Truth) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        hts.convert(tmp_path / "nowhere", tmp_path / "p.ome.zarr")
    (tmp_path / "odd").mkdir()
    for i in range(4):
        tifffile.imwrite(tmp_path / "odd" / f"picture {i}.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(SourceError, match=r"(?s)(picture \d\.tif.*){3}--pattern"):
        hts.convert(tmp_path / "odd", tmp_path / "p.ome.zarr")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"is a file, not a folder|in the way"):
        hts.convert(small_truth.plate, tmp_path / "file" / "p.ome.zarr")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="other files"):
        hts.convert(small_truth.plate, tmp_path / "taken")
    assert (tmp_path / "taken" / "thesis.txt").read_text() == "precious"
