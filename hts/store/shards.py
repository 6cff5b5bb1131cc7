"""Bytes of chunks and shards, made without zarr-python: its event loop takes turns where threads can work side by side.

Sources: Zarr v3 ``sharding_indexed``, ``blosc`` and ``crc32c`` codecs; Zarr v2 with the ``blosc`` compressor. What is
written here says the array's document, which zarr-python makes and reads; the tests read every kind back with it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CRC_BYTES = 4


class Compression(NamedTuple):
    """Settings of Blosc with byte shuffle."""

    cname: str
    level: int


IMAGES = Compression("zstd", 1)
LABELS = Compression("lz4", 5)


@functools.lru_cache(maxsize=4)
def _blosc(compression: Compression) -> Any:
    from numcodecs import blosc

    # Blosc's own threads share one state in a process, and write the blocks of a chunk in the order in which they
    # come: without them threads of ours work side by side, and the same pixels always give the same bytes.
    blosc.use_threads = False
    return blosc.Blosc(cname=compression.cname, clevel=compression.level, shuffle=blosc.SHUFFLE)


def crc32c(content: bytes) -> bytes:
    """The four bytes, little-endian, that the ``crc32c`` codec puts behind its content (RFC 3720)."""
    import google_crc32c

    checksum: int = google_crc32c.value(content)
    return checksum.to_bytes(CRC_BYTES, "little")


def chunks(plane: NDArray[Any], chunk: tuple[int, int]) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
    """Chunks of a plane (Y, X) with their places in the grid, row by row; those at the edge are padded with zeros."""
    rows, columns = chunk
    for y in range(0, plane.shape[0], rows):
        for x in range(0, plane.shape[1], columns):
            part = plane[y : y + rows, x : x + columns]
            if part.shape != chunk:
                padded = np.zeros(chunk, plane.dtype)
                padded[: part.shape[0], : part.shape[1]] = part
                part = padded
            yield (y // rows, x // columns), np.ascontiguousarray(part)


def encode_chunk(chunk: NDArray[Any], compression: Compression) -> bytes:
    """A contiguous chunk of little-endian numbers as Blosc bytes."""
    return bytes(_blosc(compression).encode(chunk))


def decode_chunk(content: bytes) -> bytes:
    """What :func:`encode_chunk` encoded."""
    return bytes(_blosc(LABELS).decode(content))


def encode_shard(plane: NDArray[Any], chunk: tuple[int, int], compression: Compression) -> bytes:
    """A whole plane (Y, X) as one shard: each chunk with its checksum, then the index and the checksum of that.

    Parameters
    ----------
    plane : (Y, X), little-endian; :func:`hts.store.arrays.write_plane` sees to that.
    chunk : shape of the chunks; the shard is the plane rounded up to whole chunks, and holds them all, also those
        that are zero: a file that is not there is then a lost one.
    """
    parts, places, offset = [], [], 0
    for _, piece in chunks(plane, chunk):
        content = encode_chunk(piece, compression)
        parts += [content, crc32c(content)]
        places.append((offset, len(content) + CRC_BYTES))
        offset += len(content) + CRC_BYTES
    index = np.array(places, "<u8").tobytes()
    return b"".join([*parts, index, crc32c(index)])
