"""What an Olympus ScanR writes beside its images: ``metadata.ome.xml`` and ``experiment_descriptor.xml``.

The first is OME-XML 2013-06 or later as ScanR 3 exports it: an ``Image`` a field, named ``Well 14, Position 1 (B2)``,
whose ``TiffData`` name the files and whose ``Plane`` elements give times in s and positions in µm (the schema's
defaults). One real file was at hand. The second is a LabVIEW tree of ``Name``/``Val`` pairs; which names matter is
known from public readers of it (Bio-Formats), no real file was at hand. Both count wells row by row from 1.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from hts.acquire.build import Stage
from hts.acquire.metadata import (
    base_name,
    even_step_s,
    length_um,
    local_name,
    number,
    positive,
    seconds,
    well_of,
    whole,
)
from hts.acquire.table import Acquisition
from hts.model import Channel, PixelSize, WellId

_IMAGE_NAME = re.compile(r"Well\s+(\d+)\b.*?\(\s*([A-Z]{1,2}\d{1,2})\s*\)", re.IGNORECASE)
_MAX_WELLS = 32 * 48
_LONGEST_S = 1e8
"""Three years: longer acquisitions are damaged numbers."""
_NO_CHANNEL = "autofocus"


class PlaneAt(NamedTuple):
    """Zero-based channel, z and t inside an OME image."""

    c: int
    z: int
    t: int


@dataclass
class Facts:
    """What the metadata say. ``wells`` are by the number in file names, ``stages`` by file name without folders.

    ``rows`` and ``columns`` are the plate's, 0 where unsaid. ``files`` are all that are announced.
    """

    plate: str = ""
    rows: int = 0
    columns: int = 0
    wells: dict[int, WellId] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    pixel_size: PixelSize | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    acquisition: Acquisition = field(default_factory=Acquisition)


# --- metadata.ome.xml --------------------------------------------------------------------------------------------


def ome_facts(root: ElementTree.Element) -> Facts:
    """Facts of a ``metadata.ome.xml``; what is absent or cannot be understood is left out."""
    facts = Facts()
    plate = next(_children(root, "Plate"), None)
    if plate is not None:
        facts.plate = plate.get("Name", "")
        facts.rows, facts.columns = _count(plate.get("Rows")), _count(plate.get("Columns"))
    objectives = {one.get("ID", ""): one for one in root.iter() if local_name(one) == "Objective"}
    times_s: dict[int, float] = {}
    for image in _children(root, "Image"):
        name = _IMAGE_NAME.search(image.get("Name", ""))
        if name and 0 < int(name[1]) <= _MAX_WELLS and (well := well_of(name[2])):
            facts.wells[int(name[1])] = well
        for pixels in _children(image, "Pixels"):
            _read_pixels(facts, pixels, _date(image), times_s)
        if not facts.acquisition.objective:
            facts.acquisition = _acquisition(root, image, objectives)
    steps = [times_s[t] for t in sorted(times_s)]
    facts.acquisition = replace(facts.acquisition, time_step_s=even_step_s(steps))
    return facts


def _read_pixels(facts: Facts, pixels: ElementTree.Element, date: datetime | None, times_s: dict[int, float]) -> None:
    """Add an image's files with their places, its channels and its pixel size to ``facts``."""
    names: dict[PlaneAt, str] = {}
    for data in _children(pixels, "TiffData"):
        if name := next((one.get("FileName", "") for one in _children(data, "UUID")), ""):
            names[PlaneAt(*(_count(data.get(f"First{axis}")) for axis in "CZT"))] = name
    planes = {PlaneAt(*(_count(one.get(f"The{axis}")) for axis in "CZT")): one for one in _children(pixels, "Plane")}
    for at, plane in planes.items():
        after_s = seconds(plane, "DeltaT")
        if after_s is not None and at.c == at.z == 0:
            times_s[at.t] = min(after_s, times_s.get(at.t, after_s))
        if at in names:
            facts.stages[base_name(names[at])] = _stage(plane, date, after_s)
    facts.files += names.values()
    if facts.pixel_size is None:
        sizes = [_ome_length(pixels, f"PhysicalSize{axis}") for axis in "YXZ"]
        if sizes[0] and sizes[1] and min(sizes[0], sizes[1]) > 0:
            facts.pixel_size = PixelSize(sizes[0], sizes[1], sizes[2])
    for place, channel in enumerate(_children(pixels, "Channel")):
        name = channel.get("Name", "")
        exposure = planes.get(PlaneAt(place, 0, 0))
        if name and name not in facts.channels:
            facts.channels[name] = _channel(channel, exposure)


def _channel(node: ElementTree.Element, plane: ElementTree.Element | None) -> Channel:
    exposure_s = seconds(plane, "ExposureTime") if plane is not None else None
    return Channel(
        node.get("Name", ""),
        wavelength_nm=positive(node.get("EmissionWavelength")),
        excitation_nm=positive(node.get("ExcitationWavelength")),
        exposure_ms=round(exposure_s * 1000, 6) if exposure_s else None,
    )


def _stage(plane: ElementTree.Element, date: datetime | None, after_s: float | None) -> Stage:
    y_um, x_um, z_um = _ome_length(plane, "PositionY"), _ome_length(plane, "PositionX"), _ome_length(plane, "PositionZ")
    acquired = ""
    if date is not None and after_s is not None and 0 <= after_s < _LONGEST_S:
        acquired = (date + timedelta(seconds=after_s)).isoformat()
    return Stage(y_um, x_um, z_um, acquired)


def _date(image: ElementTree.Element) -> datetime | None:
    try:
        return datetime.fromisoformat(_text(image, "AcquisitionDate"))
    except ValueError:
        return None


def _acquisition(
    root: ElementTree.Element, image: ElementTree.Element, objectives: dict[str, ElementTree.Element]
) -> Acquisition:
    used = next((one.get("ID", "") for one in _children(image, "ObjectiveSettings")), "")
    objective = objectives.get(used)
    stand = next((one for one in root.iter() if local_name(one) == "Microscope"), None)
    parts = [stand.get("Manufacturer", ""), stand.get("Model", "")] if stand is not None else []
    return Acquisition(
        instrument=" ".join(filter(None, parts)),
        objective=objective.get("Model", "") if objective is not None else "",
        magnification=positive(objective.get("NominalMagnification")) if objective is not None else None,
        numerical_aperture=positive(objective.get("LensNA")) if objective is not None else None,
        started=_text(image, "AcquisitionDate"),
    )


def _children(node: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in node if local_name(child) == name)


def _text(node: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in _children(node, name)), "").strip()


def _ome_length(node: ElementTree.Element, name: str) -> float | None:
    """A length in µm, which is the schema's unit where none is named."""
    unit = node.get(f"{name}Unit")
    return number(node.get(name)) if unit is None else length_um(node.get(name), unit)


def _count(text: str | None) -> int:
    return whole(text) or 0


# --- experiment_descriptor.xml -----------------------------------------------------------------------------------


def descriptor_facts(root: ElementTree.Element) -> Facts:
    """Facts of an ``experiment_descriptor.xml``; what is absent or cannot be understood is left out.

    The positions of fields in a well ("subposition list") have no unit that is known, and are left out.
    """
    pairs = list(_pairs(root))
    single = {key: value for key, value in reversed(pairs) if value}
    facts = Facts(plate=single.get("plate name", ""))
    size, step = positive(single.get("conversion factor um/pixel")), positive(single.get("slices distance"))
    facts.pixel_size = PixelSize(size, size, step) if size else None
    delay_ms = positive(single.get("timeloop delay [ms]"))
    facts.acquisition = Acquisition(barcode=facts.plate, time_step_s=delay_ms / 1000 if delay_ms else None)
    # Rows and columns are those of the plate after this name; elsewhere they count fields.
    layout = dict(reversed(_after(pairs, "format typedef")))
    facts.rows, facts.columns = _count(layout.get("Rows")), _count(layout.get("Columns"))
    facts.wells = _selected_wells(pairs)
    facts.channels = {name: Channel(name, exposure_ms=exposure) for name, exposure in _exposures(pairs)}
    return facts


def _pairs(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Names and values in the order of the file; a name that no value follows has an empty one."""
    key = ""
    for node in root.iter():
        text = (node.text or "").strip()
        if local_name(node) == "Name" and text:
            key = text
            yield key, ""
        elif local_name(node) == "Val" and text:
            yield key, text


def _after(pairs: list[tuple[str, str]], key: str) -> list[tuple[str, str]]:
    place = next((place for place, pair in enumerate(pairs) if pair[0] == key), len(pairs))
    return [pair for pair in pairs[place:] if pair[1]]


def _selected_wells(pairs: list[tuple[str, str]]) -> dict[int, WellId]:
    """Wells by number from the table that lists number and name in turn."""
    wells: dict[int, WellId] = {}
    last = 0
    for _, value in (pair for pair in pairs if pair[0] == "well selection table + cDNA" and pair[1]):
        well = well_of(value)
        if well is not None and 0 < last <= _MAX_WELLS:
            wells[last] = well
        last = _count(value)
    return wells


def _exposures(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, float | None]]:
    """Channels with their exposure in ms."""
    name = ""
    for key, value in pairs:
        if key == "name" and value:
            name = value
        elif key == "exposure time" and value and name and name.lower() != _NO_CHANNEL:
            yield name, positive(value)
            name = ""
