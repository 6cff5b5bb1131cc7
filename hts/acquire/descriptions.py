"""What the text in a TIFF header says about its plane: MetaSeries (MetaXpress), OME and ImageJ.

The text comes from outside: XML with a document type or entities is refused, and text that is no valid XML costs the
facts, never the plane.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

import numpy as np

from hts.acquire.metadata import iso_time, length_um, local_name, number, parse_xml, positive
from hts.errors import SourceError
from hts.model import PixelSize

_STAGE_PROPS = re.compile(
    r'<prop id="(stage-position-[xy]|z-position|acquisition-time-local)" type="\w+" value="([^"&]*)"'
)
_MILLISECONDS = {"s": 1e3, "sec": 1e3, "ms": 1.0, "msec": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3}
_DURATION = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_MILLISECONDS)})", re.IGNORECASE)
_MAGNIFICATION = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*[xX×](?![a-zA-Z])")
_COPY_OF = re.compile(r"^(?:Copy of\s+)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a plane's header says, in micrometres; None where it says nothing that can be trusted.

    ``y_um, x_um, z_um`` is the position of the stage; ``wavelength_nm`` that of the emission; ``acquired`` the time in
    ISO 8601, as the microscope's clock showed it; ``binning`` is written ``2x2``; ``projection`` says how a stack was
    projected; ``problem`` says why a text could not be used. Texts are empty where nothing is said.
    """

    pixel_size: PixelSize | None = None
    y_um: float | None = None
    x_um: float | None = None
    z_um: float | None = None
    channel: str | None = None
    wavelength_nm: float | None = None
    excitation_nm: float | None = None
    exposure_ms: float | None = None
    objective: str = ""
    magnification: float | None = None
    numerical_aperture: float | None = None
    acquired: str = ""
    binning: str = ""
    projection: str = ""
    plate_name: str = ""
    instrument: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a plane without its pixels: ``shape`` (Y, X) in pixels, ``dtype``, its description's facts."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    image: ImageFacts


def read_description(text: str) -> ImageFacts:
    """Facts of a TIFF image description, whoever wrote it; nothing is raised."""
    head = text.lstrip("\ufeff \t\r\n")
    if not head.startswith("<"):
        return ImageFacts()
    try:
        tree = parse_xml(head)
    except SourceError as error:
        return ImageFacts(problem=f"its description {error}")
    if tree.tag == "MetaData":
        return _metaseries(tree)
    if local_name(tree) == "OME":
        return _ome(tree)
    return ImageFacts()


def imagej_pixel_size(unit: str, x_resolution: float, y_resolution: float) -> PixelSize | None:
    """Pixel size of an ImageJ header: its unit, and pixels per unit.

    1 pixel per µm in both directions is what writers put who know nothing: it is not believed.
    """
    factor = length_um("1", unit)
    if factor is None or (x_resolution == 1 and y_resolution == 1):
        return None
    x_um, y_um = _inverse(x_resolution), _inverse(y_resolution)
    return PixelSize(y_um * factor, x_um * factor) if x_um and y_um else None


def _metaseries(tree: ElementTree.Element) -> ImageFacts:
    props = {node.get("id", ""): node.get("value", "") for node in tree.iter() if node.tag in ("prop", "custom-prop")}
    name = props.get("_IllumSetting_", "").strip() or _COPY_OF.sub("", props.get("image-name", "")).strip()
    lines = _labelled_lines(props.get("Description", ""))
    objective = props.get("_MagSetting_", "").strip()
    binning = [props.get(f"camera-binning-{axis}", "") for axis in "xy"]
    serial_number = props.get("Instrument Serial Number", "").strip()
    return ImageFacts(
        pixel_size=_metaseries_pixel_size(props),
        y_um=number(props.get("stage-position-y")),
        x_um=number(props.get("stage-position-x")),
        z_um=number(props.get("z-position")),
        channel=name or None,
        wavelength_nm=positive(props.get("wavelength")),
        exposure_ms=duration_ms(lines.get("Exposure") or props.get("Exposure Time")),
        objective=objective,
        magnification=magnification_of(objective),
        numerical_aperture=positive(props.get("_MagNA_")),
        acquired=iso_time(props.get("acquisition-time-local")),
        binning="x".join(binning) if all(map(str.isdecimal, binning)) else "",
        projection=props.get("Z Projection Method", "").strip(),
        plate_name=lines.get("Plate Name", ""),
        instrument=f"ImageXpress {serial_number}" if serial_number else "",
    )


def metaseries_stage(text: str) -> ImageFacts | None:
    """Only position and time of a MetaSeries description, thirty times as fast as all of it; None for other texts."""
    if not text.lstrip("\ufeff \t\r\n").startswith("<MetaData>") or "<!" in text:
        return None
    props = dict(_STAGE_PROPS.findall(text))
    return ImageFacts(
        y_um=number(props.get("stage-position-y")),
        x_um=number(props.get("stage-position-x")),
        z_um=number(props.get("z-position")),
        acquired=iso_time(props.get("acquisition-time-local")),
    )


def duration_ms(text: str | None) -> float | None:
    """Milliseconds of ``15 ms``, ``1.5 s`` or ``300 us``; None for what is no positive time."""
    match = _DURATION.fullmatch((text or "").strip())
    return _milliseconds(match[1], match[2]) if match else None


def _milliseconds(text: str | None, unit: str) -> float | None:
    value, factor = positive(text), _MILLISECONDS.get(unit.lower())
    return None if value is None or factor is None else float(f"{value * factor:.15g}")


def magnification_of(objective: str) -> float | None:
    """40 of an objective named ``40X Plan Apo``."""
    match = _MAGNIFICATION.search(objective)
    return positive(match[1]) if match else None


def _labelled_lines(text: str) -> dict[str, str]:
    """``Exposure: 15 ms`` and the like, one a line; the first of a label counts."""
    pairs = (line.partition(":") for line in reversed(text.splitlines()))
    return {label.strip(): value.strip() for label, separator, value in pairs if separator}


def _metaseries_pixel_size(props: dict[str, str]) -> PixelSize | None:
    if props.get("spatial-calibration-state", "on").lower() != "on":
        return None
    unit = props.get("spatial-calibration-units")
    y_um, x_um = (length_um(props.get(f"spatial-calibration-{axis}"), unit) for axis in "yx")
    return PixelSize(y_um, x_um) if y_um and x_um and min(y_um, x_um) > 0 else None


def _ome(tree: ElementTree.Element) -> ImageFacts:
    """Facts of the first image; what belongs to one channel or plane only where the text describes no other."""
    pixels = _all(tree, "Pixels")
    if not pixels:
        return ImageFacts()
    channel, plane = _only(_all(tree, "Channel")), _only(_all(tree, "Plane"))
    lens = _only(_all(tree, "Objective"))
    dates = [(node.text or "").strip() for node in _all(tree, "AcquisitionDate")]
    return ImageFacts(
        pixel_size=ome_pixel_size(pixels[0]),
        # The schema's default unit of positions is a frame of reference of the microscope's own: no length.
        y_um=_length_of(plane, "PositionY", "reference frame"),
        x_um=_length_of(plane, "PositionX", "reference frame"),
        z_um=_length_of(plane, "PositionZ", "reference frame"),
        channel=channel.get("Name") if channel is not None else None,
        wavelength_nm=_nanometres(channel, "EmissionWavelength"),
        excitation_nm=_nanometres(channel, "ExcitationWavelength"),
        exposure_ms=_milliseconds(plane.get("ExposureTime"), plane.get("ExposureTimeUnit", "s"))
        if plane is not None
        else None,
        objective=lens.get("Model", "") if lens is not None else "",
        magnification=positive(lens.get("NominalMagnification")) if lens is not None else None,
        numerical_aperture=positive(lens.get("LensNA")) if lens is not None else None,
        acquired=iso_time(dates[0]) if len(dates) == 1 else "",
    )


def _all(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [node for node in tree.iter() if local_name(node) == name]


def _only(nodes: list[ElementTree.Element]) -> ElementTree.Element | None:
    return nodes[0] if len(nodes) == 1 else None


def _length_of(node: ElementTree.Element | None, name: str, default_unit: str) -> float | None:
    return None if node is None else length_um(node.get(name), node.get(f"{name}Unit", default_unit))


def _nanometres(node: ElementTree.Element | None, name: str) -> float | None:
    length = _length_of(node, name, "nm")
    return float(f"{length * 1e3:.15g}") if length and length > 0 else None


def ome_pixel_size(pixels: ElementTree.Element) -> PixelSize | None:
    """Pixel size of an OME ``Pixels`` element, None where it is not given in both directions of the plane."""
    y_um, x_um, z_um = (_ome_length(pixels, axis) for axis in "YXZ")
    return PixelSize(y_um, x_um, z_um) if y_um and x_um else None


def _ome_length(pixels: ElementTree.Element, axis: str) -> float | None:
    # The OME schema's default unit is the micrometre.
    size = length_um(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return size if size and size > 0 else None


def _inverse(value: float) -> float | None:
    return 1 / value if math.isfinite(value) and value > 0 else None
