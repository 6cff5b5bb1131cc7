"""Zeiss ZEN: plates in ``.czi`` files, one of a whole plate, or one a well or scene.

A scene lies in a well: its metadata name the shape of the carrier that it was taken in (``Shape``, with row and
column), or the array's name; a scene named ``P1`` is a position, not well P1. Several scenes of a well are fields, by
the number of their position, else in the order of scenes. Where tiles of a scene overlap, each tile is a field (see
:mod:`hts.acquire.czi_file`). A file without wells in its scenes is placed by its name (``WellD6_S1.czi``); when it has
no well either, the reader must be forced (``--reader zeiss``) and puts its scenes into well A01, saying so.

Stage positions and times are those of the sub-blocks, else those of the scene's centre and the time series. ZEN's stage
y grows downwards, as rows of the plate and of the image do.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hts.acquire.build import Stage, absent
from hts.acquire.containers import Container, Contents, Inside, build_containers
from hts.acquire.listing import Listing
from hts.acquire.metadata import is_on_a_plate, iso_time, later, local_name, number, parse_xml, positive
from hts.acquire.names import read_name
from hts.acquire.opened import reading
from hts.acquire.table import Acquisition, Source
from hts.errors import SourceError
from hts.locations import Location
from hts.model import Channel, PixelSize, WellId

SUFFIX = ".czi"
FORCED_WELL = WellId(0, 0)
_TAGS_UP_TO_BLOCKS = 50_000
_NS_IN_MS = 1e6
_METRES_IN_UM = 1e6


class ZeissReader:
    """Reads folders of ``.czi`` files, or one of them."""

    name = "zeiss"

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files that are CZI files."""
        return len(listing.with_suffix(SUFFIX)) / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no file can be read, or neither scenes nor files say a well."""
        return self._read(listing, None)

    def read_forced(self, listing: Listing) -> Source:
        """As :meth:`read`; a lone file without a well becomes a plate of the well A01."""
        return self._read(listing, FORCED_WELL)

    def _read(self, listing: Listing, forced: WellId | None) -> Source:
        images = listing.with_suffix(SUFFIX)
        if not images:
            raise SourceError(f".czi files in {listing.root}", found=", ".join(listing.examples) or "no image")
        return build_containers(listing, images, Container(self.name, describe, forced))


class _Scene(NamedTuple):
    """A scene as the metadata tell of it; the centre is that of the stage, x and y in µm."""

    well: WellId | None = None
    field: int | None = None
    centre_um: tuple[float, float] | None = None


class _Xml:
    """The file's own metadata; empty where they cannot be understood."""

    def __init__(self, root: ElementTree.Element) -> None:
        self._root = root

    def find(self, *path: str) -> ElementTree.Element | None:
        """The first element at a path of local names below ``Metadata``."""
        return next(self.all(*path), None)

    def all(self, *path: str) -> Iterator[ElementTree.Element]:
        nodes = list(self._root.iter("Metadata"))[:1]
        for name in path:
            nodes = [child for node in nodes for child in node if local_name(child) == name]
        yield from nodes

    def text(self, *path: str) -> str:
        node = self.find(*path)
        return (node.text or "").strip() if node is not None else ""


_IMAGE = ("Information", "Image")
_DIMENSIONS = (*_IMAGE, "Dimensions")


def describe(path: Location) -> Contents:
    """What a CZI file says of its planes; SourceError when it cannot be read."""
    from hts.acquire import czi_file

    with reading(path, czi_file.KIND, czi_file.BROKEN), czi_file.FILES.use(path) as opened:
        if not opened.planes:
            raise SourceError(f"{path}: holds no image")
        for block in opened.blocks:
            czi_file.check_kind(path, block)
        xml, notes = _metadata(opened)
        size = pixel_size(xml)
        channels = tuple(_channels(xml, 1 + max(block.c for block in opened.blocks)))
        planes = tuple(_planes(opened, _Places(_scenes(xml), size, _times(xml))))
        axes = sorted({block.others for block in opened.blocks if block.others})
        if axes:
            notes.append(f"{path.name}: images at {', '.join(axes)} of axes that no plate has are left out")
        return Contents(planes, channels, size, _acquisition(xml), notes=tuple(notes))


def _metadata(opened: Any) -> tuple[_Xml, list[str]]:
    try:
        return _Xml(parse_xml(opened.xml())), []
    except SourceError as error:
        return _Xml(ElementTree.Element("nothing")), [f"{opened.path.name}: its metadata cannot be used ({error})"]


class _Places(NamedTuple):
    """What says where and when a plane was taken."""

    scenes: dict[int, _Scene]
    size: PixelSize | None
    times: _Times


def _planes(opened: Any, places: _Places) -> Iterator[Inside]:
    """Every plane of every scene that the file has anywhere; those that it lacks are absent."""
    blocks = [block for block in opened.blocks if not block.others]
    fields = _fields(opened, places.scenes)
    seen = sorted({(block.t, block.c, block.z) for block in blocks})
    found = {
        (block.scene, 0 if opened.is_composed else block.tile, block.t, block.c, block.z): block
        for block in sorted(blocks, key=lambda block: -block.tile)
    }
    tagged = isinstance(opened.path, Path) and len(blocks) <= _TAGS_UP_TO_BLOCKS
    for ((scene, tile), (well, field)), (t, c, z) in product(fields.items(), seen):
        block = found.get((scene, tile, t, c, z))
        if block is None:
            lost = absent(
                opened.path.name, f"{opened.path.name} has no image at channel {c}, z {z}, t {t} of its scene"
            )
            yield Inside(None, c, z, t, well, field, file=lost)
            continue
        stage = _stage(opened, block, places, tagged)
        yield Inside(block.number, c, z, t, well, field, stage)


def _fields(opened: Any, scenes: dict[int, _Scene]) -> dict[tuple[int | None, int], tuple[WellId | None, int | None]]:
    """Well and field of every scene, or of every tile: by the number of the position, else counted up in the well."""
    tiles = _tiles(opened, scenes)
    told = {scene: _told(scenes, scene, len(tiles)) for scene in tiles}
    in_well = Counter(told[scene].well for scene in tiles for _ in tiles[scene])
    numbers = {(scene.well, scene.field) for scene in told.values()}
    numbered = len(numbers) == len(tiles) and all(len(parts) == 1 for parts in tiles.values())
    counted: Counter[WellId | None] = Counter()
    fields: dict[tuple[int | None, int], tuple[WellId | None, int | None]] = {}
    for scene, parts in tiles.items():
        well, field = told[scene].well, told[scene].field
        for tile in parts:
            counted[well] += 1
            running = counted[well] if in_well[well] > 1 else None
            fields[scene, tile] = well, field if numbered and field is not None else running
    return fields


def _tiles(opened: Any, scenes: dict[int, _Scene]) -> dict[int | None, list[int]]:
    """Scenes with the numbers of their tiles, 0 for a scene that is composed; announced ones without pixels too."""
    tiles: dict[int | None, set[int]] = {}
    for block in opened.blocks:
        if not block.others:
            tiles.setdefault(block.scene, set()).add(0 if opened.is_composed else block.tile)
    # A part of a plate that was saved as a file of its own may number its scene anew.
    if None not in tiles and not (len(tiles) == len(scenes) == 1):
        for announced in scenes:
            tiles.setdefault(announced, {0})
    return {scene: sorted(tiles[scene]) for scene in sorted(tiles, key=lambda one: -1 if one is None else one)}


def _told(scenes: dict[int, _Scene], scene: int | None, count: int) -> _Scene:
    if len(scenes) == count == 1:
        return next(iter(scenes.values()))
    return scenes.get(scene or 0, _Scene())


def _stage(opened: Any, block: Any, places: _Places, tagged: bool) -> Stage:
    from hts.acquire.czi_file import block_tags

    tags = block_tags(opened, block) if tagged else None
    acquired = (iso_time(tags.acquired) if tags else "") or places.times.of(block.t)
    lone = not opened.is_composed or len(opened.planes[block.plane]) == 1
    if tags is not None and lone and tags.x_um is not None and tags.y_um is not None:
        return Stage(tags.y_um, tags.x_um, tags.z_um, acquired)
    centre = _told(places.scenes, block.scene, len(opened.scenes)).centre_um
    if centre is None or places.size is None:
        return Stage(acquired=acquired)
    whole = opened.scene_place(block.scene)
    part = opened.place_of(block)
    x_um = centre[0] + (part.x + part.w / 2 - whole.x - whole.w / 2) * places.size.x_um
    y_um = centre[1] + (part.y + part.h / 2 - whole.y - whole.h / 2) * places.size.y_um
    return Stage(round(y_um, 4), round(x_um, 4), None, acquired)


def _scenes(xml: _Xml) -> dict[int, _Scene]:
    scenes: dict[int, _Scene] = {}
    for node in xml.all(*_DIMENSIONS, "S", "Scenes", "Scene"):
        parts = {local_name(child): child for child in node}
        name, array = node.get("Name", ""), _text(parts.get("ArrayName"))
        index = number(node.get("Index"))
        well = _shape_well(parts.get("Shape")) or read_name(array).well
        inside = read_name(name)
        # Where shape or array give the well, P2 is the second position in it; else B3-2 may be well and position.
        field = _position(name) if well is not None and inside.well != well else inside.field
        x_um, _, y_um = _text(parts.get("CenterPosition")).partition(",")
        centre = (number(x_um), number(y_um))
        if index is not None:
            known = (centre[0], centre[1]) if centre[0] is not None and centre[1] is not None else None
            scenes[int(index)] = _Scene(well or inside.well, field, known)
    return scenes


def _shape_well(shape: ElementTree.Element | None) -> WellId | None:
    """The well of a carrier's shape: by its numbers, from 1, else by its name."""
    if shape is None:
        return None
    parts = {local_name(child): child for child in shape}
    row, column = (positive(_text(parts.get(name))) for name in ("RowIndex", "ColumnIndex"))
    if row is not None and column is not None:
        well = WellId(int(row) - 1, int(column) - 1)
        return well if is_on_a_plate(well) else None
    return read_name(shape.get("Name", "")).well


def _position(name: str) -> int | None:
    digits = name.lstrip("Pp")
    return int(digits) if digits.isdecimal() and len(name) - len(digits) <= 1 else None


def _text(node: ElementTree.Element | None) -> str:
    return (node.text or "").strip() if node is not None else ""


class _Times(NamedTuple):
    """Start of the time series, and s after it of each time point."""

    start: str = ""
    offsets_s: tuple[float, ...] = ()

    def of(self, t: int) -> str:
        if not self.start or (t and t >= len(self.offsets_s)):
            return ""
        return later(self.start, self.offsets_s[t] if self.offsets_s else 0.0)

    @property
    def step_s(self) -> float | None:
        return positive(str(self.offsets_s[1] - self.offsets_s[0])) if len(self.offsets_s) > 1 else None


def _times(xml: _Xml) -> _Times:
    start = iso_time(xml.text(*_DIMENSIONS, "T", "StartTime")) or iso_time(xml.text(*_IMAGE, "AcquisitionDateAndTime"))
    texts = xml.text(*_DIMENSIONS, "T", "Positions", "List", "Offsets").split()
    offsets = [number(text) for text in texts]
    known = tuple(value for value in offsets if value is not None)
    return _Times(start, known if len(known) == len(offsets) else ())


def pixel_size(xml: _Xml) -> PixelSize | None:
    """Pixel size from the scaling, which is in metres; zero and absent are unknown."""
    sizes = {
        node.get("Id", ""): positive(_text(next((child for child in node if local_name(child) == "Value"), None)))
        for node in xml.all("Scaling", "Items", "Distance")
    }
    y_um, x_um, z_um = (
        None if value is None else float(f"{value * _METRES_IN_UM:.12g}")
        for value in (sizes.get(axis) for axis in "YXZ")
    )
    return PixelSize(y_um, x_um, z_um) if y_um and x_um else None


def _channels(xml: _Xml, count: int) -> Iterator[Channel]:
    described = list(xml.all(*_DIMENSIONS, "Channels", "Channel"))
    shown = list(xml.all("DisplaySetting", "Channels", "Channel"))
    for place in range(count):
        node = described[place] if place < len(described) else ElementTree.Element("Channel")
        parts = {local_name(child): _text(child) for child in node}
        name = node.get("Name", "") or (shown[place].get("Name", "") if place < len(shown) else "")
        exposure = positive(parts.get("ExposureTime"))
        yield Channel(
            name,
            wavelength_nm=positive(parts.get("EmissionWavelength")),
            excitation_nm=positive(parts.get("ExcitationWavelength")),
            exposure_ms=None if exposure is None else exposure / _NS_IN_MS,
        )


def _acquisition(xml: _Xml) -> Acquisition:
    wanted = xml.find(*_IMAGE, "ObjectiveSettings", "ObjectiveRef")
    lenses = list(xml.all("Information", "Instrument", "Objectives", "Objective"))
    chosen = [lens for lens in lenses if wanted is not None and lens.get("Id") == wanted.get("Id")] or lenses[:1]
    lens = chosen[0] if chosen else ElementTree.Element("Objective")
    parts = {local_name(child): _text(child) for child in lens}
    stand = xml.find("Information", "Instrument", "Microscopes", "Microscope")
    times = _times(xml)
    return Acquisition(
        instrument=stand.get("Name", "") if stand is not None else "",
        objective=lens.get("Name", ""),
        magnification=positive(parts.get("NominalMagnification")),
        numerical_aperture=positive(parts.get("LensNA")),
        started=iso_time(xml.text(*_IMAGE, "AcquisitionDateAndTime")) or times.start,
        time_step_s=times.step_s,
    )
