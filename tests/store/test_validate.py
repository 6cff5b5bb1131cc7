"""Good plates have no finding; each way to break one gives exactly the finding that names it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hts.errors import NotFoundError
from hts.model import FieldKey, WellId
from hts.store import FieldImage, Markers, Plate, create_plate, list_labels, write_field, write_labels, write_table
from hts.store.validate import Validation, validate
from tests.store import validate_plates as made
from tests.store.plates import planes_of, spec_for, stack
from tests.store.validate_mutations import FILES, METADATA, Change, Rules, errors, level, warnings
from tests.store.validate_plates import IMAGE, LABEL, edit, edit_array, is_v3


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Plates without a finding: 0.4 by hand, 0.5 by ome-zarr-py."""
    folder = tmp_path_factory.mktemp("good")
    peer = made.write_ome_zarr_py(folder / "v05.zarr", "0.5")
    # What ome-zarr-py leaves out is a test of its own below.
    edit(peer, "A/01/0/labels", lambda ome: ome.update(version="0.5"))
    for path in (IMAGE, LABEL, "B/02/0"):
        edit(peer, path, lambda ome: ome["multiscales"][0].update(type="mean"))
    return {"v04": made.write_v04(folder / "v04.zarr"), "v05": peer}


@pytest.fixture(params=["v04", "v05"])
def plate(request: pytest.FixtureRequest, plates: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to break."""
    shutil.copytree(plates[request.param], tmp_path / "plate.zarr")
    return tmp_path / "plate.zarr"


def rules(result: Validation) -> Rules:
    return {(finding.severity, finding.rule) for finding in result.findings}


# --- good plates -------------------------------------------------------------------------------------------------


def test_good_plates_have_no_finding(plate: Path) -> None:
    result = validate(plate, every_plane=True)
    assert result.findings == []
    assert (result.kind, result.version) == ("plate", "0.5" if is_v3(plate) else "0.4")
    assert (result.wells, result.images, result.labels) == (2, 2, 1)
    assert result.chunks >= 3
    assert result.lines()[-1] == "nothing to mend"


def test_wells_and_images_are_validated_alone(plate: Path) -> None:
    well, image = validate(plate / "A" / "01"), validate(plate / IMAGE)
    assert (well.kind, well.images, well.findings) == ("well", 1, [])
    assert (image.kind, image.labels, image.findings) == ("image", 1, [])


def test_what_ome_zarr_py_writes_is_complete_but_for_the_version_of_labels(tmp_path: Path) -> None:
    """Version 0.18 leaves ome.version out of the group labels in 0.5; method notes are its other gap."""
    for version in ("0.4", "0.5"):
        found = validate(made.write_ome_zarr_py(tmp_path / version, version))
        assert rules(found) <= {("error", "labels.version"), ("note", "image.method")}


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate that hts wrote, two wells of two fields."""
    path = tmp_path_factory.mktemp("ours") / "ours.ome.zarr"
    keys = [FieldKey(WellId.parse(well), field) for well in ("B03", "C11") for field in (1, 4)]
    fields = {key.well: (1, 4) for key in keys}
    spec = spec_for((300, 261), fields=fields, ngff=request.param, origin={"conversion": "abc"})
    create_plate(path, spec)
    for key in keys:
        write_field(path, spec, FieldImage(key, planes_of(stack(spec)), {"y": 1.0, "x": 2.0}))
        Markers(path / ".hts", "convert", "abc").commit(key.well.name, {})
    return path


def test_our_own_plates_have_no_finding(ours: Path) -> None:
    result = validate(ours, every_plane=True)
    assert result.findings == []
    assert (result.wells, result.images, result.chunks) == (2, 4, 8)


def test_our_labels_have_no_colours_and_nothing_else(ours: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(ours, tmp_path / "copy")
    field = Plate.open(copy)["B03"].fields[0]
    write_labels(field, {"nuclei": np.ones((300, 261), np.int32)})
    list_labels(field, ["nuclei"])
    assert rules(validate(copy)) == {("note", "label.colors")}


def test_a_conversion_that_has_not_finished_and_planes_that_never_came(ours: Path, tmp_path: Path) -> None:
    import pandas as pd

    copy = shutil.copytree(ours, tmp_path / "copy")
    (copy / ".hts" / "markers" / "convert-abc" / "C11.json").unlink()
    write_table(copy / ".hts" / "completeness.parquet", pd.DataFrame({"Status": ["found", "missing", "missing"]}))
    result = validate(copy)
    assert rules(result) == warnings("plate.conversion", "plate.planes")
    assert "1 of 2 wells not done, first C/11" in result.findings[0].text
    assert "3 planes were expected when the plate was converted: 2 missing" in result.findings[1].text
    shutil.rmtree(copy / ".hts" / "markers")
    (copy / ".hts" / "completeness.parquet").write_bytes(b"no table")
    assert rules(validate(copy)) == warnings("plate.conversion", "plate.completeness")


# --- broken metadata ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "change", "expected"), [row[1:] for row in METADATA], ids=[row[0] for row in METADATA]
)
def test_broken_metadata(plate: Path, path: str, change: Callable[[dict[str, Any]], Any], expected: Rules) -> None:
    edit(plate, path, change)
    if not is_v3(plate):
        expected = expected - errors("array.dimension_names")
    result = validate(plate)
    assert rules(result) == expected, [finding.text for finding in result.findings]
    assert result.ok == all(severity != "error" for severity, _ in expected)
    for finding in result.findings:
        assert re.search("expected|recommended|listed|It is allowed", finding.text), finding.text
        assert finding.text.count(". ") + finding.text.count("; ") >= 1, finding.text


# --- broken files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_broken_files(plate: Path, change: Change, expected: Rules) -> None:
    change(plate)
    if not is_v3(plate) and expected == errors("array.node"):
        expected = errors("array.open")
    found = validate(plate)
    assert rules(found) == expected, [finding.text for finding in found.findings]


def test_zarr_v2_group_without_marker_and_flat_chunks(plates: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(plates["v04"], tmp_path / "plate")
    (copy / IMAGE / ".zgroup").unlink()
    edit_array(copy, "B/02/0/0", lambda document: document.update(dimension_separator="."))
    assert rules(validate(copy)) == errors("image.zgroup", "array.separator")


def test_metadata_of_the_other_version(plates: dict[str, Path], tmp_path: Path) -> None:
    """0.4's keys in a Zarr v3 group, 0.5's in a v2 group, an image of the other format, an unknown version."""
    new, old = (shutil.copytree(plates[name], tmp_path / name) for name in ("v05", "v04"))
    document = json.loads((new / "zarr.json").read_text())
    document["attributes"] = made.plate_v04()
    made.write_json(new / "zarr.json", document)
    assert rules(validate(new)) == errors("plate.ome")
    made.write_json(old / IMAGE / ".zattrs", {"ome": made.image_v04()})
    assert errors("image.block") <= rules(validate(old))
    shutil.rmtree(old / "B/02/0")
    shutil.copytree(plates["v05"] / "B/02/0", old / "B/02/0")
    assert errors("image.format") <= rules(validate(old))
    shutil.rmtree(old / IMAGE / "0")
    made.write_json(old / IMAGE / ".zattrs", made.image_v04())
    shutil.copytree(plates["v05"] / "B/02/0/s0", old / IMAGE / "0")
    assert errors("array.format") <= rules(validate(old))


def test_a_plate_of_a_later_version_says_which(plates: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(plates["v05"], tmp_path / "later")
    edit(copy, "", lambda ome: ome.update(version="0.6"))
    result = validate(copy)
    assert result.version == "0.6"
    assert rules(result) == errors("plate.version")


def test_consolidated_metadata_that_is_old_or_large(plate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.consolidate_metadata(str(plate))
    assert validate(plate).findings == []
    edit(plate, IMAGE, lambda ome: ome["omero"]["channels"][0].update(label="Hoechst"))
    edit_array(plate, level(plate, IMAGE), lambda document: document.update(shape=[2, 64, 40]))
    result = validate(plate)
    assert errors("image.levels.scale") | warnings("label.size", "image.consolidated.stale") <= rules(result)
    stale = {finding.place for finding in result.findings if finding.rule.endswith("consolidated.stale")}
    assert stale == {IMAGE, level(plate, IMAGE)}
    monkeypatch.setattr("hts.store.validate.consolidated._HUGE_BYTES", 1000)
    assert ("warning", "top.consolidated.size") in rules(validate(plate))


# --- pixels ------------------------------------------------------------------------------------------------------


def _chunk_files(root: Path, path: str) -> list[Path]:
    return sorted(file for file in (root / level(root, path)).rglob("*") if file.is_file() and file.name[0].isdigit())


def test_chunks_that_cannot_be_decoded_are_named(plate: Path) -> None:
    files = _chunk_files(plate, IMAGE)
    files[0].write_bytes(files[0].read_bytes()[:20])
    _chunk_files(plate, LABEL)[0].write_bytes(b"")
    assert validate(plate).findings == []
    result = validate(plate, every_plane=True)
    assert {(f.rule, f.place) for f in result.findings} == {
        ("chunk.damaged", files[0].relative_to(plate).as_posix()),
        ("chunk.empty", _chunk_files(plate, LABEL)[0].relative_to(plate).as_posix()),
    }


def test_an_array_of_endless_size_is_not_walked(plate: Path) -> None:
    array = level(plate, "B/02/0")
    edit_array(plate, array, lambda document: document.update(shape=[2, 2**40, 2**40]))
    assert ("error", "array.files") in rules(validate(plate, every_plane=True))


def test_an_image_without_any_chunk_is_worth_a_warning(plate: Path) -> None:
    for file in _chunk_files(plate, "B/02/0"):
        file.unlink()
    result = validate(plate, every_plane=True)
    assert {(f.rule, f.place) for f in result.findings} == {("array.empty", level(plate, "B/02/0"))}


def _edit_own(root: Path, path: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change our own attributes of a group."""
    file = made.document_of(root, path)
    document = json.loads(file.read_text())
    change((document["attributes"] if is_v3(root) else document)["hts"])
    made.write_json(file, document)


def test_a_lost_plane_of_ours_is_an_error_unless_it_was_never_acquired(ours: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(ours, tmp_path / "copy")
    _edit_own(copy, "B/03/1", lambda own: own.update(format=2))
    lost = _chunk_files(copy, "B/03/1")[0]
    lost.unlink()
    result = validate(copy, every_plane=True)
    assert [(f.rule, f.place) for f in result.findings] == [("chunk.absent", lost.relative_to(copy).as_posix())]
    _edit_own(copy, "B/03/1", lambda own: own.update(absent_planes=[[0, 0, 0]]))
    assert validate(copy, every_plane=True).findings == []


# --- for people --------------------------------------------------------------------------------------------------


def test_findings_of_one_kind_are_one_paragraph_for_people_and_complete_for_programs(plate: Path) -> None:
    for path in (IMAGE, "B/02/0"):
        edit(plate, path, lambda ome: ome["omero"]["channels"][0].update(color="blue"))
    edit(plate, IMAGE, lambda ome: ome["omero"]["channels"][1].update(color="red"))
    result = validate(plate)
    shown = [line for line in result.lines() if line.startswith("error")]
    assert len(shown) == 1
    assert shown[0].startswith("error: 2 places, first in A/01/0 (omero.channels[0].color): A colour of six")
    assert result.lines()[-1] == "3 errors"
    spoken = result.to_json()
    assert (spoken["ok"], spoken["errors"], len(spoken["findings"])) == (False, 3, 3)
    assert json.loads(json.dumps(spoken)) == spoken


def test_nothing_at_the_place_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"a plate at .*nowhere"):
        validate(tmp_path / "nowhere")
