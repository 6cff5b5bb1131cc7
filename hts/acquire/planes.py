"""Planes of image files: one door to the file formats, chosen by extension."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hts.acquire import tiff
from hts.acquire.descriptions import Header
from hts.acquire.table import Plane
from hts.errors import SourceError
from hts.locations import Location


class ImageFormat(Protocol):
    """A module that knows a file format; ``index`` is None where a file should have one plane only."""

    def header(self, path: Location, index: int | None = None) -> Header: ...

    def pixels(self, path: Location, index: int | None = None) -> NDArray[Any]: ...


def read_plane(plane: Plane, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Pixels of a plane, (Y, X) of ``shape`` and ``dtype`` in native byte order, a new array.

    Raises
    ------
    SourceError
        in one line with file and reason, when the file is missing, empty, truncated, damaged, not permitted, not one
        plane of this shape and dtype, or holds several planes of which none was chosen.
    """
    found = _format_of(plane.path).pixels(plane.path, plane.index)
    if found.shape != tuple(shape):
        raise SourceError(f"{plane.path}: is {_size(found.shape)}, the plate's planes are {_size(shape)}")
    if found.dtype != np.dtype(dtype).newbyteorder("="):
        raise SourceError(f"{plane.path}: has pixels of type {found.dtype}, the plate's planes are {np.dtype(dtype)}")
    return found


def read_pixels(path: Location, index: int | None = None) -> NDArray[Any]:
    """Pixels (Y, X) of any shape and dtype; raises SourceError as :func:`read_plane` does."""
    return _format_of(path).pixels(path, index)


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


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
