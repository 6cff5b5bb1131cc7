"""Reading the planes a recipe asks for, from fields whose channels were acquired unequally."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hts.engine.facts import field_problems
from hts.engine.fields import read_projection, scaled
from hts.errors import SourceError
from hts.model import Channel, FieldKey, WellId
from hts.recipe import Recipe
from hts.recipe.model import AcquireSection
from hts.store import Field, FieldImage, Plate, PlateSpec, create_plate, write_field

WELL = WellId(1, 2)
SHAPE = (40, 50)


@pytest.fixture(scope="module")
def stack() -> NDArray[np.uint16]:
    """Three z planes of DNA; FITC has the first only."""
    return np.random.default_rng(0).integers(100, 60_000, (3, *SHAPE), np.uint16)


@pytest.fixture(scope="module")
def field(stack: NDArray[np.uint16], tmp_path_factory: pytest.TempPathFactory) -> Field:
    path = tmp_path_factory.mktemp("z") / "p.ome.zarr"
    spec = PlateSpec("p", {WELL: (1,)}, (Channel("DNA"), Channel("FITC")), SHAPE, np.dtype(np.uint16), n_z=3)
    create_plate(path, spec)
    planes = [((0, 0, z), stack[z]) for z in range(3)] + [((0, 1, 0), stack[0])]
    write_field(path, spec, FieldImage(FieldKey(WELL, 1), planes))
    return Plate.open(path)[WELL].fields[0]


@pytest.mark.parametrize(("z", "expected"), [("max", "max"), ("mean", "mean"), (1, 1)])
def test_a_projection_is_over_all_planes_of_the_channel(field: Field, stack: NDArray[np.uint16], z, expected) -> None:
    truth = stack[expected] if isinstance(expected, int) else getattr(stack, expected)(axis=0)
    found = read_projection(field, "DNA", AcquireSection(z=z))
    np.testing.assert_allclose(found, truth, rtol=1e-6)
    assert found.dtype == (np.float32 if z == "mean" else np.uint16)


@pytest.mark.parametrize("z", ["max", "mean", 0])
def test_planes_that_were_never_acquired_do_not_count_as_zero(field: Field, stack: NDArray[np.uint16], z) -> None:
    assert field.z_planes("FITC") == (0,)
    np.testing.assert_array_equal(read_projection(field, "FITC", AcquireSection(z=z)), stack[0])


def test_a_plane_that_is_not_there_is_an_error_and_not_a_black_image(field: Field) -> None:
    with pytest.raises(SourceError, match=r"has the plane z=1 of FITC\n  found: z planes \[0\]"):
        read_projection(field, "FITC", AcquireSection(z=1))


def test_fields_without_the_plane_asked_for_are_known_before_the_run() -> None:
    rows = [("B03", 1, "DNA", z, 0, "found", "", "") for z in range(3)] + [("B03", 1, "FITC", 0, 0, "found", "", "")]
    rows += [("B03", 2, "DNA", 1, 0, "found", "", ""), ("B03", 2, "FITC", 1, 0, "unreadable", "is cut off", "x.tif")]
    columns = ["Well", "Field", "Channel", "Z", "T", "Status", "Reason", "File"]
    planes = pd.DataFrame(rows, columns=columns)
    settings = ["channels.dna=DNA", "channels.reporter=FITC"]
    by_z = {
        z: field_problems(planes, Recipe.load("translocation", [*settings, f"acquire.z={z}"]), ("DNA", "FITC"))
        for z in ("max", 1)
    }
    assert by_z["max"] == {("B03", 2): "FITC unreadable: is cut off (x.tif)"}
    assert by_z[1] == {
        ("B03", 1): "FITC was not acquired at t=0, z=1",
        ("B03", 2): "FITC unreadable: is cut off (x.tif)",
    }


@pytest.mark.parametrize(
    ("z", "given", "expected"),
    [("mean", None, 65535.0), ("mean", 4095.0, 4095.0), ("max", None, None), (0, None, None)],
)
def test_the_mean_of_planes_has_their_full_scale(
    field: Field, z: str | int, given: float | None, expected: float | None
) -> None:
    """It is of floats, whose scale would be 1."""
    settings = ["channels.dna=DNA", "channels.reporter=FITC", f"acquire.z={z}"]
    settings += [f"measure.full_scale={given}"] if given else []
    assert scaled(Recipe.load("translocation", settings), field).full_scale == expected
