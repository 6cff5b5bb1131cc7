"""Revvity (PerkinElmer) Operetta and Opera Phenix, exported by Harmony or Columbus, with and without the index.

Layout: ``Images/Index.idx.xml`` (Harmony 6 and later ``Index.xml``, of referenced images ``Index.ref.xml``, of Columbus
``ImageIndex.ColumbusIDX.xml``) beside images named ``r03c12f01p01-ch1sk1fk1fl1.tiff``: row, column, field, plane,
channel, kinetic, fast kinetic, lifetime; later versions write ``r03c12f01p01-ch01t01.tiff``. A real Harmony V5 plate
was at hand; later versions and Columbus are tested on plates made after what public readers say of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hts.acquire.axes import typical_step
from hts.acquire.build import PlateFacts, Sighting, absent, build_source, left_out_note
from hts.acquire.indexed import (
    contradiction_note,
    file_of,
    find_index,
    folder_of,
    merge,
    never_listed,
    nothing_placed,
    numbered_well,
    pixel_size,
    settle,
    time_step_s,
    unlisted_note,
)
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import head_of, iso_time
from hts.acquire.operetta_index import ChannelFacts, HarmonyIndex, ImageRecord, read_index
from hts.acquire.table import Acquisition, Source
from hts.errors import SourceError
from hts.locations import Location
from hts.model import Channel, WellId

INDEX_NAMES = ("Index.idx.xml", "Index.xml", "ImageIndex.ColumbusIDX.xml", "Index.ref.xml")
_ROOT_ELEMENT = "EvaluationInputData"
_HEAD_BYTES = 4096
_NAME = re.compile(
    r"r(\d{1,3})c(\d{1,3})f(\d{1,5})p(\d{1,5})-ch(\d{1,3})(?:sk(\d{1,6})fk(\d{1,6})fl(\d{1,3})|t(\d{1,6}))?\.tiff?",
    re.IGNORECASE,
)
_TEXT_SUFFIXES = (".xml", ".csv", ".txt")
_KEPT = re.compile(r"(?:^|/)(?:assaylayout|ffc_profile)/|\.columbusidx\.xml$|(?:^|/)index\.\w+\.xml$")
_NEVER_LISTED = "the well was selected for acquisition, the index lists no plane of it"


class Name(NamedTuple):
    """What a file's name says; ``time`` and ``burst``, the plane of a fast series within it, count from 0."""

    well: WellId
    field: int
    plane: int
    channel: int
    flim: int
    time: int
    burst: int = 0


class OperettaReader:
    """Reads folders exported by Harmony or Columbus."""

    name = "operetta"

    def sniff(self, listing: Listing) -> float:
        """1 with an index of Harmony or Columbus, else the fraction of the image files with a name of this layout."""
        if not listing.images:
            return 0.0
        if any(_is_index(path) for path in listing.files if path.name.lower() in _INDEX_NAMES):
            return 1.0
        return sum(parse_name(image.name) is not None for image in listing.images) / len(listing.images)

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when nothing can be placed, or several plates lie in one folder."""
        path = find_index(listing, INDEX_NAMES)
        index = HarmonyIndex() if path is None else read_index(path)
        channels = _Channels(index)
        folder = "" if path is None else folder_of(path, listing)
        listed, settled_notes = settle(_listed(listing, index, folder, channels))
        added, well_notes = ([], ()) if index.problem else never_listed(index.wells, listed, _NEVER_LISTED)
        taken = {one.file.name for one in listed}
        extra, others = _named([image for image in listing.images if image.name not in taken], index, channels)
        sightings = merge([*listed, *added], extra)
        if not sightings:
            raise nothing_placed(listing, "r03c12f01p01-ch1sk1fk1fl1.tiff", index.problem)
        notes = (
            *_index_notes(index),
            *settled_notes,
            *well_notes,
            *unlisted_note(listed, extra),
            *left_out_note(others, "their names are not r<row>c<column>f<field>p<plane>-ch<channel>….tiff"),
        )
        return build_source(listing, sightings, _facts(listing, path, index, channels, sightings, notes))


_INDEX_NAMES = frozenset(name.lower() for name in INDEX_NAMES)


def parse_name(path: str) -> Name | None:
    """What the name of an image says; None where it is of another layout or no plate has such a well."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None:
        return None
    row, column, *rest = match.groups()
    well = numbered_well(row, column)
    # Slow kinetics and, in later versions, t: one of the two, or neither, is there.
    field, plane, channel, slow, fast, flim, later = (int(part) if part else 1 for part in rest)
    time = slow * later
    return Name(well, field, plane, channel, flim, time - 1, fast - 1) if well and time and fast else None


class _Channels:
    """Names of the channels by number (and number of a lifetime image), each name once."""

    def __init__(self, index: HarmonyIndex) -> None:
        self._facts = index.channels
        self._names: dict[tuple[int, int], str] = {}

    def name(self, number: int, flim: int) -> str:
        """The channel's name; ``ch<n>`` where the index has none."""
        if (number, flim) not in self._names:
            given = self._facts.get(number, ChannelFacts()).name or f"ch{number}"
            name = given if flim == 1 else f"{given} fl{flim}"
            taken = self._names.values()
            self._names[number, flim] = name if name not in taken else f"{name} ch{number}"
        return self._names[number, flim]

    def channels(self) -> tuple[Channel, ...]:
        """In the order of their numbers."""
        found = []
        for (number, _), name in sorted(self._names.items()):
            facts = self._facts.get(number, ChannelFacts())
            found.append(
                Channel(
                    name,
                    wavelength_nm=facts.emission_nm,
                    excitation_nm=facts.excitation_nm,
                    exposure_ms=facts.exposure_ms,
                )
            )
        return tuple(found)

    def facts(self) -> list[ChannelFacts]:
        """What the index says of the channels that have planes, in their order."""
        return [self._facts.get(number, ChannelFacts()) for number, _ in sorted(self._names)]


def _is_index(path: Location) -> bool:
    try:
        return _ROOT_ELEMENT in head_of(path, _HEAD_BYTES)
    except SourceError:
        return False


def _listed(listing: Listing, index: HarmonyIndex, folder: str, channels: _Channels) -> list[Sighting]:
    # In the order of the numbers, so that of two channels of one name the first keeps it.
    for number, flim in sorted({(one.channel, one.flim) for one in index.images}):
        channels.name(number, flim)
    return [_sighting(one, folder, listing, channels) for one in index.images]


def _sighting(one: ImageRecord, folder: str, listing: Listing, channels: _Channels) -> Sighting:
    file = absent("", one.failure) if one.failure and not one.url else file_of(one.url, folder, listing)
    name = channels.name(one.channel, one.flim)
    return Sighting(one.well, one.field, name, one.plane, one.time, file, one.page, one.stage)


def _named(images: Iterable[ImageFile], index: HarmonyIndex, channels: _Channels) -> tuple[list[Sighting], list[str]]:
    """Files that the index does not name, by their names, and the names that say nothing."""
    names = [(image, parse_name(image.name)) for image in images]
    found = [(image, name) for image, name in names if name is not None]
    shift = _time_shift(index) if found else 0
    bursts = 1 + max((name.burst for _, name in found), default=0)
    for number, flim in sorted({(name.channel, name.flim) for _, name in found}):
        channels.name(number, flim)
    placed = []
    for image, name in found:
        channel = channels.name(name.channel, name.flim)
        t = name.time * bursts + name.burst + shift
        placed.append(Sighting(name.well, name.field, channel, name.plane, t, image))
    return placed, [image.name for image, name in names if name is None]


def _time_shift(index: HarmonyIndex) -> int:
    """What the index counts its first time point as: 0, or 1 in some versions."""
    shifts = Counter(one.time - name.time for one in index.images if (name := parse_name(one.url)) is not None)
    return shifts.most_common(1)[0][0] if shifts else 0


def _facts(
    listing: Listing,
    path: Location | None,
    index: HarmonyIndex,
    channels: _Channels,
    sightings: Sequence[Sighting],
    notes: tuple[str, ...],
) -> PlateFacts:
    kept = [file for file in listing.files if file == path or _is_kept(file, listing)]
    found = channels.facts()
    size, size_notes = pixel_size([(one.y_um, one.x_um) for one in found], sightings)
    return PlateFacts(
        reader=OperettaReader.name,
        plate_name=index.plate.get("Name") or index.plate.get("PlateID") or listing.root.name,
        channels=channels.channels(),
        pixel_size=size,
        vendor_files=tuple(kept),
        notes=(*notes, *size_notes),
        acquisition=_acquisition(index, found, sightings),
        complete=bool(index.images) and not index.problem,
        counted=True,
    )


def _is_kept(file: Location, listing: Listing) -> bool:
    name = file.name.lower()
    return name.endswith(_TEXT_SUFFIXES) and _KEPT.search(folder_of(file, listing).lower() + name) is not None


def _acquisition(index: HarmonyIndex, channels: Sequence[ChannelFacts], sightings: Iterable[Sighting]) -> Acquisition:
    return Acquisition(
        barcode=index.plate.get("PlateID", ""),
        instrument=index.instrument,
        magnification=next((one.magnification for one in channels if one.magnification), None),
        numerical_aperture=next((one.numerical_aperture for one in channels if one.numerical_aperture), None),
        started=iso_time(index.plate.get("MeasurementStartTime")),
        time_step_s=_planned_step_s(index.images) or time_step_s(sightings),
    )


def _planned_step_s(images: Iterable[ImageRecord]) -> float | None:
    """Interval of the time points by the offset that the index gives each of them."""
    offsets: dict[int, float] = {}
    for one in images:
        if one.offset_s is not None:
            offsets[one.time] = min(one.offset_s, offsets.get(one.time, one.offset_s))
    return typical_step([offsets])


def _index_notes(index: HarmonyIndex) -> tuple[str, ...]:
    notes = []
    if index.problem:
        notes.append(f"{index.problem}; file names place the planes that it does not list")
    if index.n_unplaced:
        notes.append(f"{index.n_unplaced} images of the index tell no well, field or channel: their names place them")
    failed = [one for one in index.images if one.failure and one.url]
    if failed:
        notes.append(f"{len(failed)} images that have a file are listed with a failure: {failed[0].failure}")
    return (*notes, *contradiction_note([one.url for one in index.images if _contradicts(one)]))


def _contradicts(one: ImageRecord) -> bool:
    """Whether name and index tell different planes; time is not compared: indices count it from 0 or from 1."""
    name = parse_name(one.url.replace("\\", "/"))
    return name is not None and name[:5] != (one.well, one.field, one.plane, one.channel, one.flim)
