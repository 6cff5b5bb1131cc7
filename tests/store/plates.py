"""Small plates written straight through the store, with pixels that are all different and never zero."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.model import Channel, FieldKey, PixelSize, WellId
from hts.store import Field, FieldImage, Plate, PlateSpec, create_plate, write_field

REPOSITORY = Path(__file__).resolve().parents[2]
WELL = WellId.parse("B03")
KEY = FieldKey(WELL, 1)
DOCUMENTS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
CHANNELS = (Channel("DNA", "0000FF"), Channel("Actin", "00FF00"))


def pixels(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> NDArray[Any]:
    """Random values from 1 up, so that a lost pixel is seen."""
    generator = np.random.default_rng(seed)
    if np.issubdtype(np.dtype(dtype), np.integer):
        return generator.integers(1, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    return generator.uniform(0.5, 1000, shape).astype(dtype)


def spec_for(shape: tuple[int, int], dtype: Any = np.uint16, **changes: Any) -> PlateSpec:
    """The spec of a plate with one well, one field and two channels, unless `changes` says otherwise."""
    settings = {
        "name": "made",
        "fields": {WELL: (1,)},
        "channels": CHANNELS,
        "shape": shape,
        "dtype": np.dtype(dtype),
        "pixel_size": PixelSize(0.65, 0.325),
    }
    return PlateSpec(**(settings | changes))


def stack(spec: PlateSpec, seed: int = 0) -> NDArray[Any]:
    """All pixels (t, c, z, y, x) of one field of `spec`."""
    return pixels((spec.n_t, len(spec.channels), spec.n_z, *spec.shape), spec.dtype, seed)


def planes_of(values: NDArray[Any], without: set[tuple[int, int, int]] = frozenset()) -> list[Any]:
    """A stack as the planes that :func:`hts.store.write_field` takes."""
    return [(index, values[index]) for index in np.ndindex(values.shape[:3]) if index not in without]


def write_one(path: Path, spec: PlateSpec, values: NDArray[Any], **image: Any) -> Field:
    """Write the one field of `spec` and open it again."""
    create_plate(path, spec)
    write_field(path, spec, FieldImage(KEY, planes_of(values), **image))
    return Plate.open(path)[WELL].fields[0]


def shards(folder: Path) -> list[Path]:
    """Files with pixels below `folder`."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name not in DOCUMENTS)


def run_python(code: str, *arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter that finds our tests; its arguments are ``sys.argv[1:]``."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | settings.pop("env", {})
    settings = {"cwd": REPOSITORY, "timeout": 120, **settings}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **settings)
