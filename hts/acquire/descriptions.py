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

from hts.acquire.metadata import length_um, local_name, number, parse_xml, positive
from hts.errors import SourceError
from hts.model import PixelSize

_COPY_OF = re.compile(r"^(?:Copy of\s+)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a plane's header says, in micrometres; None where it says nothing that can be trusted.

    ``y_um, x_um, z_um`` is the position of the stage; ``problem`` says why a text could not be used.
    """

    pixel_size: PixelSize | None = None
    y_um: float | None = None
    x_um: float | None = None
    z_um: float | None = None
    channel: str | None = None
    wavelength_nm: float | None = None
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
    return ImageFacts(
        pixel_size=_metaseries_pixel_size(props),
        y_um=number(props.get("stage-position-y")),
        x_um=number(props.get("stage-position-x")),
        z_um=number(props.get("z-position")),
        channel=name or None,
        wavelength_nm=positive(props.get("wavelength")),
    )


def _metaseries_pixel_size(props: dict[str, str]) -> PixelSize | None:
    if props.get("spatial-calibration-state", "on").lower() != "on":
        return None
    unit = props.get("spatial-calibration-units")
    y_um, x_um = (length_um(props.get(f"spatial-calibration-{axis}"), unit) for axis in "yx")
    return PixelSize(y_um, x_um) if y_um and x_um and min(y_um, x_um) > 0 else None


def _ome(tree: ElementTree.Element) -> ImageFacts:
    pixels = next((node for node in tree.iter() if local_name(node) == "Pixels"), None)
    if pixels is None:
        return ImageFacts()
    sizes = [_ome_length(pixels, axis) for axis in "YXZ"]
    if not sizes[0] or not sizes[1]:
        return ImageFacts()
    return ImageFacts(pixel_size=PixelSize(sizes[0], sizes[1], sizes[2]))


def _ome_length(pixels: ElementTree.Element, axis: str) -> float | None:
    # The OME schema's default unit is the micrometre.
    size = length_um(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return size if size and size > 0 else None


def _inverse(value: float) -> float | None:
    return 1 / value if math.isfinite(value) and value > 0 else None
