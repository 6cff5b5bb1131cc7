"""Planes of Nikon's ``.nd2`` files, read by the package nd2 after a look at where each frame really is.

A frame is what the camera took in one go: all channels of one position, time and z. ``index`` counts planes: frame ×
number of channels + channel. The package gives zeros for a frame that is not in the file and the wrong bytes for one
whose place in the map of chunks is wrong; so the header of a frame's chunk is checked before its pixels are taken.

The layout of chunks (a header of magic number, length of name and length of data; a map of names at the end of the
file) is that of nd2 files since NIS-Elements 3, as the package nd2 documents it. Older files (JPEG 2000) are refused.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import nd2
import numpy as np
from numpy.typing import NDArray

from hts.acquire.descriptions import Header, ImageFacts
from hts.acquire.opened import ANYTHING, Expected, OpenFiles, reading, refused
from hts.locations import Location
from hts.model import PixelSize

BROKEN = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NameError,
    struct.error,
    zlib.error,
    RuntimeError,
    ArithmeticError,
    EOFError,
)
"""What nd2 raises on damaged bytes; an UnboundLocalError for a channel without a probe is among it (nd2 0.12)."""

KIND = "an nd2 file"
_MAGIC = 0x0ABECEDA
_HEADER = struct.Struct("<IIQ")
_PLACE = struct.Struct("<QQ")
_TAIL = struct.Struct("<32sQ")
_TAIL_NAME = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_MAP_NAME = b"ND2 FILEMAP SIGNATURE NAME 0001!"
_FRAME = b"ImageDataSeq|%d!"
_TIME_STAMP_BYTES = 8
_MAX_EDGE_PX = 100_000


@dataclass
class OpenNd2:
    """An open file: the package's view of it, and its own bytes with the places of its chunks."""

    nd2: Any
    file: IO[bytes]
    chunks: dict[bytes, int]
    size_bytes: int
    last: tuple[int, NDArray[Any]] | None = field(default=None, repr=False)

    @property
    def n_channels(self) -> int:
        return int(self.nd2.attributes.channelCount or 1)

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.nd2.attributes.heightPx), int(self.nd2.attributes.widthPx or 0)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.nd2.dtype).newbyteorder("=")

    def has_frame(self, frame: int) -> bool:
        return _FRAME % frame in self.chunks

    def close(self) -> None:
        self.nd2.close()
        self.file.close()


def pixels(path: Location, index: int | None = None, expected: Expected = ANYTHING) -> NDArray[Any]:
    """Pixels (Y, X) of plane ``index`` (frame × channels + channel), a new array in native byte order.

    Raises
    ------
    SourceError
        in one line with file and reason, when the file is missing, truncated, damaged or no nd2, when the frame is not
        in it or lies elsewhere than its map says, or when the plane is not one grey plane or not as expected.
    """
    with reading(path, KIND, BROKEN), FILES.use(path) as opened:
        frame, channel = _choose(path, opened, index)
        expected.check(path, opened.shape, opened.dtype)
        _check_frame(path, opened, frame)
        planes = _frame(opened, frame)
        return np.array(planes[channel], dtype=planes.dtype.newbyteorder("="), order="C")


def header(path: Location, index: int | None = None) -> Header:
    """Shape and dtype of a plane; SourceError as :func:`pixels`."""
    with reading(path, KIND, BROKEN), FILES.use(path) as opened:
        _choose(path, opened, index)
        return Header(opened.shape, opened.dtype, ImageFacts())


def pixel_size(file: Any) -> PixelSize | None:
    """Pixel size of an open ``nd2.ND2File``, None where it was never calibrated; z where there is a stack."""
    volume = file.metadata.channels[0].volume
    (x_um, y_um, z_um), calibrated = volume.axesCalibration, volume.axesCalibrated
    if not all(calibrated[:2]) or min(x_um, y_um) <= 0:
        return None
    return PixelSize(float(y_um), float(x_um), float(z_um) if calibrated[2] and z_um > 0 else None)


def _open(path: Location) -> OpenNd2:
    file = cast("IO[bytes]", path.open("rb"))
    try:
        size_bytes = file.seek(0, 2)
        chunks = _chunk_places(path, file, size_bytes)
        # A path is mapped into memory by the package; elsewhere it reads the open file, which only this thread has.
        return OpenNd2(nd2.ND2File(path if isinstance(path, Path) else file), file, chunks, size_bytes)
    except BaseException:
        file.close()
        raise


FILES = OpenFiles(_open, OpenNd2.close)
"""Files that this thread has open."""


def _chunk_places(path: Location, file: IO[bytes], size_bytes: int) -> dict[bytes, int]:
    """Offset of every chunk by name, from the map at the end of the file."""
    file.seek(0)
    if _HEADER.unpack(file.read(_HEADER.size))[0] != _MAGIC:
        raise refused(path, "is no nd2 file of NIS-Elements 3 or later: save it again with a newer NIS-Elements")
    file.seek(size_bytes - _TAIL.size)
    name, place = _TAIL.unpack(file.read(_TAIL.size))
    if name != _TAIL_NAME:
        raise refused(path, "is truncated: the map of its frames, at the end, is lost; copy it again")
    raw = _chunk(path, file, place, _MAP_NAME)
    places: dict[bytes, int] = {}
    start = 0
    while (end := raw.index(b"!", start) + 1) and raw[start:end] != _TAIL_NAME:
        places[raw[start:end]], _ = _PLACE.unpack_from(raw, end)
        start = end + _PLACE.size
    return places


def _chunk(path: Location, file: IO[bytes], place: int, name: bytes) -> bytes:
    file.seek(place)
    magic, n_name, n_data = _HEADER.unpack(file.read(_HEADER.size))
    if magic != _MAGIC or not file.read(n_name).startswith(name):
        raise refused(path, f"is damaged: {name.decode()} is not where it should be")
    return file.read(n_data)


def check_kind(path: Location, opened: OpenNd2) -> None:
    """Raise SourceError for colour images, lossy compression and sizes that no camera has."""
    attributes = opened.nd2.attributes
    if attributes.componentCount != opened.n_channels:
        raise refused(path, f"is a colour image ({attributes.componentCount} components), grey planes are expected")
    if attributes.compressionType == "lossy":
        raise refused(path, "is compressed with loss (JPEG), which cannot be read exactly")
    if not 0 < min(opened.shape) <= max(opened.shape) <= _MAX_EDGE_PX:
        raise refused(path, f"has shape {opened.shape}, one plane (Y, X) is expected")


def _choose(path: Location, opened: OpenNd2, index: int | None) -> tuple[int, int]:
    check_kind(path, opened)
    n_planes = max(int(opened.nd2.attributes.sequenceCount), 1) * opened.n_channels
    if index is None and n_planes != 1:
        raise refused(path, f"holds {n_planes} planes, one is expected")
    return divmod(index or 0, opened.n_channels)


def _check_frame(path: Location, opened: OpenNd2, frame: int) -> None:
    """The chunk of a frame must be where the map says, whole, and as large as its pixels."""
    name = _FRAME % frame
    place = opened.chunks.get(name)
    if place is None:
        raise refused(path, f"has no frame {frame}: the acquisition ended early, or the file is damaged")
    opened.file.seek(place)
    magic, n_name, n_data = _HEADER.unpack(opened.file.read(_HEADER.size))
    if magic != _MAGIC or not opened.file.read(n_name).startswith(name):
        raise refused(path, f"is damaged: frame {frame} is not where its map of frames says")
    if place + _HEADER.size + n_name + n_data > opened.size_bytes:
        raise refused(path, f"is truncated in frame {frame}; copy it again")
    attributes = opened.nd2.attributes
    if attributes.compressionType is None and n_data < _TIME_STAMP_BYTES + attributes.heightPx * attributes.widthBytes:
        raise refused(path, f"is damaged: frame {frame} holds {n_data:,} bytes, fewer than its pixels need")


def _frame(opened: OpenNd2, frame: int) -> NDArray[Any]:
    """Planes (channel, Y, X) of a frame: a view of the file, or decompressed once for all of its channels."""
    if opened.last is not None and opened.last[0] == frame:
        return opened.last[1]
    planes = np.asarray(opened.nd2.read_frame(frame)).reshape((opened.n_channels, *opened.shape))
    if opened.nd2.attributes.compressionType is not None:
        opened.last = frame, planes
    return planes
