"""Sharded Zarr v3 arrays: one shard a plane, so that a plane has exactly one writer."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore

from hts.errors import SourceError
from hts.store.files import storage_errors, write_bytes

CHUNK_PX = 1024
SMALL_CHUNK_PX = 512


def chunk_shape(plane: tuple[int, int]) -> tuple[int, int]:
    """Chunk (Y, X) of a plane: 1024², 512² for planes that are smaller than that, never more than the plane."""
    edge = CHUNK_PX if max(plane) >= 2 * SMALL_CHUNK_PX else SMALL_CHUNK_PX
    return min(edge, plane[0]), min(edge, plane[1])


def shard_shape(plane: tuple[int, int]) -> tuple[int, int]:
    """Shard (Y, X): the whole plane, rounded up to whole chunks."""
    rows, columns = chunk_shape(plane)
    return -(-plane[0] // rows) * rows, -(-plane[1] // columns) * columns


@functools.lru_cache(maxsize=64)
def array_document(shape: tuple[int, ...], dtype: str, axes: tuple[str, ...], labels: bool) -> bytes:
    """The ``zarr.json`` of an array, made by zarr-python once for each shape and type.

    Copying the document is what keeps the metadata of a plate of 20,000 arrays at seconds.
    """
    ones = (1,) * (len(shape) - 2)
    plane = (shape[-2], shape[-1])
    codec = BloscCodec(cname="lz4" if labels else "zstd", clevel=5 if labels else 1, shuffle="shuffle")
    memory: dict[str, Any] = {}
    zarr.create_array(
        store=MemoryStore(memory),
        shape=shape,
        dtype=dtype,
        chunks=ones + chunk_shape(plane),
        shards=ones + shard_shape(plane),
        compressors=codec,
        fill_value=0,
        dimension_names=axes,
        zarr_format=3,
    )
    document = json.loads(memory["zarr.json"].to_bytes())
    return json.dumps(document, indent=1).encode()


def create(path: Path, shape: tuple[int, ...], dtype: str, axes: tuple[str, ...], *, labels: bool = False) -> Any:
    """Make an array at `path` (an existing one of the same shape is kept) and open it for writing."""
    write_bytes(path / "zarr.json", array_document(shape, dtype, axes, labels))
    return zarr.open_array(str(path), mode="r+", zarr_format=3)


def write_plane(array: Any, index: tuple[int, ...], plane: NDArray[Any]) -> None:
    """Write one whole plane, that is one shard."""
    with storage_errors(Path(str(array.store_path.store.root)) / array.path):
        array[(*index, slice(None), slice(None))] = plane


def open_read(path: Path) -> Any:
    """Open an array by its exact path.

    Raises
    ------
    SourceError
        when there is no readable array; the message names the path.
    """
    try:
        return zarr.open_array(str(path), mode="r")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise SourceError(f"{path} is a Zarr array", found=f"{type(error).__name__}: {error}") from error


def read_part(array: Any, index: tuple[Any, ...]) -> NDArray[Any]:
    """Read a part of an array; a damaged shard is a `SourceError` that names it."""
    try:
        return np.asarray(array[index])
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise SourceError(
            f"{array.store_path} can be read",
            found=f"{type(error).__name__}: {error}",
            cause="a shard is damaged",
            fix="convert the plate again with --overwrite for its well",
        ) from error
