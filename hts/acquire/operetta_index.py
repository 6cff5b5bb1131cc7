"""The index that Harmony and Columbus write: one ``Image`` element a plane.

Namespaces change with the version (``…/PEHH/HarmonyV4`` to ``V6``, ``…/HarmonyV7``, ``…/Columbus``), the elements
hardly do. Up to Harmony 5 every ``Image`` tells its channel's name, light and objective; later these stand once, in the
``Entry`` of the channel in ``Maps``. Positions are in metres, ``PositionX`` and ``PositionY`` from the centre of the
well with y growing upwards. A Harmony V5 file was at hand; the other versions are known from public readers' notes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hts.acquire.build import Stage
from hts.acquire.indexed import numbered_well
from hts.acquire.metadata import children, iso_time, iter_xml, length_um, local_name, number, positive, whole
from hts.errors import SourceError
from hts.locations import Location
from hts.model import WellId

_ELEMENTS = frozenset({"Image", "Entry", "Plate", "InstrumentType"})
_READ = "Ok"


class ChannelFacts(NamedTuple):
    """What the index says of a channel; None where it says nothing."""

    name: str | None = None
    emission_nm: float | None = None
    excitation_nm: float | None = None
    exposure_ms: float | None = None
    y_um: float | None = None
    x_um: float | None = None
    magnification: float | None = None
    numerical_aperture: float | None = None


class ImageRecord(NamedTuple):
    """One plane; ``url`` is empty where the microscope has no file, ``failure`` tells a state that is not well.

    ``plane`` and ``time`` are as numbered, ``page`` is the plane's number in a file of many (Columbus), ``offset_s``
    the time since the measurement began.
    """

    well: WellId
    field: int
    plane: int
    time: int
    channel: int
    flim: int
    url: str
    failure: str
    page: int | None
    stage: Stage
    offset_s: float | None


@dataclass
class HarmonyIndex:
    """What an index says; empty where there is none. ``problem`` says why its reading ended early."""

    images: list[ImageRecord] = field(default_factory=list)
    channels: dict[int, ChannelFacts] = field(default_factory=dict)
    wells: set[WellId] = field(default_factory=set)
    plate: dict[str, str] = field(default_factory=dict)
    instrument: str = ""
    n_unplaced: int = 0
    problem: str = ""


def read_index(path: Location) -> HarmonyIndex:
    """Read an index; nothing is raised: what can be read before a damage is kept."""
    index = HarmonyIndex()
    entries: dict[int, ChannelFacts] = {}
    try:
        for node in iter_xml(path, _ELEMENTS):
            kind = local_name(node)
            if kind == "Image":
                _add_image(index, children(node))
            elif kind == "Entry":
                number_of = whole(node.get("ChannelID"))
                if number_of is not None:
                    entries[number_of] = _completed(entries.get(number_of), _channel_facts(children(node)))
            elif kind == "Plate":
                index.plate = {name: (child.text or "").strip() for name, child in children(node).items()}
                index.wells = {well for child in node if (well := _selected_well(child)) is not None}
            else:
                index.instrument = (node.text or "").strip()
    except SourceError as error:
        index.problem = str(error)
    for channel, facts in entries.items():
        index.channels[channel] = _completed(index.channels.get(channel), facts)
    return index


def _add_image(index: HarmonyIndex, parts: Mapping[str, ElementTree.Element]) -> None:
    if not parts:
        # Wells repeat the identifiers of their images, without contents.
        return
    well = numbered_well(_text(parts, "Row"), _text(parts, "Col"))
    numbers = [whole(_text(parts, name)) for name in ("FieldID", "ChannelID")]
    if well is None or numbers[0] is None or numbers[1] is None:
        index.n_unplaced += 1
        return
    channel = numbers[1]
    if channel not in index.channels:
        index.channels[channel] = _channel_facts(parts)
    url = parts.get("URL")
    state = _text(parts, "State") or _READ
    index.images.append(
        ImageRecord(
            well=well,
            field=numbers[0],
            plane=_number(parts, "PlaneID", 1),
            time=_number(parts, "TimepointID", 0),
            channel=channel,
            flim=_number(parts, "FlimID", 1),
            url=_text(parts, "URL"),
            failure="" if state == _READ else f"the microscope gives its state as {state!r}",
            page=None if url is None else whole(url.get("BufferNo")),
            stage=_stage(parts),
            offset_s=number(_text(parts, "MeasurementTimeOffset")),
        )
    )


def _stage(parts: Mapping[str, ElementTree.Element]) -> Stage:
    """The place in µm from the well's centre, y turned to grow downwards as rows of pixels do."""
    y_um, z_um = _length_um(parts, "PositionY"), _length_um(parts, "PositionZ")
    return Stage(
        # Not -0.0 for the middle of the well.
        y_um=None if y_um is None else 0.0 - y_um,
        x_um=_length_um(parts, "PositionX"),
        z_um=_length_um(parts, "AbsPositionZ") if z_um is None else z_um,
        acquired=iso_time(_text(parts, "AbsTime")),
    )


def _channel_facts(parts: Mapping[str, ElementTree.Element]) -> ChannelFacts:
    exposure_s = positive(_text(parts, "ExposureTime"))
    sizes = [_length_um(parts, f"ImageResolution{axis}") for axis in "YX"]
    return ChannelFacts(
        name=_text(parts, "ChannelName") or None,
        emission_nm=positive(_text(parts, "MainEmissionWavelength")),
        excitation_nm=positive(_text(parts, "MainExcitationWavelength")),
        exposure_ms=None if exposure_s is None else round(exposure_s * 1000, 6),
        y_um=sizes[0] if sizes[0] and sizes[0] > 0 else None,
        x_um=sizes[1] if sizes[1] and sizes[1] > 0 else None,
        magnification=positive(_text(parts, "ObjectiveMagnification")),
        numerical_aperture=positive(_text(parts, "ObjectiveNA")),
    )


def _completed(known: ChannelFacts | None, more: ChannelFacts) -> ChannelFacts:
    if known is None:
        return more
    return ChannelFacts._make(new if old is None else old for old, new in zip(known, more, strict=True))


def _selected_well(child: ElementTree.Element) -> WellId | None:
    """``<Well id="0312"/>`` is row 3, column 12; Columbus has internal numbers of other lengths there."""
    text = child.get("id", "") if local_name(child) == "Well" else ""
    return numbered_well(text[:2], text[2:]) if len(text) == 4 else None


def _text(parts: Mapping[str, ElementTree.Element], name: str) -> str:
    part = parts.get(name)
    return "" if part is None else (part.text or "").strip()


def _number(parts: Mapping[str, ElementTree.Element], name: str, default: int) -> int:
    value = whole(_text(parts, name))
    return default if value is None else value


def _length_um(parts: Mapping[str, ElementTree.Element], name: str) -> float | None:
    part = parts.get(name)
    return None if part is None else length_um(part.text, part.get("Unit", "m"))
