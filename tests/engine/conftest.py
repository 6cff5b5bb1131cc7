"""A cluster of real worker processes, started once for all tests of the engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hts
from hts.recipe import Recipe
from hts.store import Plate

if TYPE_CHECKING:
    from distributed import Client

SETTINGS = (
    "channels.dna=DNA",
    "channels.reporter=Reporter",
    "profile.controls.negative=Control == -1",
    "profile.controls.positive=Control == 1",
)


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
