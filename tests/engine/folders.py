"""Microscope folders with every axis, for the tests of conversion: each plane's pixels tell it from all others."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from hts.locations import Location
from hts.store import Plate

PATTERN = r"(?P<well>[A-Z]+\d+)_s(?P<field>\d+)_(?P<channel>[A-Za-z]+)_z(?P<z>\d+)_t(?P<t>\d+)"
SHAPE = (24, 40)


class Key(NamedTuple):
    """A plane of the folder."""

    well: str
    field: int = 1
    channel: str = "DNA"
    z: int = 0
    t: int = 0

    @property
    def file(self) -> str:
        return f"{self.well}_s{self.field}_{self.channel}_z{self.z}_t{self.t}.tif"


def keys(
    wells: str, fields: int = 1, channels: str = "DNA,GFP", n_z: int = 1, n_t: int = 1, without: Iterable[Key] = ()
) -> list[Key]:
    """All planes of a plate but those in `without`."""
    grid = product(wells.split(","), range(1, fields + 1), channels.split(","), range(n_z), range(n_t))
    return [key for key in (Key(*place) for place in grid) if key not in set(without)]


def pixels(key: object, shape: tuple[int, int] = SHAPE, dtype: Any = "uint16") -> NDArray[Any]:
    """Values over the whole range of the type that depend on the key only."""
    rng = np.random.default_rng(zlib.crc32(repr(key).encode()))
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind.kind == "f":
        return (rng.standard_normal(shape) * 1000).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


def tiff_bytes(image: NDArray[Any], **how: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, **{"metadata": None, **how})
    return stream.getvalue()


def write_folder(
    root: Location, planes: Iterable[Key], shape: tuple[int, int] = SHAPE, dtype: Any = "uint16"
) -> dict[Key, NDArray[Any]]:
    """Write these planes below `root`; returns their pixels."""
    made = {key: pixels(key, shape, dtype) for key in planes}
    root.mkdir(parents=True, exist_ok=True)
    for key, image in made.items():
        (root / key.file).write_bytes(tiff_bytes(image))
    return made


def assert_holds(plate: Plate, expected: Mapping[Key, NDArray[Any]]) -> None:
    """The plate has these planes, bit by bit and in their type, and no others."""
    for key, image in expected.items():
        stored = plate[key.well].field(key.field).read_plane(key.channel, z=key.z, t=key.t)
        np.testing.assert_array_equal(stored, image, err_msg=str(key))
        assert stored.dtype == image.dtype
    assert planes_in(plate) == set(expected)


def planes_in(plate: Plate) -> set[Key]:
    """The planes that the images themselves say they have."""
    return {
        Key(well.name, field.key.field, channel, z, t)
        for well in plate.wells
        for field in plate[well].fields
        for channel in field.channels
        for t in range(field.sizes["t"])
        for z in field.z_planes(channel, t)
    }


def statuses(plate: Plate) -> dict[Key, tuple[str, str]]:
    """Status and reason of every row of the completeness table."""
    table = plate.completeness()
    places = zip(table["Well"], table["Field"], table["Channel"], table["Z"], table["T"], strict=True)
    told = zip(table["Status"], table["Reason"], strict=True)
    return {Key(*place): said for place, said in zip(places, told, strict=True)}


def broken(plate: Plate) -> dict[Key, tuple[str, str]]:
    """The rows that are not found."""
    return {key: said for key, said in statuses(plate).items() if said[0] != "found"}


def content(folder: Path) -> dict[str, str]:
    """Hash of every file of a plate but of the lock, which holds the number of a process."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def images(plate: Plate) -> list[Path]:
    """Files that hold pixels of the images of a plate on disk, at full size, largest first."""
    found = [
        path
        for well in plate.wells
        for field in plate[well].fields
        for path in Path(str(field.location / "0")).rglob("*")
        if path.is_file() and path.name not in ("zarr.json", ".zarray")
    ]
    return sorted(found)
