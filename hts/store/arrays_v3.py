"""Sharded Zarr v3 arrays: one shard a plane, so that a plane has exactly one writer."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import MemoryStore

from hts.errors import SourceError, UsageError
from hts.store.files import storage_errors, write_bytes

CHUNK_PX = 1024
SMALL_CHUNK_PX = 512
_MAKE_AGAIN = "make it again: hts convert --overwrite for images, hts run --overwrite for labels"


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
        # The checksum makes a flipped bit an error instead of a wrong pixel.
        compressors=(codec, Crc32cCodec()),
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
    """Write one whole plane, that is one shard.

    Raises
    ------
    UsageError
        when the plane has another size than the array's, or values it cannot hold: Zarr would cut or wrap them.
    """
    if plane.shape != array.shape[-2:] or not np.can_cast(plane.dtype, array.dtype, "safe"):
        raise UsageError(
            f"a plane (Y, X) of {array.shape[-2:]} {array.dtype} for {_folder(array)}",
            found=f"{plane.shape} {plane.dtype}",
        )
    with storage_errors(_folder(array)):
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
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"{path} is a Zarr array", found=f"{type(error).__name__}: {error}") from error


def read_part(array: Any, index: tuple[Any, ...]) -> NDArray[Any]:
    """Read a part of an array.

    Raises
    ------
    SourceError
        when a shard is damaged; the message names its file, or the array when the part has several.
    """
    file = _plane_file(array, index)
    try:
        # Zarr takes an empty file, which a power failure can leave, for a plane of zeros.
        if file is not None and file.is_file() and file.stat().st_size == 0:
            raise ValueError("the file is empty")
        return np.asarray(array[index])
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise SourceError(
            f"{file or _folder(array)} can be read",
            found=f"{type(error).__name__}: {error}",
            cause="a shard is damaged",
            fix=_MAKE_AGAIN,
        ) from error


def refuse_lost(array: Any, index: tuple[Any, ...]) -> None:
    """Raise `SourceError` when the shard of a plane that was written is not there: Zarr would read zeros."""
    file = _plane_file(array, index)
    if file is not None and not file.exists():
        raise SourceError(f"{file} can be read", found="no such file", cause="a shard was deleted", fix=_MAKE_AGAIN)


def _folder(array: Any) -> Path:
    return Path(str(array.store_path.store.root), str(array.path))


def _plane_file(array: Any, index: tuple[Any, ...]) -> Path | None:
    """The one file that holds the plane at `index`; None when `index` is no plane or there are several files."""
    grid = array.shards or array.chunks
    leading = [place for place in index if isinstance(place, int)]
    if len(leading) != array.ndim - 2 or any(n > size for n, size in zip(array.shape[-2:], grid[-2:], strict=True)):
        return None
    key = (*(place // size for place, size in zip(leading, grid, strict=False)), 0, 0)
    return _folder(array) / str(array.metadata.encode_chunk_key(key))
