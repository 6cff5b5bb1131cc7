"""Planes of image files: one door to the file formats, chosen by extension."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hts.acquire import tiff
from hts.acquire.descriptions import Header
from hts.acquire.opened import ANYTHING, Expected
from hts.acquire.table import Plane
from hts.locations import Location


class ImageFormat(Protocol):
    """A module that knows a file format; ``index`` is None where a file should have one plane only.

    ``pixels`` refuses a plane whose header is not ``expected`` before it makes room for its pixels.
    """

    def header(self, path: Location, index: int | None = None) -> Header: ...

    def pixels(self, path: Location, index: int | None = None, expected: Expected = ANYTHING) -> NDArray[Any]: ...


def read_plane(plane: Plane, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Pixels of a plane, (Y, X) of ``shape`` and ``dtype`` in native byte order, a new array.

    Raises
    ------
    SourceError
        in one line with file and reason, when the file is missing, empty, truncated, damaged, not permitted, not one
        plane of this shape and dtype, or holds several planes of which none was chosen.
    StoreError
        when it lies in a store that cannot be reached.
    """
    return read_pixels(plane.path, plane.index, Expected(shape, dtype))


def read_pixels(path: Location, index: int | None = None, expected: Expected = ANYTHING) -> NDArray[Any]:
    """Pixels (Y, X) of any shape and dtype, or of those that are expected; errors as :func:`read_plane`."""
    return _format_of(path).pixels(path, index, expected)


def read_header(path: Location, index: int | None = None) -> Header:
    """Shape, dtype and description of a plane, without its pixels.

    Raises
    ------
    SourceError
        as :func:`read_plane` does, except for damage that only reading the pixels shows.
    """
    return _format_of(path).header(path, index)


def _format_of(path: Location) -> ImageFormat:
    suffix = path.suffix.lower()
    if suffix == ".nd2":
        from hts.acquire import nd2_file

        return cast(ImageFormat, nd2_file)
    if suffix == ".czi":
        from hts.acquire import czi_file

        return cast(ImageFormat, czi_file)
    return cast(ImageFormat, tiff)
