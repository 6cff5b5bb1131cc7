"""Fixtures of all tests: where the real data is, a small synthetic plate, a cluster of real worker processes."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before any test imports ngio: its import leaves ome-zarr-models 1.7 with two classes of one name (0.4), which do not
# accept one another.
import ome_zarr_models.v04  # noqa: F401
import pytest

import hts
from hts.locations import Location, location
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
def s3_endpoint() -> Iterator[str]:
    """An S3 server on loopback, with keys and address in the environment as every S3 tool expects them."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str) -> Iterator[str]:
    """A new, empty bucket: ``s3://bucket-…``."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def memory() -> Iterator[str]:
    """A new, empty folder in this process's memory: ``memory://folder-…``."""
    import fsspec

    folder = f"folder-{uuid.uuid4().hex[:12]}"
    yield f"memory://{folder}"
    files = fsspec.filesystem("memory")
    if files.exists(f"/{folder}"):
        files.rm(f"/{folder}", recursive=True)


@pytest.fixture(params=["disk", "memory", "s3"])
def anywhere(request: pytest.FixtureRequest) -> Location:
    """An empty folder on disk, in memory and on an object store, in turn."""
    kind = {"disk": "tmp_path"}.get(request.param, request.param)
    return location(request.getfixturevalue(kind))


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
