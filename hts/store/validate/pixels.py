"""Decoding every chunk of an array, one file at a time, from any storage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from hts.errors import StoreError
from hts.locations import Location
from hts.store.validate.documents import ArrayFacts, open_array
from hts.store.validate.findings import Check, Finding, placed
from hts.store.validate.places import read

_MOST_FILES = 10_000_000
_CANNOT_DECODE = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, EOFError, MemoryError)


def decode(
    place: Location, path: str, facts: ArrayFacts, lost: frozenset[tuple[int, ...]] | None
) -> tuple[int, list[Finding]]:
    """Read and decode all chunk files of the array at `place`; gives their number and what is wrong.

    Memory is one file and one chunk. A file that is not there means the fill value, as Zarr says, unless `lost` is
    given: then the plane at its leading indices must be there, except those in `lost`.
    """
    layout = open_array(facts.document, facts.format, {})
    grid = layout.shards or layout.chunks
    counts = [-(-size // edge) for size, edge in zip(facts.shape, grid, strict=True)]
    if math.prod(counts) > _MOST_FILES:
        check = Check("array")
        text = f"At most {_MOST_FILES} chunk files are expected, found {math.prod(counts)} announced."
        check.error("files", "", f"{text} No file system serves them: the shape or the chunks are wrong. Not decoded.")
        return 0, placed(check.findings, path)
    decoded, findings = 0, []
    for index in itertools.product(*map(range, counts)):
        key = str(layout.metadata.encode_chunk_key(index))
        check = Check("chunk")
        decoded += _decode_file(place, key, facts, (index, grid), check)
        if not check.findings:
            continue
        absent = check.findings[0].rule == "chunk.absent"
        if not absent or (lost is not None and index[:-2] not in lost):
            findings += placed(check.findings, f"{path}/{key}")
    if decoded == 0 and not findings and lost is None:
        check = Check("array")
        text = "Pixels are expected, found no chunk file at all: every pixel is the fill value."
        check.warning("empty", "", f"{text} Either the image is blank or its chunks were not copied.")
        findings += placed(check.findings, path)
    return decoded, findings


def _decode_file(
    place: Location,
    key: str,
    facts: ArrayFacts,
    part: tuple[tuple[int, ...], tuple[int, ...]],
    check: Check,
) -> bool:
    """Whether the file is there and all chunks in it decode."""
    try:
        content = read(place / key)
    except StoreError as error:
        check.error("unreadable", "", " ".join(str(error).split()))
        return False
    if content is None:
        text = "A plane that was acquired is expected, found no file. It was deleted or not copied; it reads as black."
        check.error("absent", "", text)
        return False
    if not content:
        check.error("empty", "", "Pixels are expected, found an empty file. Copy it again, or convert the plate again.")
        return False
    try:
        array = open_array(facts.document, facts.format, {key: content})
        for region in _regions(array, *part):
            _ = array[region]
    except _CANNOT_DECODE as error:
        text = f"Pixels are expected, found a damaged file ({type(error).__name__}: {error})."
        check.error("damaged", "", f"{text} Copy it again, or convert the plate again.")
        return False
    return True


def _regions(array: Any, index: tuple[int, ...], grid: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """The chunks inside one file, cut at the end of the array."""
    starts = [place * edge for place, edge in zip(index, grid, strict=True)]
    stops = [min(start + edge, size) for start, edge, size in zip(starts, grid, array.shape, strict=True)]
    steps = [range(a, b, chunk) for a, b, chunk in zip(starts, stops, array.chunks, strict=True)]
    for corner in itertools.product(*steps):
        yield tuple(slice(a, min(a + chunk, stop)) for a, chunk, stop in zip(corner, array.chunks, stops, strict=True))
