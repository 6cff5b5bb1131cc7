"""OME-XML as it describes files: images with their planes, the plate they belong to, what the microscope was set to."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hts.acquire.build import Stage
from hts.acquire.containers import Contents, Inside
from hts.acquire.descriptions import ome_pixel_size
from hts.acquire.listing import ImageFile
from hts.acquire.metadata import (
    is_on_a_plate,
    iso_time,
    later,
    length_um,
    local_name,
    number,
    positive,
    seconds,
    whole,
)
from hts.acquire.names import read_name
from hts.acquire.table import Acquisition
from hts.errors import SourceError
from hts.model import Channel, PixelSize, WellId

_MAX_PLANES = 10_000_000


class OmePlane(NamedTuple):
    """A plane of an image: a page of a file (empty: the file that the XML is in)."""

    file: str
    uuid: str
    page: int
    c: int
    z: int
    t: int


class _Sample(NamedTuple):
    """A field of a plate."""

    well: WellId
    field: int
    stage: Stage


@dataclass(frozen=True)
class OmeImage:
    """An image of an OME-XML; ``stages`` by channel, z and t."""

    identifier: str
    name: str
    planes: tuple[OmePlane, ...]
    channels: tuple[Channel, ...]
    pixel_size: PixelSize | None
    acquisition: Acquisition
    stages: Mapping[tuple[int, int, int], Stage]


@dataclass(frozen=True)
class Ome:
    """A whole OME-XML; ``only_in`` is the file that the planes are described in where this one only points there."""

    uuid: str
    images: tuple[OmeImage, ...]
    samples: Mapping[str, _Sample]
    plate_name: str
    barcode: str
    only_in: str = ""

    def contents(self, file_of: Callable[[OmePlane], ImageFile | None]) -> Contents:
        """The planes of all images of the plate, in the files that ``file_of`` finds for them."""
        used = [image for image in self.images if not self.samples or image.identifier in self.samples]
        channels: dict[str, Channel] = {}
        planes: list[Inside] = []
        files: dict[str, ImageFile | None] = {}
        for place, image in enumerate(used, 1):
            keys = _channel_keys(image.channels)
            for key, channel in zip(keys, image.channels, strict=True):
                channels.setdefault(key, channel)
            numbers = [list(channels).index(key) for key in keys]
            sample = self.samples.get(image.identifier)
            named = read_name(image.name)
            well = sample.well if sample else named.well
            field = sample.field if sample else named.field if named.well else (place if len(used) > 1 else None)
            for plane in image.planes:
                if plane.file not in files:
                    files[plane.file] = file_of(plane)
                stage = _stage(image.stages.get((plane.c, plane.z, plane.t)), sample)
                at = (numbers[plane.c], plane.z, plane.t)
                planes.append(Inside(plane.page, *at, well, field, stage, files[plane.file]))
        if not planes:
            raise SourceError("its OME-XML has no image with planes")
        left_out = len(self.images) - len(used)
        notes = (f"{left_out} images of the OME-XML belong to no well and are left out",) if left_out else ()
        return Contents(
            planes=tuple(planes),
            channels=tuple(channels.values()),
            pixel_size=next((image.pixel_size for image in used if image.pixel_size), None),
            acquisition=replace(used[0].acquisition, barcode=self.barcode),
            plate_name=self.plate_name,
            notes=notes,
        )


def read_ome(root: ElementTree.Element) -> Ome:
    """Understand an OME-XML; what makes no sense costs what it would have told.

    Raises
    ------
    SourceError
        when it has several plates, colour images, or sizes that no image has.
    """
    plates = list(_all(root, "Plate"))
    if len(plates) > 1:
        raise SourceError(f"describes {len(plates)} plates: open one at a time")
    plate = plates[0] if plates else ElementTree.Element("Plate")
    pointer = next(_all(root, "BinaryOnly"), None)
    lenses = {lens.get("ID", ""): lens for lens in root.iter() if local_name(lens) == "Objective"}
    return Ome(
        uuid=root.get("UUID", ""),
        images=tuple(_image(node, lenses) for node in _all(root, "Image")),
        samples=_samples(plate),
        plate_name=plate.get("Name", ""),
        barcode=plate.get("ExternalIdentifier", ""),
        only_in="" if pointer is None else pointer.get("MetadataFile", "another file"),
    )


def _all(parent: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    return (child for child in parent if local_name(child) == tag)


def _channel_keys(channels: Sequence[Channel]) -> list[str]:
    """Channels of two images are the same by name, without names by number."""
    return [channel.name or f"\0{number}" for number, channel in enumerate(channels)]


def _stage(plane: Stage | None, sample: _Sample | None) -> Stage:
    found = plane or Stage()
    if found.x_um is None and sample is not None:
        return found._replace(x_um=sample.stage.x_um, y_um=sample.stage.y_um)
    return found


def _samples(plate: ElementTree.Element) -> dict[str, _Sample]:
    """Fields by the image that they refer to, numbered by their index among those of their well."""
    samples: dict[str, _Sample] = {}
    for node in _all(plate, "Well"):
        row, column = number(node.get("Row")), number(node.get("Column"))
        if row is None or column is None or not is_on_a_plate(WellId(int(row), int(column))):
            continue
        fields = sorted(
            enumerate(_all(node, "WellSample")), key=lambda item: (number(item[1].get("Index")) or 0, item[0])
        )
        for place, (_, sample) in enumerate(fields, 1):
            image = next(_all(sample, "ImageRef"), None)
            if image is not None:
                samples[image.get("ID", "")] = _Sample(WellId(int(row), int(column)), place, _position(sample))
    return samples


def _position(node: ElementTree.Element) -> Stage:
    """Position in µm; OME's default unit, the reference frame, is no length."""
    y_um, x_um, z_um = (length_um(node.get(f"Position{axis}"), node.get(f"Position{axis}Unit")) for axis in "YXZ")
    return Stage(y_um, x_um, z_um)


def _image(node: ElementTree.Element, lenses: Mapping[str, ElementTree.Element]) -> OmeImage:
    pixels = next(_all(node, "Pixels"), ElementTree.Element("Pixels"))
    size_c, size_z, size_t = (int(positive(pixels.get(f"Size{axis}")) or 1) for axis in "CZT")
    if size_c * size_z * size_t > _MAX_PLANES:
        raise SourceError(f"announces {size_c} × {size_z} × {size_t} planes, which no image has")
    settings = next(_all(node, "ObjectiveSettings"), ElementTree.Element("ObjectiveSettings"))
    lens = lenses.get(settings.get("ID", ""), ElementTree.Element("Objective"))
    started = next((iso_time(child.text or "") for child in _all(node, "AcquisitionDate")), "")
    step_s = seconds(pixels, "TimeIncrement")
    return OmeImage(
        identifier=node.get("ID", ""),
        name=node.get("Name", ""),
        planes=tuple(_planes(pixels, (size_c, size_z, size_t))),
        channels=tuple(_channels(pixels, size_c)),
        pixel_size=ome_pixel_size(pixels),
        acquisition=Acquisition(
            objective=lens.get("Model", ""),
            magnification=positive(lens.get("NominalMagnification")),
            numerical_aperture=positive(lens.get("LensNA")),
            started=started,
            time_step_s=step_s if step_s and step_s > 0 else None,
        ),
        stages=_stages(pixels, started),
    )


def _channels(pixels: ElementTree.Element, count: int) -> Iterator[Channel]:
    described = list(_all(pixels, "Channel"))
    exposures: dict[int, float] = {}
    for plane in _all(pixels, "Plane"):
        exposure_s, c = seconds(plane, "ExposureTime"), _count(plane, "TheC")
        if exposure_s is not None:
            exposures.setdefault(c, exposure_s)
    for place in range(count):
        node = described[place] if place < len(described) else ElementTree.Element("Channel")
        if (positive(node.get("SamplesPerPixel")) or 1) > 1:
            raise SourceError("describes a colour image, grey planes are expected")
        name = node.get("Name", "").strip()
        exposure_s = exposures.get(place)
        yield Channel(
            # C:0 and Channel:0:0 are what libraries write who know no name.
            "" if name.replace(":", "").removeprefix("Channel").removeprefix("C").isdecimal() and ":" in name else name,
            wavelength_nm=_nanometres(node, "EmissionWavelength"),
            excitation_nm=_nanometres(node, "ExcitationWavelength"),
            exposure_ms=None if exposure_s is None else float(f"{exposure_s * 1000:.12g}"),
        )


def _planes(pixels: ElementTree.Element, sizes: tuple[int, int, int]) -> Iterator[OmePlane]:
    """Pages by ``TiffData``: each names a first plane, and how many follow it in the order of the dimensions."""
    order = [axis for axis in pixels.get("DimensionOrder", "XYCZT").upper() if axis in "CZT"]
    lengths = dict(zip("CZT", sizes, strict=True))
    if sorted(order) != ["C", "T", "Z"]:
        order = ["C", "Z", "T"]
    total = sizes[0] * sizes[1] * sizes[2]
    for node in _all(pixels, "TiffData"):
        uuid = next(_all(node, "UUID"), ElementTree.Element("UUID"))
        first = {axis: _count(node, f"First{axis}") for axis in "CZT"}
        place = _place(first, order, lengths)
        alone = node.get("IFD") is not None and node.get("PlaneCount") is None
        count = 1 if alone else int(positive(node.get("PlaneCount")) or total)
        for step in range(min(count, total - place)):
            at = _at(place + step, order, lengths)
            identity = (uuid.get("FileName", ""), (uuid.text or "").strip())
            yield OmePlane(*identity, _count(node, "IFD") + step, at["C"], at["Z"], at["T"])


def _place(at: Mapping[str, int], order: Sequence[str], lengths: Mapping[str, int]) -> int:
    """Number of a plane; one outside the image is past its end."""
    if any(at[axis] >= lengths[axis] for axis in order):
        return lengths["C"] * lengths["Z"] * lengths["T"]
    fast, middle, slow = order
    return at[fast] + lengths[fast] * (at[middle] + lengths[middle] * at[slow])


def _at(place: int, order: Sequence[str], lengths: Mapping[str, int]) -> dict[str, int]:
    at = {}
    for axis in order:
        place, at[axis] = divmod(place, lengths[axis])
    return at


def _stages(pixels: ElementTree.Element, started: str) -> dict[tuple[int, int, int], Stage]:
    stages = {}
    for node in _all(pixels, "Plane"):
        delta_s = seconds(node, "DeltaT")
        acquired = started if delta_s is None else later(started, delta_s)
        key = (_count(node, "TheC"), _count(node, "TheZ"), _count(node, "TheT"))
        stages[key] = _position(node)._replace(acquired=acquired)
    return stages


def _count(node: ElementTree.Element, name: str) -> int:
    return whole(node.get(name)) or 0


def _nanometres(node: ElementTree.Element, name: str) -> float | None:
    value_um = length_um(node.get(name), node.get(f"{name}Unit", "nm"))
    return None if value_um is None or value_um <= 0 else float(f"{value_um * 1000:.12g}")
