"""Planes of TIFF files: the right pixels, or an error that names the file and the reason.

A TIFF reader may return zeros, or pixels of the wrong place, for a file that lost its end: in MetaXpress files the
table of strips is written last. So the header is held against the size of the file before a pixel is read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from hts.acquire.descriptions import Header, ImageFacts, imagej_pixel_size, read_description
from hts.acquire.opened import ANYTHING, Expected, OpenFiles, reading, refused
from hts.locations import Location

_BROKEN = (ValueError, LookupError, TypeError, AttributeError, struct.error, RuntimeError, ArithmeticError, EOFError)
"""What tifffile and its decoders raise on damaged bytes (TiffFileError is a ValueError)."""

_NO_PAGE = "has no page: it is truncated or no image"
_JPEG = frozenset((6, 7, 33003, 33004, 33005, 33007, 34712, 34892))
"""Compressions of JPEG and JPEG 2000: what is lost of them decodes to grey, without an error."""
_JPEG_END = b"\xff\xd9"
_PADDING_BYTES = 16
_KINDS = "buif"
_MAX_EDGE_PX = 100_000
"""No camera makes larger planes; a header that says so is damaged, and its pixels would not fit into memory."""


def pixels(path: Location, index: int | None = None, expected: Expected = ANYTHING) -> NDArray[Any]:
    """Pixels (Y, X) of a page in native byte order, a new array; without ``index`` the file must have one plane.

    Pixels of one bit are given as uint8, 0 and 1.

    Raises
    ------
    SourceError
        in one line with file and reason, when the file is missing, empty, truncated, damaged, no TIFF, not
        permitted, or not one grey plane as expected.
    """
    with _page(path, index) as (page, size_bytes):
        expected.check(path, *_plane_type(path, page))
        return _decode(path, page, size_bytes)


def header(path: Location, index: int | None = None) -> Header:
    """Shape, dtype and description of a page.

    Raises
    ------
    SourceError
        as :func:`pixels` does, except for damage that only reading the pixels shows.
    """
    with _page(path, index) as (page, _):
        shape, dtype = _plane_type(path, page)
        return Header(shape, dtype, _image_facts(page))


def description(path: Location) -> str:
    """The text in the header of a file's first page, which stays open; SourceError as :func:`header`."""
    with _page(path, 0) as (page, _):
        return str(page.description)


def is_multipage(path: Location) -> bool:
    """Whether a file has a second page; SourceError as :func:`header`."""
    with reading(path, "a TIFF file", _BROKEN), closing(_open(path)) as opened:
        return len(opened.tiff.pages) > 1


@contextmanager
def _page(path: Location, index: int | None) -> Iterator[tuple[tifffile.TiffPage, int]]:
    """The page and the size of its file in bytes; whatever goes wrong inside becomes a SourceError."""
    with reading(path, "a TIFF file", _BROKEN) as size_bytes, _opened(path, index) as tiff:
        yield _choose(path, tiff, index), size_bytes


class _OpenTiff(NamedTuple):
    """A TIFF and the file that it lies in, where that was not opened by tifffile."""

    tiff: tifffile.TiffFile
    file: IO[bytes] | None = None

    def close(self) -> None:
        self.tiff.close()
        if self.file is not None:
            self.file.close()


def _open(path: Location) -> _OpenTiff:
    if isinstance(path, Path):
        return _OpenTiff(tifffile.TiffFile(path))
    file = cast("IO[bytes]", path.open("rb"))
    try:
        return _OpenTiff(tifffile.TiffFile(file), file)
    except BaseException:
        file.close()
        raise


FILES = OpenFiles(_open, _OpenTiff.close)
"""Multi-page files that this thread has open."""


@contextmanager
def _opened(path: Location, index: int | None) -> Iterator[tifffile.TiffFile]:
    """A file of many planes stays open for the next of them: to find its last page anew is a walk over all."""
    with closing(_open(path)) if index is None else FILES.use(path) as opened:
        yield opened.tiff


def _choose(path: Location, tiff: tifffile.TiffFile, index: int | None) -> tifffile.TiffPage:
    if index is None and (n_planes := _count_planes(tiff)) != 1:
        raise refused(path, f"holds {n_planes} planes, one is expected" if n_planes else _NO_PAGE)
    try:
        page = tiff.pages[index or 0]
    except IndexError:
        raise refused(path, f"has no page {index}: it is truncated") from None
    if not isinstance(page, tifffile.TiffPage):
        page = page.aspage()
    return page


def _count_planes(tiff: tifffile.TiffFile) -> int:
    """Planes of a file at full size: ImageJ and MetaMorph stacks have more of them than pages."""
    n_pages = sum(not page.is_reduced for page in tiff.pages) if len(tiff.pages) > 1 else len(tiff.pages)
    if tiff.is_imagej:
        return max(n_pages, int((tiff.imagej_metadata or {}).get("images", 1)))
    if tiff.is_stk:
        return max(n_pages, int((tiff.stk_metadata or {}).get("NumberPlanes", 1)))
    return n_pages


def _plane_type(path: Location, page: tifffile.TiffPage) -> tuple[tuple[int, int], np.dtype[Any]]:
    if page.dtype is None:
        raise refused(path, f"has {page.bitspersample}-bit pixels of an unknown kind")
    if page.samplesperpixel != 1:
        raise refused(path, f"is a colour image ({page.samplesperpixel} samples a pixel), one grey plane is expected")
    if len(page.shape) != 2 or not 0 < min(page.shape) <= max(page.shape) <= _MAX_EDGE_PX:
        raise refused(path, f"has shape {page.shape}, one plane (Y, X) is expected")
    dtype = np.dtype(page.dtype).newbyteorder("=")
    if dtype.kind not in _KINDS:
        raise refused(path, f"has pixels of type {dtype}, whole or real numbers are expected")
    return (int(page.shape[0]), int(page.shape[1])), np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _decode(path: Location, page: tifffile.TiffPage, size_bytes: int) -> NDArray[Any]:
    _check_complete(path, page, size_bytes)
    shape, dtype = _plane_type(path, page)
    decoded = page.asarray(maxworkers=1)
    if decoded.shape != shape:
        raise refused(path, f"decodes to {decoded.shape} instead of {_pixels(shape)}: it is damaged")
    return np.ascontiguousarray(decoded, dtype=dtype)


def _check_complete(path: Location, page: tifffile.TiffPage, size_bytes: int) -> None:
    """Every strip or tile the header promises must lie inside the file."""
    offsets, counts = page.dataoffsets, page.databytecounts
    n_segments = math.prod(page.chunked)
    if len(offsets) != n_segments or len(counts) != n_segments or min(counts) <= 0 or min(offsets) <= 0:
        raise refused(path, "is truncated or damaged: its table of strips is not complete; copy it again")
    end_bytes = max(offset + count for offset, count in zip(offsets, counts, strict=True))
    if end_bytes > size_bytes:
        raise refused(path, f"is truncated: {size_bytes:,} bytes of at least {end_bytes:,}; copy it again")
    if page.compression == 1 and sum(counts) * 8 < math.prod(page.shape) * page.bitspersample:
        raise refused(path, "is damaged: its strips hold fewer bytes than its pixels need; copy it again")
    if page.compression in _JPEG:
        _check_jpeg(path, page)


def _check_jpeg(path: Location, page: tifffile.TiffPage) -> None:
    """Every strip or tile must reach the end of its JPEG stream: decoders warn only, of one that breaks off."""
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        n_bytes = min(count, _PADDING_BYTES)
        file.seek(offset + count - n_bytes)
        if not file.read(n_bytes).rstrip(b"\0").endswith(_JPEG_END):
            raise refused(path, "is truncated or damaged: a JPEG stream in it has no end; copy it again")


def _image_facts(page: tifffile.TiffPage) -> ImageFacts:
    text = page.description
    if not text.startswith("ImageJ="):
        return read_description(text)
    unit = next((line[5:] for line in text.splitlines() if line.startswith("unit=")), "")
    return ImageFacts(pixel_size=imagej_pixel_size(unit, _resolution(page, 282), _resolution(page, 283)))


def _resolution(page: tifffile.TiffPage, tag: int) -> float:
    numerator, denominator = page.tags.valueof(tag, default=(0, 1))
    return float(numerator / denominator) if denominator else 0.0


def _pixels(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} × {shape[1]}"
