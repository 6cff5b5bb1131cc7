"""Planes of Zeiss ``.czi`` files: tile by tile, or composed by pylibCZIrw where that is lossless.

``index`` is the number of a sub-block in the file's directory. Where the tiles of every scene fit together without
overlap or gap (a single tile always does), a plane is its whole scene, ``index`` being that of its first tile, and
pylibCZIrw composes it. Where tiles overlap or leave gaps, composing would hide pixels or invent some: every tile is a
plane of its own. A plane of one tile is decoded from its sub-block: the library looks through all sub-blocks for each
plane, 0.7 ms of 10,000 (and a remote file need not be copied to this machine).

The structure of the file (segments, directory of sub-blocks, their metadata) is that of Zeiss' specification of CZI
("ZISRAW", DS_ZISRAW-FileFormat 1.2.2); compressions: none, zstd 0 and 1, JPEG XR.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from hts.acquire.copies import LocalCopy, local_copy
from hts.acquire.descriptions import Header, ImageFacts
from hts.acquire.metadata import number
from hts.acquire.opened import ANYTHING, Expected, OpenFiles, reading, refused
from hts.errors import SourceError
from hts.locations import Location

BROKEN = (ValueError, LookupError, TypeError, struct.error, RuntimeError, ArithmeticError, EOFError)
"""What pylibCZIrw and the decoders raise on damaged bytes."""

KIND = "a CZI file"
TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("uint8"), 1: np.dtype("uint16"), 2: np.dtype("float32")}
"""Pixel types of grey planes; the others are colours."""
_NAMES = {0: "Gray8", 1: "Gray16", 2: "Gray32Float"}
_RAW, _JPEG_XR, _ZSTD0, _ZSTD1 = 0, 4, 5, 6
_DECODED = (_RAW, _JPEG_XR, _ZSTD0, _ZSTD1)
_SEGMENT = struct.Struct("<16sqq")
_FILE_PLACES = struct.Struct("<qq")
_FILE_PLACES_AT = 84
_ENTRY = struct.Struct("<2siqiiBB4si")
_DIMENSION = struct.Struct("<4siifi")
_BLOCK = struct.Struct("<iiq")
_BLOCK_HEAD_BYTES = 256
_DIRECTORY_HEAD_BYTES = 128
_XML_HEAD_BYTES = 256
_MAX_EDGE_PX = 1_000_000
_MAX_CHANNELS = 1_000
_TAG = re.compile(rb"<(AcquisitionTime|StageXPosition|StageYPosition|FocusPosition)>([^<]*)<")


class Rectangle(NamedTuple):
    """A part of the file's pixel plane."""

    x: int
    y: int
    w: int
    h: int


class Block(NamedTuple):
    """A sub-block at full size; ``scene`` is None in a file without scenes, ``others`` are axes that no plate has."""

    number: int
    scene: int | None
    c: int
    z: int
    t: int
    tile: int
    place: Rectangle
    pixel_type: int
    compression: int
    offset: int
    part: int
    n_dimensions: int
    others: str

    @property
    def plane(self) -> tuple[int | None, int, int, int]:
        """Scene, channel, z and t."""
        return self.scene, self.c, self.z, self.t


class Tags(NamedTuple):
    """What was written down when a sub-block was taken; positions in µm, the time as the file says it."""

    y_um: float | None = None
    x_um: float | None = None
    z_um: float | None = None
    acquired: str = ""


@dataclass
class OpenCzi:
    """An open file with its directory; pylibCZIrw opens it (or a copy on this machine) when it is first asked."""

    path: Location
    file: IO[bytes]
    size_bytes: int
    blocks: tuple[Block, ...]
    xml_offset: int
    copy: LocalCopy | None = None
    reader: Any = field(default=None, repr=False)
    _scene_places: dict[int | None, Rectangle] = field(default_factory=dict, repr=False)

    @cached_property
    def planes(self) -> dict[tuple[int | None, int, int, int], list[Block]]:
        """Sub-blocks of each plane, by tile."""
        planes: dict[tuple[int | None, int, int, int], list[Block]] = {}
        for block in sorted(self.blocks, key=lambda block: (block.tile, block.number)):
            if not block.others:
                planes.setdefault(block.plane, []).append(block)
        return planes

    @cached_property
    def by_number(self) -> dict[int, Block]:
        return {block.number: block for block in self.blocks}

    @cached_property
    def is_composed(self) -> bool:
        """Whether the tiles of every plane fit together without overlap or gap."""
        return all(_fit(places) for places in {tuple(tile.place for tile in tiles) for tiles in self.planes.values()})

    @cached_property
    def scenes(self) -> frozenset[int | None]:
        return frozenset(block.scene for block in self.blocks)

    def place_of(self, block: Block) -> Rectangle:
        """Where the plane of a block lies: its scene's part, or the tile's."""
        return _around(tile.place for tile in self.planes[block.plane]) if self.is_composed else block.place

    def scene_place(self, scene: int | None) -> Rectangle:
        """The part of the file's plane that a scene covers."""
        if scene not in self._scene_places:
            self._scene_places[scene] = _around(block.place for block in self.blocks if block.scene == scene)
        return self._scene_places[scene]

    def xml(self) -> str:
        """The file's own metadata."""
        self.file.seek(self.xml_offset)
        name, _, _ = _SEGMENT.unpack(self.file.read(_SEGMENT.size))
        if not name.startswith(b"ZISRAWMETADATA"):
            raise refused(self.path, "its metadata are not where they should be")
        (n_bytes,) = struct.unpack("<i", self.file.read(4))
        self.file.seek(self.xml_offset + _SEGMENT.size + _XML_HEAD_BYTES)
        return self.file.read(n_bytes).decode("utf-8", errors="replace")

    def tags(self, block: Block) -> Tags:
        """When and where a sub-block was taken, as far as it says so."""
        n_metadata, _, _ = _check_block(self, block)
        self.file.seek(block.offset + _SEGMENT.size + _block_head_bytes(block))
        found = {
            key.decode(): value.decode("utf-8", "replace") for key, value in _TAG.findall(self.file.read(n_metadata))
        }
        y_um, x_um, z_um = (number(found.get(name)) for name in ("StageYPosition", "StageXPosition", "FocusPosition"))
        return Tags(y_um, x_um, z_um, found.get("AcquisitionTime", ""))

    def library(self) -> Any:
        """pylibCZIrw's reader of this file."""
        if self.reader is None:
            from pylibCZIrw.czi import CziReader

            if not isinstance(self.path, Path):
                self.copy = local_copy(self.path)
            self.reader = CziReader(str(self.copy.path if self.copy else self.path))
        return self.reader

    def close(self) -> None:
        if self.reader is not None:
            self.reader.close()
        self.reader = self.copy = None
        self.file.close()


def pixels(path: Location, index: int | None = None, expected: Expected = ANYTHING) -> NDArray[Any]:
    """Pixels (Y, X) of the plane that sub-block ``index`` begins, a new array in native byte order.

    Raises
    ------
    SourceError
        in one line with file and reason, when the file is missing, truncated, damaged or no CZI, when a sub-block is
        not where the directory says, or when the plane is not one grey plane or not as expected.
    """
    with reading(path, KIND, BROKEN), FILES.use(path) as opened:
        block = _choose(opened, index)
        place = opened.place_of(block)
        expected.check(path, (place.h, place.w), TYPES[block.pixel_type])
        if opened.is_composed and (len(opened.planes[block.plane]) > 1 or block.compression not in _DECODED):
            return _compose(opened, block)
        return _decode(opened, block)


def header(path: Location, index: int | None = None) -> Header:
    """Shape and dtype of a plane; SourceError as :func:`pixels`."""
    with reading(path, KIND, BROKEN), FILES.use(path) as opened:
        block = _choose(opened, index)
        place = opened.place_of(block)
        return Header((place.h, place.w), TYPES[block.pixel_type], ImageFacts())


def check_kind(path: Location, block: Block) -> None:
    """Raise SourceError for colours, files in several parts, and sizes and channels that no file has."""
    if block.pixel_type not in TYPES:
        raise refused(path, "is a colour image, grey planes are expected")
    if block.part:
        raise refused(path, "is one of several files of a CZI in parts: join them in ZEN")
    if not 0 < min(block.place[2:]) <= max(block.place[2:]) <= _MAX_EDGE_PX:
        raise refused(path, f"has a plane of {block.place.h} × {block.place.w} pixels: its directory is damaged")
    if not 0 <= block.c < _MAX_CHANNELS:
        raise refused(path, f"has an image of channel {block.c}: its directory is damaged")


def _open(path: Location) -> OpenCzi:
    file = cast("IO[bytes]", path.open("rb"))
    try:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        head = file.read(_FILE_PLACES_AT + _FILE_PLACES.size)
        if not head.startswith(b"ZISRAWFILE"):
            raise refused(path, "is no CZI file, or its beginning is damaged")
        directory, metadata = _FILE_PLACES.unpack_from(head, _FILE_PLACES_AT)
        return OpenCzi(path, file, size_bytes, _directory(path, file, directory), metadata)
    except BaseException:
        file.close()
        raise


FILES = OpenFiles(_open, OpenCzi.close)
"""Files that this thread has open."""


def _directory(path: Location, file: IO[bytes], offset: int) -> tuple[Block, ...]:
    file.seek(offset)
    head = file.read(_SEGMENT.size + _DIRECTORY_HEAD_BYTES)
    if not head.startswith(b"ZISRAWDIRECTORY"):
        raise refused(path, "is truncated or damaged: the directory of its images is not there; copy it again")
    _, allocated, _ = _SEGMENT.unpack_from(head)
    (count,) = struct.unpack_from("<i", head, _SEGMENT.size)
    return tuple(_entries(file.read(max(allocated - _DIRECTORY_HEAD_BYTES, 0)), count))


def _entries(raw: bytes, count: int) -> Iterator[Block]:
    """Entries of the directory, without those of the pyramid: they are smaller on disk than they say."""
    start = 0
    for place in range(count):
        _, pixel_type, offset, part, compression, _, _, _, n_dimensions = _ENTRY.unpack_from(raw, start)
        start += _ENTRY.size
        sizes = {}
        for _ in range(n_dimensions):
            name, first, size, _, stored = _DIMENSION.unpack_from(raw, start)
            sizes[name.rstrip(b"\0").decode("ascii", "replace")] = (first, size, stored)
            start += _DIMENSION.size
        (x, w, w_stored), (y, h, h_stored) = sizes["X"], sizes["Y"]
        if w_stored not in (0, w) or h_stored not in (0, h):
            continue
        c, z, t, tile = (sizes.get(name, (0, 1, 1))[0] for name in ("C", "Z", "T", "M"))
        others = " ".join(f"{name}{sizes[name][0]}" for name in sorted(set(sizes) - set("XYCZTMS")) if sizes[name][0])
        scene = sizes["S"][0] if "S" in sizes else None
        at = Rectangle(x, y, w, h)
        yield Block(place, scene, c, z, t, tile, at, pixel_type, compression, offset, part, n_dimensions, others)


def _choose(opened: OpenCzi, index: int | None) -> Block:
    if index is None:
        n_planes = len(opened.planes) if opened.is_composed else len(opened.blocks)
        if n_planes != 1:
            raise refused(opened.path, f"holds {n_planes} planes, one is expected")
        index = opened.blocks[0].number
    block = opened.by_number.get(index)
    if block is None:
        raise refused(opened.path, f"has no image {index} in its directory")
    check_kind(opened.path, block)
    return block


def _around(places: Iterable[Rectangle]) -> Rectangle:
    every = list(places)
    x, y = min(place.x for place in every), min(place.y for place in every)
    right, bottom = max(place.x + place.w for place in every), max(place.y + place.h for place in every)
    return Rectangle(x, y, right - x, bottom - y)


def _fit(places: Sequence[Rectangle]) -> bool:
    """Whether tiles cover the rectangle around them once: their areas add up to it, and no two overlap."""
    around = _around(places)
    if sum(place.w * place.h for place in places) != around.w * around.h:
        return False
    corners = product({place.x for place in places}, {place.y for place in places})
    return all(sum(_holds(place, x, y) for place in places) == 1 for x, y in corners)


def _holds(place: Rectangle, x: int, y: int) -> bool:
    return place.x <= x < place.x + place.w and place.y <= y < place.y + place.h


def _compose(opened: OpenCzi, block: Block) -> NDArray[Any]:
    tiles = opened.planes[block.plane]
    for tile in tiles:
        _check_block(opened, tile)
    at = {"C": block.c, "Z": block.z, "T": block.t}
    place = tuple(_around(tile.place for tile in tiles))
    found = opened.library().read(roi=place, plane=at, scene=block.scene, pixel_type=_NAMES[block.pixel_type])
    return np.array(found[..., 0], dtype=TYPES[block.pixel_type], order="C")


def _block_head_bytes(block: Block) -> int:
    return max(_BLOCK_HEAD_BYTES, _BLOCK.size + _ENTRY.size + _DIMENSION.size * block.n_dimensions)


def _check_block(opened: OpenCzi, block: Block) -> tuple[int, int, int]:
    """Bytes of a sub-block's metadata, attachment and pixels; SourceError where it is not what the directory says."""
    opened.file.seek(block.offset)
    head = opened.file.read(_SEGMENT.size + _BLOCK.size)
    if len(head) < _SEGMENT.size + _BLOCK.size:
        raise refused(opened.path, f"is truncated before image {block.number}; copy it again")
    if not head.startswith(b"ZISRAWSUBBLOCK"):
        raise refused(opened.path, f"is damaged: image {block.number} is not where its directory says")
    n_metadata, n_attachment, n_data = _BLOCK.unpack_from(head, _SEGMENT.size)
    if min(n_metadata, n_attachment, n_data) < 0:
        raise refused(opened.path, f"is damaged: image {block.number} has a size below zero")
    if block.offset + _SEGMENT.size + _block_head_bytes(block) + n_metadata + n_data > opened.size_bytes:
        raise refused(opened.path, f"is truncated in image {block.number}; copy it again")
    if block.compression == _RAW and n_data < _plane_bytes(block):
        raise refused(opened.path, f"is damaged: image {block.number} holds fewer bytes than its pixels need")
    return n_metadata, n_attachment, n_data


def _plane_bytes(block: Block) -> int:
    return block.place.w * block.place.h * TYPES[block.pixel_type].itemsize


def _decode(opened: OpenCzi, block: Block) -> NDArray[Any]:
    n_metadata, _, n_data = _check_block(opened, block)
    opened.file.seek(block.offset + _SEGMENT.size + _block_head_bytes(block) + n_metadata)
    raw = opened.file.read(n_data)
    shape, dtype = (block.place.h, block.place.w), TYPES[block.pixel_type]
    if block.compression == _JPEG_XR:
        from imagecodecs import jpegxr_decode

        image = np.asarray(jpegxr_decode(raw))
    else:
        image = np.frombuffer(_uncompressed(opened, block, raw), dtype.newbyteorder("<"), shape[0] * shape[1])
        image = image.reshape(shape)
    if image.shape != shape or image.dtype.newbyteorder("=") != dtype:
        raise refused(opened.path, f"is damaged: image {block.number} decodes to {image.shape} {image.dtype}")
    return np.array(image, dtype=dtype, order="C")


def _uncompressed(opened: OpenCzi, block: Block, raw: bytes) -> bytes:
    if block.compression == _RAW:
        return raw
    if block.compression not in (_ZSTD0, _ZSTD1):
        raise refused(opened.path, f"has tiles of compression {block.compression}, which cannot be read one by one")
    from imagecodecs import zstd_decode

    # zstd 1 begins with the length of its head; a chunk of type 1 in it says whether the bytes of pixels were split.
    n_head = raw[0] if block.compression == _ZSTD1 else 0
    decoded = bytes(zstd_decode(raw[n_head:]))
    if n_head == 3 and raw[1] == 1 and raw[2] & 1:
        halves = np.frombuffer(decoded, "u1").reshape(2, -1)
        return np.ascontiguousarray(halves.T).tobytes()
    return decoded


def block_tags(opened: OpenCzi, block: Block) -> Tags:
    """Tags of a sub-block; empty where it is damaged, which its pixels will say."""
    tags = Tags()
    with suppress(SourceError):
        tags = opened.tags(block)
    return tags
