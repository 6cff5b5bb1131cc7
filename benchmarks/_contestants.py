"""What `bench_convert.py` lets run against one another: the limit of the machine, `hts`, ome-zarr-py, ngio.

All write the same planes in the same chunks with the same codec: Blosc, zstd level 1, byte shuffle. A *way* is how the
work is spread over the cores and what its library is told; everything here is at the top level of a module, so that
processes can run it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

CHUNK_PX = 1024
LEVELS_SUFFIX = ".levels.npz"
Spread = Literal["threads", "processes", "dask"]
"""Threads or processes share the fields; or one field after the other, and Dask's threads share its planes."""


@dataclass(frozen=True)
class Way:
    """How a library is used: how fields are spread, one file a plane or one a chunk, how levels are made."""

    spread: Spread
    sharded: bool = True
    pyramid: str = ""

    def __str__(self) -> str:
        files = "shards" if self.sharded else "a file a chunk"
        return ", ".join(part for part in (self.spread, files, self.pyramid) if part)


# ``local_mean`` averages areas as `hts` does; ``resize`` is what ``write_image`` does unless told otherwise.
OME_ZARR_WAYS = tuple(
    Way(spread, sharded, "local_mean") for spread in ("processes", "threads", "dask") for sharded in (True, False)
)
NGIO_WAYS = tuple(
    Way(spread, sharded, mode)
    for spread in ("processes", "threads")
    for sharded in (True, False)
    for mode in ("numpy", "coarsen")
) + tuple(Way("dask", sharded, mode) for sharded in (True, False) for mode in ("dask", "coarsen"))


def read(file: str) -> NDArray[Any]:
    """The plane of a TIFF, decoded in this thread alone: the planes are what is spread."""
    with tifffile.TiffFile(file) as tiff:
        return tiff.pages[0].asarray(maxworkers=1)


def level_count(side_px: int) -> int:
    """Levels that `hts` makes of a square plane."""
    from hts.store.pyramid import level_shapes

    return len(level_shapes((side_px, side_px)))


# The limit: decode, encode, write. No metadata, no folders, no downsampling.


def save_levels(file: Path) -> None:
    """Put the smaller levels of a plane beside the plates, for :func:`load_levels`."""
    from hts.store.pyramid import halve_image

    plane, levels = read(str(file)), []
    for _ in range(level_count(plane.shape[0]) - 1):
        plane = halve_image(plane)
        levels.append(plane)
    np.savez(levels_file(str(file)), *levels)


def levels_file(file: str) -> str:
    """Beside the plate's folder, so that no reader lists it."""
    path = Path(file)
    return str(path.parents[2] / f"{path.parents[1].name}-{path.stem}{LEVELS_SUFFIX}")


@functools.cache
def load_levels(file: str) -> list[NDArray[Any]]:
    """Levels from memory; loaded once a process, before anything is timed."""
    with np.load(levels_file(file)) as kept:
        return [kept[name] for name in kept.files]


def preload(files: Sequence[str]) -> None:
    """What a process needs before the clock starts: the limit's levels, and the libraries."""
    for file in files:
        load_levels(file)
    for library in ("dask.array", "ngio", "numcodecs", "ome_zarr.writer", "skimage.transform", "zarr.codecs"):
        importlib.import_module(library)


def limit_plane(file: str, target: str, with_levels: bool) -> None:
    """Decode a plane, encode the chunks of it and of its levels, write them, one file a level."""
    from numcodecs import Blosc

    codec = Blosc("zstd", clevel=1, shuffle=Blosc.SHUFFLE)
    levels = [read(file), *(load_levels(file) if with_levels else ())]
    for number, plane in enumerate(levels):
        with open(f"{target}.{number}", "wb", buffering=0) as out:
            for y in range(0, plane.shape[0], CHUNK_PX):
                for x in range(0, plane.shape[1], CHUNK_PX):
                    out.write(codec.encode(np.ascontiguousarray(plane[y : y + CHUNK_PX, x : x + CHUNK_PX])))


def limit(executor: Executor, files: Sequence[str], target: Path, with_levels: bool = True) -> None:
    """All planes, by the threads or processes of `executor`."""
    target.mkdir()
    targets = [str(target / str(number)) for number in range(len(files))]
    with blosc_threads(False):
        list(executor.map(limit_plane, files, targets, [with_levels] * len(files)))


@contextlib.contextmanager
def blosc_threads(use: bool | None) -> Iterator[None]:
    """Blosc's own threads off, or (None) as its library decides; `hts` switches them off in its process."""
    from numcodecs import blosc

    before, blosc.use_threads = blosc.use_threads, use
    try:
        yield
    finally:
        blosc.use_threads = before


# The peers: a field is five TIFFs, written as one image with all its levels.


def ome_zarr_field(files: Sequence[str], target: str, way: Way) -> None:
    """ome-zarr-py's ``write_image`` of a field, its planes read by Dask as they are needed."""
    import dask
    import dask.array as da
    from ome_zarr.writer import write_image

    shape, dtype = _shape(files[0])
    planes = [da.from_delayed(dask.delayed(read)(file), shape, dtype) for file in files]
    count = level_count(shape[0])
    with dask.config.set(scheduler="threads" if way.spread == "dask" else "synchronous", num_workers=cores()):
        write_image(
            da.stack(planes),
            target,
            scale_factors=[{"c": 1, "y": 2**level, "x": 2**level} for level in range(1, count)],
            method=_method(way.pyramid),
            axes=["c", "y", "x"],
            storage_options=[_storage(shape[0] // 2**level, way) for level in range(count)],
        )


def _method(name: str) -> Any:
    from ome_zarr.scale import Methods

    return Methods(name)


def _storage(side_px: int, way: Way) -> dict[str, Any]:
    chunk = min(CHUNK_PX, side_px)
    options: dict[str, Any] = {"chunks": (1, chunk, chunk), "compressors": [_codec()]}
    return {**options, "shards": (1, side_px, side_px)} if way.sharded else options


def _codec() -> Any:
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=2)


@functools.cache
def _shape(file: str) -> tuple[tuple[int, int], np.dtype[Any]]:
    plane = read(file)
    return plane.shape, plane.dtype


def ngio_field(files: Sequence[str], target: str, way: Way) -> None:
    """ngio's writer of a field, from one array in memory, as it wants it."""
    import dask
    import ngio

    image = np.stack([read(file) for file in files])
    side_px = image.shape[-1]
    with dask.config.set(scheduler="threads" if way.spread == "dask" else "synchronous", num_workers=cores()):
        ngio.create_ome_zarr_from_array(
            target,
            image,
            pixelsize=0.65,
            levels=level_count(side_px),
            axes_names="cyx",
            chunks=(1, min(CHUNK_PX, side_px), min(CHUNK_PX, side_px)),
            shards=(1, side_px, side_px) if way.sharded else None,
            compressors=_codec(),
            ngff_version="0.5",
            consolidation_mode=way.pyramid,
        )


FieldWriter = Callable[[Sequence[str], str, Way], None]


def write_fields(
    writer: FieldWriter, way: Way, executor: Executor | None, fields: Sequence[Sequence[str]], target: Path
) -> None:
    """All fields by a peer, `executor` sharing them out; without one, one after the other."""
    target.mkdir()
    targets = [str(target / str(number)) for number in range(len(fields))]
    with blosc_threads(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        list((executor.map if executor else map)(writer, fields, targets, [way] * len(fields)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
