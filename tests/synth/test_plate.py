from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from hts.errors import StoreError, UsageError
from hts.model import FieldKey
from hts.synth import SynthSpec, Truth, render_field, write_plate
from hts.synth.spec import treatments

SPEC = SynthSpec(wells="B02-C06", size_px=128, pixel_size_um=1.3, cells_per_field=150, plate_name="small")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return write_plate(tmp_path_factory.mktemp("synth") / "new", SPEC)


def image_path(truth: Truth, key: FieldKey, wave: int) -> Path:
    return truth.plate / "TimePoint_1" / f"small_{key.well.name}_s{key.field}_w{wave}.TIF"


def all_keys() -> list[FieldKey]:
    return [FieldKey(well, field) for well in SPEC.well_ids for field in (1, 2)]


def digests(root: Path) -> dict[str, str]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_files_lie_as_the_microscope_leaves_them(truth):
    expected = {image_path(truth, key, wave) for key in all_keys() for wave in (1, 2) if key not in truth.missing}
    assert set((truth.plate / "TimePoint_1").glob("*.TIF")) == expected
    assert len(expected) == 2 * (2 * 10 - 1)
    top, inner = truth.plate / "small.HTD", truth.plate / "TimePoint_1" / "small.HTD"
    assert top.read_bytes() == inner.read_bytes()
    assert top.read_bytes().startswith(b'"HTSInfoFile"')
    assert sorted(path.name for path in truth.plate.parent.iterdir()) == ["layout.csv", "small", "truth"]


def test_images_and_labels_are_those_rendered(truth):
    key = FieldKey(SPEC.well_ids[3], 2)
    field = render_field(SPEC, *key)
    for wave, plane in enumerate(field.images, 1):
        assert np.array_equal(tifffile.imread(image_path(truth, key, wave)), plane)
    for role, labels in (("nuclei", field.nuclei), ("cells", field.cells)):
        read = tifffile.imread(truth.label_path(key, role))
        assert read.dtype == np.uint16
        assert np.array_equal(read, labels)


def test_tiff_is_plain_and_carries_the_metadata(truth):
    with tifffile.TiffFile(image_path(truth, FieldKey(SPEC.well_ids[0], 2), 2)) as tiff:
        assert tiff.pages[0].compression == tifffile.COMPRESSION.NONE
        assert len(tiff.pages) == 1
        assert tiff.is_metaseries
        plane = tiff.metaseries_metadata["PlaneInfo"]
    assert plane["spatial-calibration-x"] == plane["spatial-calibration-y"] == 1.3
    assert plane["image-name"] == "Reporter"
    assert plane["stage-label"] == "B02 : Site 2"


def test_layout_has_every_well(truth):
    layout = pd.read_csv(truth.layout)
    assert list(layout.columns) == ["Well", "Dose_uM", "Control", "Compound"]
    assert list(layout["Well"]) == [well.name for well in SPEC.well_ids]
    assert list(layout["Control"]) == [-1, -1, 0, 0, 1] * 2
    assert list(layout["Dose_uM"]) == [0, 0, 0.01, 10, 30] * 2
    assert list(layout["Compound"][:3]) == ["DMSO", "DMSO", "Translocator"]


def test_cells_are_those_of_the_labels(truth):
    cells = pd.read_parquet(truth.cells)
    assert not cells.duplicated(["Metadata_Well", "Metadata_Site", "ObjectNumber"]).any()
    assert cells["Truth_NuclearFraction"].between(0, 1).all()
    for key in all_keys():
        own = cells[(cells["Metadata_Well"] == key.well.name) & (cells["Metadata_Site"] == key.field)]
        nuclei = tifffile.imread(truth.label_path(key, "nuclei"))
        assert list(own["ObjectNumber"]) == list(range(1, nuclei.max() + 1))
        assert own["Nuclei_AreaShape_Area"].sum() == (nuclei > 0).sum()
    assert 0 < cells["Truth_TouchesNucleus"].mean() < 1


def test_faults_are_as_stated(truth):
    assert len(truth.missing) == len(truth.blurred) == 1
    plan = treatments(SPEC)
    assert all(plan[key.well].control == 0 for key in truth.missing + truth.blurred)
    assert not any(image_path(truth, truth.missing[0], wave).exists() for wave in (1, 2))
    assert all(image_path(truth, truth.blurred[0], wave).exists() for wave in (1, 2))
    assert truth.label_path(truth.missing[0], "cells").exists()


def test_same_seed_same_bytes_other_seed_other_bytes(truth, tmp_path):
    again = write_plate(tmp_path / "again", SPEC)
    assert digests(again.plate.parent) == digests(truth.plate.parent)
    other = write_plate(tmp_path / "other", SPEC.model_copy(update={"seed": 1}))
    first, second = digests(truth.plate), digests(other.plate)
    shared = first.keys() & second.keys()
    assert len(shared) > 30
    assert all(first[name] != second[name] for name in shared)


def test_stacks_and_time_points_leave_the_truth_as_it_is(truth, tmp_path):
    stacked = write_plate(tmp_path / "stacked", SPEC.model_copy(update={"z_planes": 3, "time_points": 2}))
    folders = sorted(path.relative_to(stacked.plate).as_posix() for path in stacked.plate.rglob("ZStep_*"))
    assert folders == [f"TimePoint_{t}/ZStep_{z}" for t in (1, 2) for z in (1, 2, 3)]
    assert len(list(stacked.plate.rglob("*.TIF"))) == 6 * 2 * (2 * 10 - 1)
    assert stacked.cells.read_bytes() == truth.cells.read_bytes()
    assert {path.name for path in stacked.labels.iterdir()} == {path.name for path in truth.labels.iterdir()}
    flat = image_path(truth, all_keys()[0], 1)
    sharp = stacked.plate / "TimePoint_1" / "ZStep_2" / flat.name
    assert np.array_equal(tifffile.imread(sharp), tifffile.imread(flat))


def test_an_empty_folder_will_do_and_a_full_one_will_not(tmp_path):
    one = SPEC.model_copy(update={"wells": "B02", "fields": 1})
    assert write_plate(tmp_path, one).plate == tmp_path / "small"
    with pytest.raises(UsageError, match=r"new or empty folder[\s\S]*holds something already"):
        write_plate(tmp_path, one)
    with pytest.raises(UsageError, match="new or empty folder"):
        write_plate(tmp_path / "layout.csv", one)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"a synthetic plate in .*file/plate[\s\S]*not writable"):
        write_plate(tmp_path / "file" / "plate", SPEC)
