"""`hts run` on plates that `hts convert` did not write."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hts
from hts.engine.facts import well_input
from hts.errors import StoreError, UsageError
from hts.model import parse_wells
from hts.recipe import Recipe
from hts.store import Plate
from tests.store.foreign import ome_zarr_py_plate

if TYPE_CHECKING:
    from distributed import Client

WELLS = ("B02", "B03")


@pytest.fixture
def foreign(small_plate: Plate, tmp_path: Path) -> Plate:
    """Two wells of the small plate as ome-zarr-py writes them in 0.4: channels first, no names, no .hts folder."""
    pixels = {}
    for name in WELLS:
        values = small_plate[name].fields[0].to_xarray().values
        pixels[f"{name[0]}/{name[1:]}"] = values[0, :, 0]
    ome_zarr_py_plate(tmp_path / "theirs.zarr", pixels, "0.4")
    return Plate.open(tmp_path / "theirs.zarr")


DIAMETER = "segment.nuclei.diameter_px=22"


@pytest.fixture
def nuclei(small_plate: Plate) -> Recipe:
    # Without a diameter it is estimated from all wells of the plate, of which the foreign one has but two.
    return Recipe.load("nuclei", [f"channels.dna=Channel{small_plate.channels.index('DNA') + 1}", DIAMETER])


def test_a_foreign_plate_gives_the_objects_that_ours_of_the_same_pixels_gives(
    foreign: Plate, nuclei: Recipe, plate: Plate, client: Client
) -> None:
    result = hts.submit(foreign, nuclei, client).result(120)
    assert result.wells == {"expected": 2, "done": 2, "failed": 0, "skipped": 0}
    ours = Recipe.load("nuclei", ["channels.dna=DNA", DIAMETER])
    hts.submit(plate, ours, client, wells=parse_wells("B02,B03")).result(120)
    counts = dict(zip(result.profiles["Metadata_Well"], result.profiles["Count_Nuclei"], strict=True))
    for name in WELLS:
        theirs, same = Plate.open(foreign.path)[name].fields[0], Plate.open(plate.path)[name].fields[0]
        (label,), (our_label,) = theirs.label_names(), same.label_names()
        found = theirs.read_labels(label)
        np.testing.assert_array_equal(found, same.read_labels(our_label))
        assert found.max() == counts[name] > 0
        assert (theirs.location / "labels" / label / ".zattrs").exists()


def test_a_foreign_plate_is_not_computed_twice_and_has_a_report(foreign: Plate, nuclei: Recipe, client: Client) -> None:
    hts.submit(foreign, nuclei, client).result(120)
    assert hts.submit(foreign, nuclei, client).result(60).wells["skipped"] == 2
    assert hts.status(foreign).state == "done"
    assert hts.write_report(foreign).exists()


def test_a_well_is_another_one_when_its_documents_change(foreign: Plate) -> None:
    well, other = foreign.wells
    before = {name: well_input(foreign, name) for name in (well, other)}
    assert before[well] != before[other]
    document = foreign[well].fields[0].location / ".zattrs"
    document.write_text(document.read_text("utf-8").replace("micrometer", "nanometer"), "utf-8")
    assert well_input(Plate.open(foreign.path), well) != before[well]
    assert well_input(Plate.open(foreign.path), other) == before[other]
    shutil.rmtree(foreign[well].location)
    assert well_input(Plate.open(foreign.path), well) != before[well]


def test_a_plate_in_a_zip_file_is_refused_before_anything_runs(
    foreign: Plate, nuclei: Recipe, client: Client, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as made:
        for file in foreign.path.rglob("*"):
            made.write(file, file.relative_to(foreign.path))
    with pytest.raises(StoreError, match=r"p.zip can be written\n  found: a zip file(.|\n)*--rewrite"):
        hts.submit(tmp_path / "p.zip", nuclei, client)
    assert not list(tmp_path.glob("p*.hts"))


def test_results_at_an_address_are_refused(foreign: Plate, nuclei: Recipe, client: Client) -> None:
    with pytest.raises(UsageError, match=r"a folder on disk for the results\n  found: memory://results"):
        hts.submit(foreign, nuclei, client, out="memory://results")
