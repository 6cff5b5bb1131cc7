"""From files placed by their names to a :class:`Source`: what is there, what is missing, what cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from hts.acquire.axes import Axis
from hts.acquire.colors import color_of
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.opened import Expected
from hts.acquire.planes import read_header, read_pixels
from hts.acquire.table import UNKNOWN, Acquisition, Plane, PlaneIssue, PlaneReader, Source
from hts.errors import SourceError
from hts.locations import Location, printable
from hts.model import Channel, PixelSize, WellId

HEADERS_LOOKED_AT = 9
PLANES_LOOKED_AT = 3
SIGNED_OFFSET = 32_768
_SEVERAL_PLATES_FROM = 4
_NOWHERE = Path("nowhere")
_WHITE = "FFFFFF"
_Item = TypeVar("_Item")


class Stage(NamedTuple):
    """Where the stage stood for a plane, in µm, and when, in ISO 8601; None and empty where nobody tells."""

    y_um: float | None = None
    x_um: float | None = None
    z_um: float | None = None
    acquired: str = ""


class Sighting(NamedTuple):
    """A file and the plane it is, by its name or by the vendor's index; ``z`` and ``t`` as numbered by the vendor.

    ``page`` is the plane's number in a file of many. A plane that the vendor's index lists and the disk has not is a
    sighting of a file with a ``problem`` and no path: see :func:`absent`.
    """

    well: WellId
    field: int
    channel: str
    z: int
    t: int
    file: ImageFile
    page: int | None = None
    stage: Stage = Stage()


def absent(name: str, reason: str) -> ImageFile:
    """The file of a plane that is announced and not there."""
    return ImageFile(_NOWHERE, name, reason)


def is_absent(file: ImageFile) -> bool:
    """Whether a file is announced and not there."""
    return file.path is _NOWHERE


class PlaneKey(NamedTuple):
    """A plane of the plate; ``z`` and ``t`` are indices, ``channel`` its place in the plate's channels."""

    well: WellId
    field: int
    t: int
    channel: int
    z: int


@dataclass(frozen=True)
class PlateFacts:
    """What a reader knows about the plate beside the files.

    ``announced`` wells are expected even without a file. ``complete`` says that the sightings are all planes that the
    microscope was asked for (an index lists every one): nothing else is then expected. Channels that are white get
    a colour by their wavelength or name. ``counted`` says that the vendor counts z planes and time points one by one:
    a number between others that no file has is a gap, and z distance and time step are those of the numbers. A reader
    whose files differ in their type says by ``dtype`` which one its ``read`` makes of all of them.
    """

    reader: str
    plate_name: str
    channels: tuple[Channel, ...]
    announced: frozenset[WellId] = frozenset()
    pixel_size: PixelSize | None = None
    vendor_files: tuple[Location, ...] = ()
    notes: tuple[str, ...] = ()
    acquisition: Acquisition = UNKNOWN
    complete: bool = False
    counted: bool = False
    dtype: np.dtype[Any] | None = None
    read: PlaneReader | None = None


def build_source(listing: Listing, sightings: Iterable[Sighting], facts: PlateFacts) -> Source:
    """The plate of these files.

    Expected is every well, on disk or announced, with every field, channel, z and t that the plate has anywhere; a
    combination of channel, z and t that no field of several has was never acquired and becomes a note.

    Raises
    ------
    SourceError
        when most planes have two files (several plates in one folder), or no file can be read.
    """
    found = list(sightings)
    axes = _axes(found, facts)
    files = _group(found, facts.channels, axes)
    _refuse_several_plates(listing, files)
    names = [channel.name for channel in facts.channels]
    combinations, sparse = _expected_combinations(files, names, axes)
    issues = dict(_broken(files, names))
    if not facts.complete:
        issues.update(_missing(files, facts.announced, combinations, names))
    planes = tuple(_plane(key, files[key][0], names) for key in sorted(files) if key not in issues)
    shape, dtype, header_notes = _majority(planes, listing, facts.dtype)
    offset = _offset(planes, shape, dtype)
    return Source(
        root=listing.root,
        reader=facts.reader,
        plate_name=printable(facts.plate_name),
        channels=tuple(_coloured(facts.channels)),
        n_z=len(axes.z.index),
        n_t=len(axes.t.index),
        planes=planes,
        issues=tuple(issues[key] for key in sorted(issues)),
        pixel_size=_pixel_size(facts, axes),
        shape=shape,
        dtype=dtype,
        vendor_files=facts.vendor_files,
        notes=_notes(
            listing.notes, facts.notes, (axes.z.note, axes.t.note), sparse, header_notes, _offset_notes(offset)
        ),
        acquisition=_acquisition(facts, axes),
        offset=offset,
        read=facts.read,
    )


def left_out_note(names: Sequence[str], why: str) -> tuple[str, ...]:
    """A note on image files that are not part of the plate, or nothing when there are none."""
    if not names:
        return ()
    some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    count = f"{len(names)} image file{'s' if len(names) > 1 else ''}"
    return (f"{count} left out, {why}: {some}",)


def header_pixel_size(images: Sequence[ImageFile]) -> PixelSize | None:
    """Pixel size that the header of the first readable file states (OME, ImageJ or MetaSeries), if any does."""
    for image in spread([image for image in images if not image.problem], 3):
        try:
            return read_header(image.path).image.pixel_size
        except SourceError:
            continue
    return None


class _Axes(NamedTuple):
    z: Axis
    t: Axis


def _axes(sightings: Sequence[Sighting], facts: PlateFacts) -> _Axes:
    # What an index that lists every plane leaves out was never asked for.
    fill = facts.counted and not facts.complete
    return _Axes(Axis.of("z", {one.z for one in sightings}, fill), Axis.of("t", {one.t for one in sightings}, fill))


def _pixel_size(facts: PlateFacts, axes: _Axes) -> PixelSize | None:
    """With the distance of z indices, where the vendor's is that of numbers of which only every other one is there."""
    size = facts.pixel_size
    if size is None or size.z_um is None or not facts.counted:
        return size
    return replace(size, z_um=size.z_um * axes.z.stride)


def _acquisition(facts: PlateFacts, axes: _Axes) -> Acquisition:
    step_s = facts.acquisition.time_step_s
    if step_s is None or not facts.counted:
        return facts.acquisition
    return replace(facts.acquisition, time_step_s=step_s * axes.t.stride)


def _notes(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(printable(note) for group in groups for note in group if note)


def _group(sightings: Sequence[Sighting], channels: Sequence[Channel], axes: _Axes) -> dict[PlaneKey, list[Sighting]]:
    z_index, t_index = axes.z.index, axes.t.index
    c_index = {channel.name: index for index, channel in enumerate(channels)}
    files: dict[PlaneKey, list[Sighting]] = {}
    for one in sightings:
        key = PlaneKey(one.well, one.field, t_index[one.t], c_index[one.channel], z_index[one.z])
        files.setdefault(key, []).append(one)
    return files


def _refuse_several_plates(listing: Listing, files: Mapping[PlaneKey, list[Sighting]]) -> None:
    twice = [group for group in files.values() if len(group) > 1]
    if len(twice) < _SEVERAL_PLATES_FROM or len(twice) * 2 <= len(files):
        return
    example = ", ".join(one.file.name for one in twice[0][:2])
    raise SourceError(
        f"one plate in {listing.root}",
        found=f"{len(twice)} of {len(files)} planes have several files, such as {example}",
        cause="the folder holds several plates, or a second copy of one",
        fix="open one plate's folder at a time, or move the copies away",
    )


def _expected_combinations(
    files: Mapping[PlaneKey, list[Sighting]], names: Sequence[str], plate_axes: _Axes
) -> tuple[list[tuple[int, int, int]], list[str]]:
    """(t, channel, z) that every field should have, and notes on those that were never acquired."""
    seen = _bridged({(key.t, key.channel, key.z) for key in files}, plate_axes)
    t_of = {(t, channel) for t, channel, _ in seen}
    z_of = {(channel, z) for _, channel, z in seen}
    several_fields = len({(key.well, key.field) for key in files}) > 1
    axes = [sorted({part[axis] for part in seen}) for axis in range(3)]
    grid = [(t, channel, z) for t, channel, z in product(*axes)]
    # One field alone is no evidence of a design: there only a whole z plane or time point may be absent.
    expected = [
        part
        for part in grid
        if part in seen or (not several_fields and (part[0], part[1]) in t_of and (part[1], part[2]) in z_of)
    ]
    absent = set(grid) - set(expected)
    notes = []
    for channel in sorted({part[1] for part in absent}):
        have = sum(part[1] == channel for part in expected)
        places = f"z index {_places(expected, channel, 2)}, t index {_places(expected, channel, 0)}"
        every = len(grid) // len(axes[1])
        notes.append(
            f"{names[channel]} was acquired at {have} of the plate's {every} z planes × time points ({places})"
        )
    return expected, notes


def _bridged(seen: set[tuple[int, int, int]], axes: _Axes) -> set[tuple[int, int, int]]:
    """The combinations of t, channel and z, and those at a gap of an axis that have others on both sides of it."""
    bridged = set(seen)
    for place, axis in ((2, axes.z), (0, axes.t)):
        reach: dict[tuple[int, ...], list[int]] = {}
        for part in bridged:
            reach.setdefault((*part[:place], -1, *part[place + 1 :]), []).append(part[place])
        for (t, channel, z), values in reach.items():
            gaps = [gap for gap in axis.gaps if min(values) < gap < max(values)]
            bridged.update((t, channel, gap) if place == 2 else (gap, channel, z) for gap in gaps)
    return bridged


def _places(expected: list[tuple[int, int, int]], channel: int, axis: int) -> str:
    values = sorted({part[axis] for part in expected if part[1] == channel})
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]}–{values[-1]}"
    return ", ".join(map(str, values))


def _broken(files: Mapping[PlaneKey, list[Sighting]], names: Sequence[str]) -> Iterator[tuple[PlaneKey, PlaneIssue]]:
    for key, group in files.items():
        first = group[0].file
        if len(group) > 1:
            every = [one.file.name for one in group]
            reason = f"{len(every)} files for this plane: {' and '.join(every)}"
            yield key, _issue(key, names, "duplicate", reason, "; ".join(every))
        elif is_absent(first):
            yield key, _issue(key, names, "missing", first.problem, first.name)
        elif first.problem:
            yield key, _issue(key, names, "unreadable", first.problem, first.name)


def _missing(
    files: Mapping[PlaneKey, list[Sighting]],
    announced: frozenset[WellId],
    combinations: Sequence[tuple[int, int, int]],
    names: Sequence[str],
) -> Iterator[tuple[PlaneKey, PlaneIssue]]:
    wells = {key.well for key in files}
    on_disk = {(key.well, key.field) for key in files}
    for well, number in product(sorted(wells | announced), sorted({key.field for key in files})):
        for t, channel, z in combinations:
            key = PlaneKey(well, number, t, channel, z)
            if key in files:
                continue
            if well not in wells:
                reason = "the well was selected for acquisition, no file has its name"
            elif (well, number) not in on_disk:
                reason = f"field {number} has no file in this well, other wells have it"
            else:
                reason = f"no file for {names[channel]} at z index {z}, t index {t}; the field has others"
            yield key, _issue(key, names, "missing", reason, "")


def _issue(key: PlaneKey, names: Sequence[str], status: str, reason: str, file: str) -> PlaneIssue:
    return PlaneIssue(key.well, key.field, names[key.channel], key.z, key.t, status, printable(reason), printable(file))


def _plane(key: PlaneKey, one: Sighting, names: Sequence[str]) -> Plane:
    return Plane(key.well, key.field, names[key.channel], key.z, key.t, one.file.path, one.page, *one.stage)


def _coloured(channels: Sequence[Channel]) -> Iterator[Channel]:
    for place, channel in enumerate(channels):
        yield replace(channel, color=color_of(channel, place, len(channels))) if channel.color == _WHITE else channel


def _offset(planes: Sequence[Plane], shape: tuple[int, int], dtype: np.dtype[Any]) -> int:
    """2^15 where no pixel of a few planes lies below it: cameras of 15 bits or fewer were written as signed numbers."""
    if dtype != np.uint16 or not planes:
        return 0
    found = False
    for plane in list(spread(planes, PLANES_LOOKED_AT))[:PLANES_LOOKED_AT]:
        try:
            found = bool(read_pixels(plane.path, plane.index, Expected(shape)).min() >= SIGNED_OFFSET)
        except SourceError:
            continue
        if not found:
            return 0
    return SIGNED_OFFSET if found else 0


def _offset_notes(offset: int) -> list[str]:
    if not offset:
        return []
    return [
        f"every pixel looked at is {offset:,} or more: the files carry a constant offset (hts convert can remove it)"
    ]


def _majority(
    planes: Sequence[Plane], listing: Listing, dtype: np.dtype[Any] | None
) -> tuple[tuple[int, int], np.dtype[Any], list[str]]:
    """Shape and dtype that most of a few headers have; others are refused when they are read, or read as ``dtype``."""
    votes: Counter[tuple[tuple[int, int], np.dtype[Any]]] = Counter()
    refusals: list[str] = []
    for plane in spread(planes, HEADERS_LOOKED_AT):
        try:
            facts = read_header(plane.path, plane.index)
        except SourceError as error:
            refusals.append(str(error))
            continue
        votes[facts.shape, facts.dtype if dtype is None else dtype] += 1
        if votes.total() == HEADERS_LOOKED_AT:
            break
    if not votes:
        raise SourceError(
            f"an image that can be read in {listing.root}",
            found=f"none of {len(listing.images)}; {refusals[0] if refusals else 'all are empty or have a double'}",
            fix="copy the plate again from where it was acquired or archived",
        )
    (shape, common), n_equal = votes.most_common(1)[0]
    notes = [] if n_equal == votes.total() else [_deviation_note(votes, shape, common)]
    return shape, common, notes


def _deviation_note(votes: Counter[Any], shape: tuple[int, int], dtype: np.dtype[Any]) -> str:
    other = votes.total() - votes[shape, dtype]
    kind = f"{shape[0]} × {shape[1]} {dtype}"
    return f"{other} of {votes.total()} headers looked at are not {kind}, as most are; such planes are refused"


def spread(items: Sequence[_Item], count: int) -> Iterator[_Item]:
    """All items, beginning with ``count`` of them that lie evenly from the first to the last."""
    first = sorted({round(place) for place in np.linspace(0, len(items) - 1, count)}) if items else []
    yield from (items[place] for place in first)
    chosen = set(first)
    yield from (item for place, item in enumerate(items) if place not in chosen)
