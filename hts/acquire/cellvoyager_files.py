"""The metadata that Yokogawa's CellVoyager systems write: XML, everything in attributes.

``MeasurementData.mlf`` has a ``MeasurementRecord`` a plane: rows, columns, fields, z planes and time points count from
1, ``X`` and ``Y`` are µm from the centre of the well with y growing upwards, ``Z`` is in µm; the text is the file's
name. Of ``Type="ERR"``, a failure of the focus say, it has no field, channel or z plane, and the text says what went
wrong. ``MeasurementDetail.mrf`` tells the plate and the cameras, the ``.mes`` that it names channels, light and the
wells chosen. Files of a CV8000 and a CV7000 were at hand; error records are known from public readers' notes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hts.acquire.build import Stage
from hts.acquire.indexed import numbered_well
from hts.acquire.metadata import attributes, iso_time, iter_xml, local_name, number, positive, read_xml, whole
from hts.errors import SourceError
from hts.locations import Location
from hts.model import WellId

_RECORD = frozenset({"MeasurementRecord"})
_IMAGE, _ERROR = "IMG", "ERR"
_BAND = re.compile(r"\s*BP\s*(\d+(?:\.\d+)?)\s*[/-]", re.IGNORECASE)


class Shot(NamedTuple):
    """A plane as the microscope numbers it; ``action`` is the step of the protocol that took it."""

    well: WellId
    field: int
    z: int
    time: int
    timeline: int
    action: int
    channel: int


class ImageRecord(NamedTuple):
    """A plane with its file; ``projection`` says how z planes became one, empty for a plane of its own."""

    shot: Shot
    file: str
    stage: Stage
    projection: str


class Failure(NamedTuple):
    """What the microscope could not take; None where the record does not tell."""

    well: WellId
    field: int | None
    z: int | None
    time: int | None
    timeline: int | None
    channel: int | None
    stage: Stage
    text: str


@dataclass
class Records:
    """What ``MeasurementData.mlf`` says; empty where there is none. ``problem`` says why its reading ended early."""

    images: list[ImageRecord] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    n_unplaced: int = 0
    problem: str = ""


class ChannelFacts(NamedTuple):
    """A channel of ``.mrf`` and ``.mes``; None or empty where they say nothing."""

    name: str = ""
    emission_nm: float | None = None
    excitation_nm: float | None = None
    exposure_ms: float | None = None
    objective: str = ""
    magnification: float | None = None
    y_um: float | None = None
    x_um: float | None = None
    shading: str = ""


@dataclass
class Setting:
    """What ``.mrf`` and ``.mes`` say of a measurement."""

    detail: dict[str, str] = field(default_factory=dict)
    plate: dict[str, str] = field(default_factory=dict)
    channels: dict[int, ChannelFacts] = field(default_factory=dict)
    wells: set[WellId] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def read_records(path: Location) -> Records:
    """Read ``MeasurementData.mlf``; nothing is raised: what can be read before a damage is kept."""
    records = Records()
    try:
        for node in iter_xml(path, _RECORD):
            _add_record(records, attributes(node), (node.text or "").strip())
    except SourceError as error:
        records.problem = str(error)
    return records


def read_detail(path: Location, setting: Setting) -> None:
    """Add what ``MeasurementDetail.mrf`` says; a file that cannot be read is one of the problems."""
    try:
        root = read_xml(path)
    except SourceError as error:
        setting.problems.append(str(error))
        return
    setting.detail = attributes(root)
    for node in root:
        known = attributes(node)
        channel = whole(known.get("Ch"))
        if local_name(node) == "MeasurementSamplePlate":
            setting.plate = known
        elif local_name(node) == "MeasurementChannel" and channel is not None:
            setting.channels[channel] = setting.channels.get(channel, ChannelFacts())._replace(
                y_um=positive(known.get("VerticalPixelDimension")),
                x_um=positive(known.get("HorizontalPixelDimension")),
                shading=known.get("ShadingCorrectionSource", ""),
            )


def read_setting(path: Location, setting: Setting) -> None:
    """Add what a ``.mes`` says; a file that cannot be read is one of the problems."""
    try:
        root = read_xml(path)
    except SourceError as error:
        setting.problems.append(str(error))
        return
    nodes = [(local_name(node), node) for node in root.iter()]
    lights = {
        known.get("Name", ""): known for name, node in nodes if name == "LightSource" and (known := attributes(node))
    }
    for name, node in nodes:
        known = attributes(node)
        channel = whole(known.get("Ch"))
        if name == "TargetWell" and (node.text or "").strip().lower() == "true":
            well = numbered_well(known.get("Row"), known.get("Column"))
            setting.wells |= {well} if well else set()
        elif name == "Channel" and channel is not None:
            facts = setting.channels.get(channel, ChannelFacts())
            setting.channels[channel] = _with_setting(facts, known, _excitation_nm(node, lights))


def _add_record(records: Records, known: Mapping[str, str], text: str) -> None:
    kind = known.get("Type", _IMAGE)
    well = numbered_well(known.get("Row"), known.get("Column"))
    field, z, time, timeline, action, channel = (
        whole(known.get(name)) for name in ("FieldIndex", "ZIndex", "TimePoint", "TimelineIndex", "ActionIndex", "Ch")
    )
    stage = _stage(known)
    if kind == _ERROR and well is not None:
        records.failures.append(Failure(well, field, z, time, timeline, channel, stage, text))
    elif kind != _IMAGE or well is None or field is None or channel is None:
        records.n_unplaced += 1
    else:
        # A lone plane, time point, timeline or action need not be numbered.
        shot = Shot(well, field, z or 1, time or 1, timeline or 1, action or 1, channel)
        records.images.append(ImageRecord(shot, text, stage, known.get("ZImageProcessing", "")))


def _stage(known: Mapping[str, str]) -> Stage:
    """The place in µm from the well's centre, y turned to grow downwards as rows of pixels do."""
    y_um = number(known.get("Y"))
    return Stage(
        # Not -0.0 for the middle of the well.
        y_um=None if y_um is None else 0.0 - y_um,
        x_um=number(known.get("X")),
        z_um=number(known.get("Z")),
        acquired=iso_time(known.get("Time")),
    )


def _with_setting(facts: ChannelFacts, known: Mapping[str, str], excitation_nm: float | None) -> ChannelFacts:
    band = _BAND.match(known.get("Acquisition", ""))
    return facts._replace(
        name=known.get("Fluorophore", "").strip() or known.get("Target", "").strip(),
        # A band pass is named by its centre and width: BP445/45.
        emission_nm=positive(band[1]) if band else None,
        excitation_nm=excitation_nm,
        exposure_ms=positive(known.get("ExposureTime")),
        objective=known.get("Objective", "").strip(),
        magnification=positive(known.get("Magnification")),
    )


def _excitation_nm(channel: ElementTree.Element, lights: Mapping[str, Mapping[str, str]]) -> float | None:
    """The wavelength of the channel's light where it has one source; a lamp's is given as 0."""
    used = [(node.text or "").strip() for node in channel if local_name(node) == "LightSourceName"]
    return positive(lights.get(used[0], {}).get("WaveLength")) if len(used) == 1 else None
