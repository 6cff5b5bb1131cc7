"""Fixtures of all tests: where the real data is, a small synthetic plate, a cluster of real worker processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hts
from hts.recipe import Recipe
from hts.store import Plate
from hts.synth import SynthSpec, Truth

if TYPE_CHECKING:
    from distributed import Client

REPOSITORY = Path(__file__).resolve().parent.parent
SETTINGS = (
    "channels.dna=DNA",
    "channels.reporter=Reporter",
    "profile.controls.negative=Control == -1",
    "profile.controls.positive=Control == 1",
)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real plates: ``HTS_DATA``, else ``../shared/data`` beside the checkout."""
    folder = Path(os.environ.get("HTS_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        if os.environ.get("HTS_REQUIRE_DATA"):
            pytest.fail(f"the real data is required and {folder} is not there")
        pytest.skip(f"no real data: {folder} is not there (set HTS_DATA)")
    return folder


@pytest.fixture(scope="session")
def small_spec() -> SynthSpec:
    """Nine wells of two small fields: a negative and a positive column, doses between, one field missing."""
    return SynthSpec(
        wells="B02-D06", fields=2, size_px=192, cells_per_field=60, seed=3, missing_field=True, blurred_field=False
    )


@pytest.fixture(scope="session")
def small_truth(tmp_path_factory: pytest.TempPathFactory, small_spec: SynthSpec) -> Truth:
    """The microscope folder of the small plate, with its truth."""
    return hts.write_plate(tmp_path_factory.mktemp("synth") / "made", small_spec)


@pytest.fixture(scope="session")
def small_plate(tmp_path_factory: pytest.TempPathFactory, small_truth: Truth) -> Plate:
    """The small plate as OME-Zarr. Shared: copy it before running on it."""
    destination = tmp_path_factory.mktemp("plate") / "small.ome.zarr"
    return hts.convert(small_truth.plate, destination, layout=small_truth.layout)


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    with hts.connect("local", 2) as connected:
        yield connected


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe.load("translocation", SETTINGS)


@pytest.fixture
def plate(small_plate: Plate, tmp_path: Path) -> Plate:
    """A copy of the small plate to run on."""
    shutil.copytree(small_plate.path, tmp_path / "small.ome.zarr")
    return Plate.open(tmp_path / "small.ome.zarr")


@pytest.fixture(scope="session")
def finished(small_plate: Plate, recipe: Recipe, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate with a finished run beside it. Shared: copy its folder before changing anything."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(small_plate.path, folder / "small.ome.zarr")
    hts.submit(folder / "small.ome.zarr", recipe, client).result(120)
    return folder
