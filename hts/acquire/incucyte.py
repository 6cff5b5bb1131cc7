"""Sartorius (Essen) IncuCyte, images exported as single TIFF files.

Layout: ``[<vessel>/]<channel>/<prefix>_<well>[_<image>]_<time>.tif``, with the time elapsed (``01d02h30m``) or that of
the clock (``2024y01m15d_09h00m``). A folder names its channel by a word such as Phase, Green, Red or NIR, in any case
and beside other words; without one, the last word of the prefix does, and else the folder's own name where
several folders hold the same images. ``t`` is counted from the minutes; time points that are not evenly spaced are
noted. Several vessels in one folder (``VID…`` or two prefixes in one channel) are refused.

Phase of 8 bits beside fluorescence of 16 bits is what the instrument gives: where the bits of unsigned planes differ,
all are read as the widest of them, with their values unchanged. Exports "as displayed" are colour images, from which
the measured values cannot be told: each of their planes is refused when it is read.

No real export was at hand: the layout is known from public scripts that read it, and tested on plates that hts synth
writes in it. The instrument's own archive (``EssenFiles/ScanData``) is another layout.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hts.acquire.build import PlateFacts, Sighting, Stage, build_source, header_pixel_size, left_out_note
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import even_step_s, natural, well_of
from hts.acquire.opened import Expected
from hts.acquire.planes import read_header, read_pixels, read_plane
from hts.acquire.table import Acquisition, Plane, Source
from hts.errors import SourceError
from hts.model import Channel, WellId

_NAME = re.compile(
    r"(?:(?P<prefix>.*?)_)?(?P<well>[A-Z]{1,2}\d{1,2})(?:_(?P<image>\d{1,4}))?_"
    r"(?:(?P<days>\d{1,4})d(?P<hours>\d\d)h(?P<minutes>\d\d)m"
    r"|(?P<year>\d{4})y(?P<month>\d\d)m(?P<day>\d\d)d_(?P<hour>\d\d)h(?P<minute>\d\d)m)\.tiff?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_VESSEL_ID = re.compile(r"VID\d+", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1)
_MINUTE = timedelta(minutes=1)
_TIMES_SHOWN = 24
_UNNAMED = "Image"
_CHANNELS = {
    name.lower(): name
    for name in ("Phase", "Brightfield", "Green", "Red", "NIR", "Orange", "Blue", "Yellow", "Cyan", "FarRed")
}
_CHANNELS |= {"bf": "Brightfield"}


class Shot(NamedTuple):
    """What a path says; ``minutes`` since the start, or since 1970 where ``clock`` is the time in ISO 8601.

    ``channel`` is empty where no word names one; ``vessel`` is the vessel's number or the prefix without the channel.
    """

    vessel: str
    well: WellId
    field: int
    minutes: int
    clock: str
    channel: str
    file: ImageFile


class IncuCyteReader:
    """Reads folders of images that an IncuCyte exported."""

    name = "incucyte"

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files with a name of this layout."""
        return len(_shots(listing)) / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no name is of this layout, or several vessels lie in one folder."""
        shots = _shots(listing)
        if not shots:
            raise SourceError(
                f"names such as VID12_B3_1_00d02h00m.tif in {listing.root}",
                found=", ".join(listing.examples) or "no image",
            )
        shots, clock_notes = _one_clock(_with_channels(shots))
        _refuse_several_vessels(shots, listing)
        channels = sorted({shot.channel for shot in shots}, key=natural)
        times = sorted({shot.minutes for shot in shots})
        taken = {shot.file.name for shot in shots}
        others = [image.name for image in listing.images if image.name not in taken]
        by_channel = {name: [shot.file for shot in shots if shot.channel == name] for name in channels}
        dtype, depth_notes = _one_depth(by_channel)
        facts = PlateFacts(
            reader=self.name,
            plate_name=shots[0].vessel or listing.root.name,
            channels=tuple(Channel(channel) for channel in channels),
            pixel_size=header_pixel_size([shot.file for shot in shots]),
            notes=(
                *clock_notes,
                *_uneven_note(times, bool(shots[0].clock)),
                *depth_notes,
                *left_out_note(others, "their names are not <prefix>_<well>_<image>_<time>.tif, or of another clock"),
            ),
            acquisition=Acquisition(
                started=min(shot.clock for shot in shots), time_step_s=even_step_s([60.0 * time for time in times])
            ),
            dtype=dtype,
            read=read_widened if dtype is not None else None,
        )
        order = {minutes: place for place, minutes in enumerate(times)}
        return build_source(listing, (_sighting(shot, order[shot.minutes]) for shot in shots), facts)


def parse_shot(image: ImageFile) -> Shot | None:
    """What an image's path says, or None where it is of another layout."""
    folders, _, name = image.name.rpartition("/")
    match = _NAME.fullmatch(name)
    well = well_of(match["well"]) if match else None
    if match is None or well is None:
        return None
    time = _time(match)
    if time is None:
        return None
    prefix = match["prefix"] or ""
    rest, _, last = prefix.rpartition("_")
    own = _channel_word(last)
    channel = next(filter(None, map(_channel_word, reversed(folders.split("/")))), own)
    number = _VESSEL_ID.search(prefix)
    vessel = number[0].upper() if number else (rest if own else prefix)
    return Shot(vessel, well, int(match["image"] or 1), *time, channel, image)


def _time(match: re.Match[str]) -> tuple[int, str] | None:
    """Minutes, and the time of the clock where the name tells it; None for a date that does not exist."""
    if match["days"]:
        return (int(match["days"]) * 24 + int(match["hours"])) * 60 + int(match["minutes"]), ""
    try:
        when = datetime.fromisoformat("{year}-{month}-{day}T{hour}:{minute}".format(**match.groupdict()))
    except ValueError:
        return None
    return (when - _EPOCH) // _MINUTE, when.isoformat()


@lru_cache(maxsize=4096)
def _channel_word(text: str) -> str:
    """The channel that one of the words names, or nothing."""
    return next((_CHANNELS[word] for word in map(str.lower, _WORD.findall(text)) if word in _CHANNELS), "")


def _shots(listing: Listing) -> list[Shot]:
    return [shot for image in listing.images if (shot := parse_shot(image)) is not None]


def _sighting(shot: Shot, t: int) -> Sighting:
    return Sighting(shot.well, shot.field, shot.channel, 0, t, shot.file, None, Stage(acquired=shot.clock))


def _with_channels(shots: Sequence[Shot]) -> list[Shot]:
    """Name the channels that no known word names: by their folders where those hold the same images."""
    if all(shot.channel for shot in shots):
        return list(shots)
    folders: dict[tuple[str, WellId, int, int], set[str]] = defaultdict(set)
    for shot in shots:
        folders[shot[:4]].add(_folder(shot))
    by_folder = any(len(names) > 1 for names in folders.values())
    return [
        shot if shot.channel else shot._replace(channel=(_folder(shot) if by_folder else "") or _UNNAMED)
        for shot in shots
    ]


def _folder(shot: Shot) -> str:
    return shot.file.name.rpartition("/")[0].rpartition("/")[2]


def _one_clock(shots: list[Shot]) -> tuple[list[Shot], tuple[str, ...]]:
    """The files whose names tell the time in the way that most do: the two ways cannot be put on one axis."""
    on_clock = [shot for shot in shots if shot.clock]
    elapsed = [shot for shot in shots if not shot.clock]
    if not on_clock or not elapsed:
        return shots, ()
    kept = on_clock if len(on_clock) > len(elapsed) else elapsed
    note = f"{len(elapsed)} names tell the time elapsed and {len(on_clock)} that of the clock: the plate is made of "
    return kept, (note + ("the latter" if kept is on_clock else "the former"),)


def _refuse_several_vessels(shots: Sequence[Shot], listing: Listing) -> None:
    """Two vessels: two numbers, or two prefixes in one channel (one prefix a channel is still one vessel).

    Raises
    ------
    SourceError
        with the list of them.
    """
    channels: dict[str, set[str]] = defaultdict(set)
    for shot in shots:
        channels[shot.vessel].add(shot.channel)
    numbers = [vessel for vessel in channels if _VESSEL_ID.fullmatch(vessel)]
    shared = sum(map(len, channels.values())) > len(set().union(*channels.values()))
    if len(numbers) < 2 and not shared:
        return
    raise SourceError(
        f"one vessel in {listing.root}",
        found=f"{len(channels)}: {', '.join(sorted(vessel or 'no prefix' for vessel in channels))}",
        cause="several vessels were exported into one folder",
        fix="move each vessel's files into a folder of its own and open one at a time",
    )


def _uneven_note(times: Sequence[int], on_clock: bool) -> tuple[str, ...]:
    if len(times) < 3 or even_step_s([60.0 * time for time in times]) is not None:
        return ()
    start = times[0] if on_clock else 0
    shown = ", ".join(_elapsed(time - start) for time in times[:_TIMES_SHOWN])
    more = ", …" if len(times) > _TIMES_SHOWN else ""
    return (f"the {len(times)} time points are not evenly spaced: {shown}{more}",)


def _elapsed(minutes: int) -> str:
    days, rest = divmod(minutes, 24 * 60)
    return f"{days:02d}d{rest // 60:02d}h{rest % 60:02d}m"


def _one_depth(by_channel: dict[str, list[ImageFile]]) -> tuple[np.dtype[Any] | None, list[str]]:
    """The widest type where channels differ in their bits, and notes; from the first file of each channel."""
    depths: dict[str, np.dtype[Any]] = {}
    notes: list[str] = []
    for channel, files in by_channel.items():
        first = next((file for file in files if not file.problem), None)
        try:
            if first is not None:
                depths[channel] = read_header(first.path).dtype
        except SourceError as error:
            # Exports "as displayed" are colour in every file: better said before the conversion than after.
            notes.append(f"{channel}: the first file is refused, others may be too ({error})")
    if len(set(depths.values())) < 2 or any(depth.kind != "u" for depth in depths.values()):
        return None, notes
    widest = max(depths.values(), key=lambda depth: depth.itemsize)
    listed = ", ".join(f"{channel} {8 * depth.itemsize}" for channel, depth in depths.items())
    return widest, [*notes, f"channels differ in their bits ({listed}): all are read as {widest}, values unchanged"]


def read_widened(plane: Plane, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Pixels (Y, X) of a plane as ``dtype``, where its own unsigned type is as wide or narrower.

    Raises
    ------
    SourceError
        as :func:`hts.acquire.read_plane`.
    """
    found = read_pixels(plane.path, plane.index, Expected(shape))
    if found.dtype.kind == "u" and found.dtype.itemsize <= np.dtype(dtype).itemsize:
        return found.astype(dtype, copy=False)
    return read_plane(plane, shape, dtype)
