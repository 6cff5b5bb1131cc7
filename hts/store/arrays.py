"""Arrays of planes: one writer a plane, written by our own encoder, read by zarr-python.

OME-Zarr 0.5 (Zarr v3): one shard, that is one file, a plane, with checksums. OME-Zarr 0.4 (Zarr v2): a plane is
several chunk files, all written by the same task; without checksums, because Zarr v2 readers that lack the codec could
not open the array at all, so a flipped bit there may be a wrong pixel.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import SourceError, UsageError
from hts.locations import Location
from hts.store.files import file_errors, size_bytes, write_bytes
from hts.store.folders import Folders
from hts.store.ngff import Version
from hts.store.shards import IMAGES, LABELS, chunks, encode_chunk, encode_shard

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


@dataclass(frozen=True)
class ArraySpec:
    """An array of planes: ``shape`` and ``axes`` end with y and x, ``dtype`` is NumPy's text for it.

    ``block_px`` is the edge of what one task writes of a plane, for planes that several tasks write; None when a plane
    has one writer.
    """

    shape: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]
    version: Version = "0.5"
    labels: bool = False
    block_px: int | None = None

    @property
    def chunk(self) -> tuple[int, int]:
        """Shape (Y, X) of the chunks; those of a block fill it."""
        if self.block_px is None:
            return chunk_shape(self.plane)
        parts = next(n for n in range(-(-self.block_px // CHUNK_PX), self.block_px + 1) if self.block_px % n == 0)
        return self.block_px // parts, self.block_px // parts

    @property
    def shard(self) -> tuple[int, int]:
        """Shape (Y, X) of what one file holds in 0.5: the plane rounded up to whole chunks, or a block."""
        return shard_shape(self.plane) if self.block_px is None else (self.block_px, self.block_px)

    @property
    def plane(self) -> tuple[int, int]:
        """Shape (Y, X)."""
        return self.shape[-2], self.shape[-1]


@functools.lru_cache(maxsize=64)
def array_document(spec: ArraySpec) -> bytes:
    """The ``zarr.json`` or ``.zarray`` of an array, made by zarr-python once for each shape and type.

    Copying the document is what keeps the metadata of a plate of 20,000 arrays at seconds.
    """
    import zarr
    from zarr.codecs import BloscCodec, Crc32cCodec
    from zarr.storage import MemoryStore

    ones = (1,) * (len(spec.shape) - 2)
    compression = LABELS if spec.labels else IMAGES
    settings: dict[str, Any] = {
        "shape": spec.shape,
        "dtype": np.dtype(spec.dtype).newbyteorder("<"),
        "chunks": ones + spec.chunk,
        "fill_value": 0,
    }
    if spec.version == "0.4":
        from numcodecs import Blosc

        codec = Blosc(cname=compression.cname, clevel=compression.level, shuffle=Blosc.SHUFFLE)
        settings |= {"zarr_format": 2, "compressors": codec, "chunk_key_encoding": {"name": "v2", "separator": "/"}}
    else:
        codec = BloscCodec(cname=compression.cname, clevel=compression.level, shuffle="shuffle")
        # The checksum makes a flipped bit an error instead of a wrong pixel.
        settings |= {"zarr_format": 3, "compressors": (codec, Crc32cCodec()), "dimension_names": spec.axes}
        settings["shards"] = ones + spec.shard
    memory: dict[str, Any] = {}
    zarr.create_array(store=MemoryStore(memory), **settings)
    document = json.loads(memory[DOCUMENTS[spec.version]].to_bytes())
    return json.dumps(document, indent=1).encode()


DOCUMENTS: dict[Version, str] = {"0.5": "zarr.json", "0.4": ".zarray"}
"""Name of the document that makes a folder an array."""


def create(place: Location, spec: ArraySpec, folders: Folders) -> None:
    """Write the document of an array; an existing one of the same shape and type keeps its planes."""
    _write(place / DOCUMENTS[spec.version], array_document(spec), folders)


def _write(place: Location, content: bytes, folders: Folders) -> None:
    folders.make(place.parent)
    write_bytes(place, content, durable=False)


def write_plane(
    place: Location, spec: ArraySpec, index: tuple[int, ...], plane: NDArray[Any], folders: Folders
) -> None:
    """Write one whole plane (Y, X): one file in 0.5, its chunks in 0.4. It need not be read first, and never is.

    Parameters
    ----------
    folders : what the writer of this image has made already.

    Raises
    ------
    UsageError
        when the plane has another size than the array's, or values it cannot hold: they would be cut or wrapped.
    StoreError
        when it cannot be written.
    """
    dtype = np.dtype(spec.dtype)
    if plane.shape != spec.plane or spec.block_px is not None or not np.can_cast(plane.dtype, dtype, "safe"):
        raise UsageError(
            f"a plane (Y, X) of {spec.plane} {dtype.name} for {place}", found=f"{plane.shape} {plane.dtype}"
        )
    if len(index) != len(spec.shape) - 2 or any(not 0 <= i < n for i, n in zip(index, spec.shape, strict=False)):
        raise UsageError(f"the place of a plane in {spec.axes[:-2]} {spec.shape[:-2]}", found=str(index))
    plane = plane.astype(dtype.newbyteorder("<"), copy=False)
    _write_part(place, spec, (*index, 0, 0), plane, folders)


def write_block(place: Location, spec: ArraySpec, cell: tuple[int, ...], part: NDArray[Any], folders: Folders) -> None:
    """Write one block of a plane that several tasks write: a file of its own in 0.5, files of its own in 0.4.

    Parameters
    ----------
    cell : place on the leading axes, then row and column of the block.
    part : (Y, X) of the block; smaller than the others at the end of the plane.

    Raises
    ------
    UsageError
        when the part is not that block: another writer would have pixels in the same file.
    StoreError
        when it cannot be written.
    """
    edge = spec.block_px or 0
    begin = [number * edge for number in cell[-2:]]
    expected = tuple(min(edge, size - first) for size, first in zip(spec.plane, begin, strict=True))
    dtype = np.dtype(spec.dtype)
    if part.shape != expected or min(*cell, *expected) < 0 or not np.can_cast(part.dtype, dtype, "safe"):
        raise UsageError(
            f"block {cell[-2:]} (Y, X) of {expected} {dtype.name} for {place}", found=f"{part.shape} {part.dtype}"
        )
    whole = np.zeros((edge, edge), dtype.newbyteorder("<"))
    whole[: part.shape[0], : part.shape[1]] = part
    _write_part(place, spec, cell, whole if spec.version == "0.5" else whole[: part.shape[0], : part.shape[1]], folders)


def _write_part(place: Location, spec: ArraySpec, cell: tuple[int, ...], part: NDArray[Any], folders: Folders) -> None:
    """The file, or in 0.4 the files, of a cell in the grid of what one task writes."""
    compression = LABELS if spec.labels else IMAGES
    names = [str(number) for number in cell]
    if spec.version == "0.5":
        _write(place.joinpath("c", *names), encode_shard(part, spec.chunk, compression), folders)
        return
    rows, columns = (
        size // chunk * number for size, chunk, number in zip(spec.shard, spec.chunk, cell[-2:], strict=True)
    )
    for (row, column), piece in chunks(part, spec.chunk):
        name = place.joinpath(*names[:-2], str(rows + row), str(columns + column))
        _write(name, encode_chunk(piece, compression), folders)


def open_read(place: Location, version: Version) -> Any:
    """Open an array by its exact path.

    Raises
    ------
    SourceError
        when there is no readable array; the message names the path.
    """
    import zarr

    try:
        return zarr.open_array(_zarr_store(place), mode="r", zarr_format=3 if version == "0.5" else 2)
    except file_errors(KeyError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise SourceError(f"{place} is a Zarr array", found=f"{type(error).__name__}: {error}") from error


def _zarr_store(place: Location) -> Any:
    if isinstance(place, Path):
        return str(place)
    from zarr.storage import FsspecStore

    return FsspecStore.from_mapper(place.fs.get_mapper(place.path), read_only=True)


@dataclass(frozen=True)
class Stored:
    """An open array, where it is, and whether each of its planes has files of its own: those that ours makes have.

    ``absent`` are the places of planes on the leading axes that were never written.
    """

    place: Location
    array: Any
    complete: bool = False
    absent: Collection[tuple[int, ...]] = ()


def read_part(stored: Stored, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """Read a part of an array: a number or a slice for each of its first axes, the others are read whole.

    Raises
    ------
    SourceError
        when a file is damaged, or was lost: Zarr reads fill values where there is no file, or an empty one. The message
        names the file, or the array when the part has several.
    """
    array = stored.array
    ranges = [range(size) for size in array.shape]
    for axis, place in enumerate(index):
        ranges[axis] = range(place, place + 1) if isinstance(place, int) else ranges[axis][place]
    try:
        values = np.asarray(array[tuple(slice(axis.start, axis.stop) for axis in ranges)])
    except file_errors(ValueError, RuntimeError, TypeError, ArithmeticError) as error:
        files = [file for _, file, _ in itertools.islice(_cells(stored, ranges), 2)]
        raise SourceError(
            f"{files[0] if len(files) == 1 else stored.place} can be read",
            found=f"{type(error).__name__}: {error}",
            cause="a file is damaged",
            fix=_MAKE_AGAIN,
        ) from error
    _refuse_lost(stored, ranges, values)
    return values[tuple(0 if isinstance(place, int) else slice(None) for place in index)]


def _cells(stored: Stored, ranges: list[range]) -> Iterator[tuple[tuple[int, ...], Location, tuple[slice, ...]]]:
    """Cells of the grid of files that a part touches: place in the grid, file, and where the part has its values."""
    array = stored.array
    grid = array.shards or array.chunks
    touched = [range(axis.start // size, (axis.stop - 1) // size + 1) for axis, size in zip(ranges, grid, strict=True)]
    for cell in itertools.product(*touched):
        inside = tuple(
            slice(max(i * size, axis.start) - axis.start, min((i + 1) * size, axis.stop) - axis.start)
            for i, size, axis in zip(cell, grid, ranges, strict=True)
        )
        yield cell, stored.place / str(array.metadata.encode_chunk_key(cell)), inside


def _refuse_lost(stored: Stored, ranges: list[range], values: NDArray[Any]) -> None:
    """Look for the files of those cells that hold nothing but the fill value; all others have been seen."""
    if not stored.complete and not isinstance(stored.place, Path):
        # Elsewhere a file that is not there is allowed; asking a far store for each of them would take minutes.
        return
    fill = stored.array.fill_value or 0
    for cell, file, inside in _cells(stored, ranges):
        part = values[inside]
        # The first row tells nearly always, at a thousandth of the work.
        if (part[..., 0, :] != fill).any() or (part != fill).any() or cell[:-2] in stored.absent:
            continue
        size = size_bytes(file)
        if size == 0 or (size is None and stored.complete):
            raise SourceError(
                f"{file} can be read",
                found="no such file" if size is None else "the file is empty",
                cause="a file was deleted" if size is None else "a file is damaged",
                fix=_MAKE_AGAIN,
            )
