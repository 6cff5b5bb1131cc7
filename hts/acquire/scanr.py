"""Olympus (Evident) ScanR.

Layout: ``data/<well or nothing>--W00014--P00001--Z00000--T00000--<channel>.tif``, with ``metadata.ome.xml`` beside the
images or ``experiment_descriptor.xml`` above them: see :mod:`hts.acquire.scanr_metadata`. ``W`` counts the plate's
wells row by row from 1, P fields from 1, Z and T from 0. Which well a number is, is told by, in this order: the names
themselves, the metadata's list, the rows and columns of the plate, the numbers and names of other wells; else
the smallest standard plate that holds the largest number is assumed, and a note says so.

ScanR stores 12 to 15 bits with 32,768 added: build_source finds that. One real image and one real ``metadata.ome.xml``
were at hand; whole plates are those that hts synth writes in this layout.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hts.acquire.build import (
    PlateFacts,
    Sighting,
    Stage,
    absent,
    build_source,
    header_pixel_size,
    left_out_note,
)
from hts.acquire.indexed import with_z_step
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import base_name, is_on_a_plate, natural, points_outside, read_xml, well_of
from hts.acquire.scanr_metadata import Facts, descriptor_facts, ome_facts
from hts.acquire.table import Acquisition, Source
from hts.errors import SourceError
from hts.locations import Location
from hts.model import PLATE_FORMATS, Channel, WellId

_NAME = re.compile(
    r"(?:(?P<prefix>.*?)--)?W(?P<number>\d{1,6})--P(?P<field>\d{1,6})--Z(?P<z>\d{1,6})--T(?P<t>\d{1,6})"
    r"(?:--(?P<channel>.+))?\.tiff?",
    re.IGNORECASE,
)
_OME = "metadata.ome.xml"
_DESCRIPTOR = "experiment_descriptor.xml"
_KEPT = (_OME, _DESCRIPTOR, "experiment_descriptor.dat", "acquisitionlog.dat")
_KEPT_UP_TO_BYTES = 64 << 20
_UNNAMED = "Channel1"


class Shot(NamedTuple):
    """What a file's name says; ``prefix`` is a well, a plate's name or empty."""

    prefix: str
    number: int
    field: int
    channel: str
    z: int
    t: int
    file: ImageFile


class ScanRReader:
    """Reads folders that a ScanR acquired."""

    name = "scanr"

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files with a name of this layout."""
        return len(_shots(listing.images)) / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no name is of this layout, or no well number is one of a plate."""
        facts, kept, metadata_notes = _metadata(listing)
        on_disk = _shots(listing.images)
        names = {base_name(shot.file.name) for shot in on_disk}
        shots = [*on_disk, *_announced(facts, names)]
        if not shots:
            raise SourceError(
                f"names such as --W00001--P00001--Z00000--T00000--DAPI.tif in {listing.root}",
                found=", ".join(listing.examples) or "no image",
            )
        wells, well_notes = place_wells(shots, facts)
        placed = [shot for shot in shots if shot.number in wells]
        if not placed:
            raise SourceError(
                f"well numbers of a plate in {listing.root}",
                found=f"{shots[0].file.name}: well number {shots[0].number}",
                fix="a manifest (CSV) can say which well every file is",
            )
        sightings, stage_notes = _turned([_sighting(shot, wells[shot.number], facts) for shot in placed])
        taken = {shot.file.name for shot in placed}
        others = [image.name for image in listing.images if image.name not in taken]
        channels = {shot.channel: facts.channels.get(shot.channel, Channel(shot.channel)) for shot in placed}
        plate_facts = PlateFacts(
            reader=self.name,
            plate_name=facts.plate or _plate_prefix(placed) or listing.root.name,
            channels=tuple(channels[name] for name in sorted(channels, key=natural)),
            pixel_size=with_z_step(facts.pixel_size or header_pixel_size([shot.file for shot in on_disk]), sightings),
            vendor_files=kept,
            notes=(
                *metadata_notes,
                *well_notes,
                *stage_notes,
                *left_out_note(others, "their names say no well of the plate as ScanR's do"),
            ),
            acquisition=facts.acquisition,
            complete=bool(facts.files) and names <= set(map(base_name, facts.files)),
            counted=True,
        )
        return build_source(listing, sightings, plate_facts)


def parse_shot(image: ImageFile) -> Shot | None:
    """What an image's name says, or None where it is of another layout."""
    match = _NAME.fullmatch(base_name(image.name))
    if match is None:
        return None
    numbers = (int(match["number"]), int(match["field"]))
    channel = (match["channel"] or _UNNAMED).strip()
    return Shot(match["prefix"] or "", *numbers, channel, int(match["z"]), int(match["t"]), image)


def _shots(images: Iterable[ImageFile]) -> list[Shot]:
    return [shot for image in images if (shot := parse_shot(image)) is not None]


def _announced(facts: Facts, on_disk: set[str]) -> list[Shot]:
    """Planes that the metadata list and the disk has not, by the names they should have."""
    shots = []
    for name in facts.files:
        base = base_name(name)
        shot = parse_shot(ImageFile(Path(base), base)) if base not in on_disk else None
        if shot is not None:
            where = "points outside the folder: it is not opened" if points_outside(name) else "is not there"
            shots.append(shot._replace(file=absent("", f"{_OME} lists {name}, which {where}")))
    return shots


def _sighting(shot: Shot, well: WellId, facts: Facts) -> Sighting:
    stage = facts.stages.get(base_name(shot.file.name), Stage())
    return Sighting(well, shot.field, shot.channel, shot.z, shot.t, shot.file, None, stage)


# --- metadata ----------------------------------------------------------------------------------------------------


def _metadata(listing: Listing) -> tuple[Facts, tuple[Location, ...], list[str]]:
    """What both files say, the OME-XML first, the files to keep and notes on those that cannot be understood."""
    notes: list[str] = []
    found = [path for path in listing.files if path.name.lower() in _KEPT and path.is_file()]
    read = []
    for path in found:
        lowered = path.name.lower()
        if lowered not in (_OME, _DESCRIPTOR):
            continue
        try:
            root = read_xml(path)
        except SourceError as error:
            notes.append(f"{error}; what it would tell is not known")
            continue
        read.append(ome_facts(root) if lowered == _OME else descriptor_facts(root))
    kept = tuple(path for path in found if path.stat().st_size <= _KEPT_UP_TO_BYTES)
    return _merged(sorted(read, key=lambda facts: not facts.files)), kept, notes


def _merged(found: Sequence[Facts]) -> Facts:
    """All facts in one; of two that differ, the first is believed."""
    merged = Facts()
    for facts in found:
        merged.plate = merged.plate or facts.plate
        if not (merged.rows and merged.columns):
            merged.rows, merged.columns = facts.rows, facts.columns
        merged.wells = facts.wells | merged.wells
        merged.channels = facts.channels | merged.channels
        merged.pixel_size = merged.pixel_size or facts.pixel_size
        merged.stages = facts.stages | merged.stages
        merged.files += facts.files
        merged.acquisition = _merged_acquisition(merged.acquisition, facts.acquisition)
    return merged


def _merged_acquisition(first: Acquisition, second: Acquisition) -> Acquisition:
    known = {name: getattr(first, name) or getattr(second, name) for name in first.__dataclass_fields__}
    return replace(first, **known)


# --- wells -------------------------------------------------------------------------------------------------------


def place_wells(shots: Sequence[Shot], facts: Facts) -> tuple[dict[int, WellId], list[str]]:
    """The well of every number that is one of the plate's, and notes on doubts."""
    numbers = {shot.number for shot in shots}
    named = _wells_in_names(shots)
    listed = {number: well for number, well in facts.wells.items() if number in numbers}
    notes = [
        f"files of well number {number} are named {named[number].name}, the metadata say {listed[number].name}: "
        "the names are followed"
        for number in sorted(named.keys() & listed.keys())
        if named[number] != listed[number]
    ]
    wells = listed | named
    columns = facts.columns if facts.rows and facts.columns else _columns(facts.wells | named)
    rows = facts.rows or 0
    lost = numbers - wells.keys()
    if lost and not columns:
        rows, columns = _smallest_plate(max(lost))
        notes.append(
            f"nothing says how many wells the plate has: {rows} × {columns} is assumed, the smallest standard plate "
            f"with {max(lost)} wells, so that W{max(lost):05d} is {_nth_well(max(lost), columns).name}"
        )
    for number in lost:
        well = _nth_well(number, columns)
        if number > 0 and is_on_a_plate(well) and (not rows or well.row < rows):
            wells[number] = well
    return wells, notes


def _wells_in_names(shots: Sequence[Shot]) -> dict[int, WellId]:
    """Wells by number where the names' prefixes are wells, one a number; else the prefix is the plate's name."""
    prefixes: dict[int, set[str]] = defaultdict(set)
    for shot in shots:
        prefixes[shot.number].add(shot.prefix)
    wells: dict[int, WellId] = {}
    for number, texts in prefixes.items():
        well = well_of(next(iter(texts))) if len(texts) == 1 else None
        if well is None:
            return {}
        wells[number] = well
    return wells if len(set(wells.values())) == len(wells) else {}


def _columns(wells: dict[int, WellId]) -> int:
    """Columns of the plate where numbers and names of wells agree on them, else 0."""
    found = {
        (number - 1 - well.column) / well.row for number, well in wells.items() if well.row and number > well.column
    }
    columns = int(next(iter(found))) if len(found) == 1 else 0
    return columns if columns > 0 and all(_nth_well(number, columns) == well for number, well in wells.items()) else 0


def _smallest_plate(number: int) -> tuple[int, int]:
    sizes = [size for size, shape in PLATE_FORMATS.items() if size >= number]
    return PLATE_FORMATS[min(sizes, default=max(PLATE_FORMATS))]


def _nth_well(number: int, columns: int) -> WellId:
    return WellId(*divmod(number - 1, max(columns, 1)))


def _plate_prefix(shots: Sequence[Shot]) -> str:
    """The plate's name where all files begin with it."""
    if _wells_in_names(shots):
        return ""
    prefix, count = Counter(shot.prefix for shot in shots).most_common(1)[0]
    return prefix if count == len(shots) else ""


# --- stage -------------------------------------------------------------------------------------------------------


def _turned(sightings: list[Sighting]) -> tuple[list[Sighting], list[str]]:
    """Positions that grow as the plate's rows and columns do.

    Stages count from either end: the one real file at hand has well B02 at (100.1, 61.8) mm. Wells in two rows tell
    the direction of y, in two columns that of x; an axis whose direction nobody can tell stays as it is.
    """
    y_sign = _direction((one.well.row, one.stage.y_um) for one in sightings)
    x_sign = _direction((one.well.column, one.stage.x_um) for one in sightings)
    turned = [name for name, sign in (("x", x_sign), ("y", y_sign)) if sign < 0]
    if not turned:
        return sightings, []
    placed = []
    for one in sightings:
        y_um, x_um = one.stage.y_um, one.stage.x_um
        if y_um is not None and x_um is not None:
            one = one._replace(stage=one.stage._replace(y_um=y_sign * y_um, x_um=x_sign * x_um))
        placed.append(one)
    return placed, [f"the stage's {' and '.join(turned)} run against the plate's: their signs are changed"]


def _direction(places: Iterable[tuple[int, float | None]]) -> int:
    """1 or -1 by whether positions in µm grow with the row or column; 1 where there is only one of them."""
    by_index: dict[int, list[float]] = defaultdict(list)
    for index, position_um in places:
        if position_um is not None:
            by_index[index].append(position_um)
    if len(by_index) < 2:
        return 1
    first, last = (by_index[index] for index in (min(by_index), max(by_index)))
    return -1 if sum(last) / len(last) < sum(first) / len(first) else 1
