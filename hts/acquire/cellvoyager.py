"""Yokogawa CellVoyager CV7000, CV8000 and CQ1, with and without their metadata.

Layout: ``<plate>_D08_T0001F002L01A01Z04C01.tif`` (well, time point, field, timeline, action, z plane, channel) beside
``MeasurementData.mlf``, which lists every plane, ``MeasurementDetail.mrf``, a ``.mes`` and plate files. An action is a
step of the protocol, no z plane: where two actions take the same plane of a channel, each has a channel of its own.
Dark and shading images (``DC_…tif``, ``SC_…tif``) lie in the same folder. A CV8000's plate with its metadata was at
hand (its pixels blanked); projections, several timelines and error records are known from public readers' notes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hts.acquire.build import PlateFacts, Sighting, Stage, absent, build_source, left_out_note
from hts.acquire.cellvoyager_failures import failed_shots
from hts.acquire.cellvoyager_files import (
    ChannelFacts,
    ImageRecord,
    Records,
    Setting,
    Shot,
    read_detail,
    read_records,
    read_setting,
)
from hts.acquire.indexed import (
    contradiction_note,
    file_of,
    find_index,
    folder_of,
    merge,
    never_listed,
    nothing_placed,
    pixel_size,
    settle,
    time_step_s,
    unlisted_note,
)
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import iso_time, well_of, whole
from hts.acquire.table import Acquisition, Source
from hts.model import Channel, WellId

RECORDS_NAME, DETAIL_NAME = "MeasurementData.mlf", "MeasurementDetail.mrf"
_NAME = re.compile(
    r"(?P<plate>.+)_(?P<well>[A-Z]{1,2}\d{2})_"
    r"T(\d{1,6})F(\d{1,6})L(\d{1,4})A(\d{1,4})Z(\d{1,5})C(\d{1,4})\.tiff?",
    re.IGNORECASE,
)
_SHADING = re.compile(r"(?:^|/)(?:DC|SC)_[^/]+\.tiff?$", re.IGNORECASE)
_KEPT = (".mlf", ".mrf", ".mes", ".wpi", ".wpp", ".xml")
_NEVER_LISTED = "the well was selected for acquisition, MeasurementData.mlf lists no plane of it"


class Taken(NamedTuple):
    """A plane as the microscope numbers it, with its file."""

    shot: Shot
    file: ImageFile
    stage: Stage = Stage()


class CellVoyagerReader:
    """Reads measurements of Yokogawa's CellVoyager systems."""

    name = "cellvoyager"

    def sniff(self, listing: Listing) -> float:
        """1 with a ``MeasurementData.mlf``, else the fraction of the image files with a name of this layout."""
        if not listing.images:
            return 0.0
        if any(path.name.lower() == RECORDS_NAME.lower() for path in listing.files):
            return 1.0
        return sum(parse_name(image.name) is not None for image in listing.images) / len(listing.images)

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when nothing can be placed, or several plates lie in one folder."""
        path = find_index(listing, (RECORDS_NAME,))
        records = Records() if path is None else read_records(path)
        setting = _read_setting(listing)
        folder = "" if path is None else folder_of(path, listing)
        listed = [Taken(one.shot, file_of(one.file, folder, listing), one.stage) for one in records.images]
        failed = [Taken(shot, absent("", reason)) for shot, reason in failed_shots(records).items()]
        used = {one.file.name for one in listed}
        others = [image for image in listing.images if image.name not in used]
        extra = [Taken(shot, image) for image in others if (shot := parse_name(image.name)) is not None]
        names = _Names([one.shot for one in (*listed, *failed, *extra)], setting.channels)
        settled, settled_notes = settle([names.sighting(one) for one in (*listed, *failed)])
        added, well_notes = ([], ()) if records.problem else never_listed(setting.wells, settled, _NEVER_LISTED)
        unlisted = [names.sighting(one) for one in extra]
        sightings = merge([*settled, *added], unlisted)
        if not sightings:
            raise nothing_placed(listing, "PLATE_D08_T0001F002L01A01Z04C01.tif", records.problem)
        size, size_notes = pixel_size([(one.y_um, one.x_um) for one in names.facts()], sightings)
        facts = PlateFacts(
            reader=self.name,
            plate_name=setting.plate.get("Name") or _plate_name(listing) or listing.root.name,
            channels=names.channels(),
            pixel_size=size,
            vendor_files=tuple(file for file in listing.files if file.suffix.lower() in _KEPT),
            notes=(
                *_record_notes(records, failed),
                *settled_notes,
                *well_notes,
                *unlisted_note(settled, unlisted),
                *_setting_notes(setting, names.numbers(), sightings),
                *size_notes,
                *_left_out([image.name for image in others if parse_name(image.name) is None], setting),
            ),
            acquisition=_acquisition(setting, names.facts(), sightings),
            complete=bool(records.images) and not records.problem,
            counted=True,
        )
        return build_source(listing, sightings, facts)


def parse_name(path: str) -> Shot | None:
    """What the name of an image says; None where it is of another layout or no plate has such a well."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    well = well_of(match["well"]) if match is not None else None
    if match is None or well is None:
        return None
    time, field, timeline, action, z, channel = (int(part) for part in match.groups()[2:])
    return Shot(well, field, z, time, timeline, action, channel)


class _Names:
    """Channels and time points of a plate's planes, from the microscope's numbers."""

    def __init__(self, shots: Sequence[Shot], facts: Mapping[int, ChannelFacts]) -> None:
        self._facts = facts
        self._times = _time_indices(shots)
        self._split = self._taken_twice(shots)
        self._names: dict[tuple[int, int, int], str] = {}
        for key in sorted({self._key(shot) for shot in shots}):
            self._names[key] = self._new_name(key)

    def sighting(self, one: Taken) -> Sighting:
        """The plane of a shot."""
        shot = one.shot
        channel, t = self._names[self._key(shot)], self._time(shot)
        return Sighting(shot.well, shot.field, channel, shot.z, t, one.file, None, one.stage)

    def channels(self) -> tuple[Channel, ...]:
        """In the order of their numbers."""
        return tuple(
            Channel(name, wavelength_nm=one.emission_nm, excitation_nm=one.excitation_nm, exposure_ms=one.exposure_ms)
            for name, one in zip(self._names.values(), self.facts(), strict=True)
        )

    def facts(self) -> list[ChannelFacts]:
        """What the metadata say of each channel that has planes."""
        return [self._facts.get(number, ChannelFacts()) for number, *_ in self._names]

    def numbers(self) -> set[int]:
        """The microscope's numbers of the channels that have planes."""
        return {number for number, *_ in self._names}

    def _time(self, shot: Shot) -> int:
        return self._times[shot.timeline, shot.time]

    def _key(self, shot: Shot) -> tuple[int, int, int]:
        return (shot.channel, shot.timeline, shot.action) if shot.channel in self._split else (shot.channel, 0, 0)

    def _taken_twice(self, shots: Iterable[Shot]) -> set[int]:
        """Channels of which one plane was taken by several actions."""
        first: dict[tuple[object, ...], tuple[int, int]] = {}
        split = set()
        for shot in shots:
            action = (shot.timeline, shot.action)
            plane = (shot.well, shot.field, shot.z, self._time(shot), shot.channel)
            if first.setdefault(plane, action) != action:
                split.add(shot.channel)
        return split

    def _new_name(self, key: tuple[int, int, int]) -> str:
        number, timeline, action = key
        name = self._facts.get(number, ChannelFacts()).name or f"C{number:02d}"
        taken = set(self._names.values())
        if any(other[0] == number for other in self._names):
            return f"{name} L{timeline:02d}A{action:02d}"
        return name if name not in taken else f"{name} C{number:02d}"


def _time_indices(shots: Iterable[Shot]) -> dict[tuple[int, int], int]:
    """Time index by timeline and time point.

    Time points are counted through all timelines. Where each well has one timeline only, its time starts at 0.
    """
    timelines: dict[WellId, set[int]] = {}
    times: dict[int, set[int]] = {}
    for shot in shots:
        timelines.setdefault(shot.well, set()).add(shot.timeline)
        times.setdefault(shot.timeline, set()).add(shot.time)
    if any(len(several) > 1 for several in timelines.values()):
        return {(timeline, time): time for timeline, found in times.items() for time in found}
    return {(timeline, time): index for timeline, found in times.items() for index, time in enumerate(sorted(found))}


def _read_setting(listing: Listing) -> Setting:
    setting = Setting()
    detail = find_index(listing, (DETAIL_NAME,))
    if detail is not None:
        read_detail(detail, setting)
    protocols = [path for path in listing.files if path.suffix.lower() == ".mes"]
    wanted = setting.detail.get("MeasurementSettingFileName")
    chosen = [path for path in protocols if path.name == wanted] or (protocols if len(protocols) == 1 else [])
    if chosen:
        read_setting(chosen[0], setting)
    return setting


def _plate_name(listing: Listing) -> str:
    names = (_NAME.fullmatch(image.name.rpartition("/")[2]) for image in listing.images)
    plates = Counter(match["plate"] for match in names if match)
    return plates.most_common(1)[0][0] if plates else ""


def _acquisition(setting: Setting, channels: Sequence[ChannelFacts], sightings: Iterable[Sighting]) -> Acquisition:
    return Acquisition(
        instrument=setting.detail.get("TargetSystem", ""),
        objective=next((one.objective for one in channels if one.objective), ""),
        magnification=next((one.magnification for one in channels if one.magnification), None),
        started=iso_time(setting.detail.get("BeginTime")),
        time_step_s=time_step_s(sightings),
    )


def _record_notes(records: Records, failed: Sequence[Taken]) -> tuple[str, ...]:
    notes = []
    if records.problem:
        notes.append(f"{records.problem}; file names place the planes that it does not list")
    if records.n_unplaced:
        notes.append(f"{records.n_unplaced} records tell no well, field or channel: file names place their planes")
    if records.failures:
        text = records.failures[0].text or "without a text"
        notes.append(f"the microscope reports {len(records.failures)} errors that cost {len(failed)} planes: {text}")
    projections = sorted({(one.shot.channel, one.projection) for one in records.images if one.projection})
    if projections:
        text = ", ".join(f"C{channel:02d} ({kind})" for channel, kind in projections)
        notes.append(f"planes of these channels are projections made by the microscope: {text}")
    contradicting = [one.file for one in records.images if _contradicts(one)]
    return (*notes, *contradiction_note(contradicting))


def _contradicts(one: ImageRecord) -> bool:
    named = parse_name(one.file.replace("\\", "/"))
    return named is not None and named != one.shot


def _setting_notes(setting: Setting, channels: set[int], sightings: Sequence[Sighting]) -> tuple[str, ...]:
    """What the metadata announce and the planes have not."""
    notes = list(setting.problems)
    absent_channels = sorted(set(setting.channels) - channels)
    if absent_channels:
        text = ", ".join(f"C{number:02d} {setting.channels[number].name}".strip() for number in absent_channels)
        notes.append(f"the microscope was set up for {len(setting.channels)} channels, no plane has {text}")
    for key, what, found in (
        ("FieldCount", "fields a well", len({one.field for one in sightings})),
        ("ZCount", "z planes", len({one.z for one in sightings})),
    ):
        announced = whole(setting.detail.get(key))
        if announced is not None and announced > found:
            notes.append(f"{DETAIL_NAME} announces {announced} {what}, the planes have {found}")
    return tuple(notes)


def _left_out(others: Sequence[str], setting: Setting) -> tuple[str, ...]:
    sources = {one.shading for one in setting.channels.values() if one.shading}
    shading = [name for name in others if _SHADING.search(name) or name.rpartition("/")[2] in sources]
    unknown = sorted(set(others) - set(shading))
    return (
        *left_out_note(shading, "dark and shading images of the cameras"),
        *left_out_note(unknown, "their names are not <plate>_<well>_T<t>F<field>L<line>A<action>Z<z>C<channel>.tif"),
    )
