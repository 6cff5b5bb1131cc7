"""OME-TIFF: a companion file with the plate and one TIFF a field, or files that say their wells by their names.

The XML follows the OME data model 2016-06: instrument, images with channels, planes and their pages, and the plate
whose well samples refer to the images. The TIFF files of a set only point to the companion file (``BinaryOnly``).
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import timedelta
from pathlib import Path

import numpy as np

from hts.model import FieldKey
from hts.synth.scan import START, Pixels, PlateScan, Shot, identifier

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """``<plate>.companion.ome`` beside ``<plate>_B03_1.ome.tif`` …; lost fields are announced and not there."""
    companion = f"{scan.plate_name}.companion.ome"
    root = _root(f"{scan.plate_name} companion")
    _add_instrument(root, scan)
    plate = ElementTree.SubElement(root, "Plate", ID="Plate:0", Name=scan.plate_name, ExternalIdentifier=scan.barcode)
    files: dict[Shot, Path] = {}
    folder.mkdir(parents=True, exist_ok=True)
    keys = [FieldKey(well, number) for well in scan.wells for number in range(1, scan.fields + 1)]
    for place, key in enumerate(keys):
        name = f"{scan.plate_name}_{key.well.name}_{key.field}.ome.tif"
        _add_image(root, scan, key, place, name)
        _add_sample(plate, scan, key, place)
        if key not in scan.lost:
            pointer = _root(name)
            reference = {"MetadataFile": companion, "UUID": root.get("UUID", "")}
            ElementTree.SubElement(pointer, "BinaryOnly", reference)
            files |= _write_stack(folder / name, scan, key, pixels, _text(pointer))
    # The schema wants the plate before the images.
    root.remove(plate)
    root.insert(0, plate)
    (folder / companion).write_text(_text(root), encoding="utf-8")
    return files


def write_named(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """``B03_s1.ome.tif`` …: files that describe themselves alone, their wells are in their names only."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Shot, Path] = {}
    for well in scan.wells:
        for key in (FieldKey(well, number) for number in range(1, scan.fields + 1)):
            if key not in scan.lost:
                name = f"{well.name}_s{key.field}.ome.tif"
                root = _root(name)
                _add_instrument(root, scan)
                _add_image(root, scan, key, 0, "")
                files |= _write_stack(folder / name, scan, key, pixels, _text(root))
    return files


def _root(seed: str) -> ElementTree.Element:
    return ElementTree.Element("OME", xmlns=_NAMESPACE, UUID=f"urn:uuid:{identifier(list(seed.encode()))}")


def _text(root: ElementTree.Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="unicode")


def _add_instrument(root: ElementTree.Element, scan: PlateScan) -> None:
    instrument = ElementTree.SubElement(root, "Instrument", ID="Instrument:0")
    lens = {"NominalMagnification": f"{scan.magnification:g}", "LensNA": f"{scan.numerical_aperture:g}"}
    ElementTree.SubElement(instrument, "Objective", {"ID": "Objective:0:0", "Model": scan.objective, **lens})


def _add_sample(plate: ElementTree.Element, scan: PlateScan, key: FieldKey, place: int) -> None:
    at = {"Row": str(key.well.row), "Column": str(key.well.column)}
    wells = [well for well in plate if (well.get("Row"), well.get("Column")) == (at["Row"], at["Column"])]
    well = wells[0] if wells else ElementTree.SubElement(plate, "Well", {"ID": f"Well:0:{len(plate)}", **at})
    x_um, y_um = scan.stage_um(key)
    units = {"PositionXUnit": "µm", "PositionYUnit": "µm"}
    position = {"PositionX": str(x_um), "PositionY": str(y_um), **units}
    sample = ElementTree.SubElement(well, "WellSample", {"ID": f"WellSample:{place}", "Index": str(place), **position})
    ElementTree.SubElement(sample, "ImageRef", ID=f"Image:{place}")


def _add_image(root: ElementTree.Element, scan: PlateScan, key: FieldKey, place: int, file: str) -> None:
    image = ElementTree.SubElement(root, "Image", ID=f"Image:{place}", Name=f"field {place + 1}")
    ElementTree.SubElement(image, "AcquisitionDate").text = START.isoformat()
    ElementTree.SubElement(image, "ObjectiveSettings", ID="Objective:0:0")
    sizes = {"SizeX": scan.shape[1], "SizeY": scan.shape[0]}
    sizes |= {"SizeZ": scan.n_z, "SizeC": len(scan.channels), "SizeT": scan.n_t}
    lengths = {
        "PhysicalSizeX": scan.pixel_size_um,
        "PhysicalSizeY": scan.pixel_size_um,
        "PhysicalSizeZ": scan.z_step_um,
    }
    facts = {name: str(value) for name, value in (sizes | lengths).items()}
    order = {
        "ID": f"Pixels:{place}",
        "DimensionOrder": "XYCZT",
        "Type": "uint16",
        "TimeIncrement": f"{scan.time_step_s:g}",
    }
    pixels = ElementTree.SubElement(image, "Pixels", order | facts)
    for number, channel in enumerate(scan.channels):
        light = {"EmissionWavelength": f"{channel.emission_nm:g}", "ExcitationWavelength": f"{channel.excitation_nm:g}"}
        names = {"ID": f"Channel:{place}:{number}", "Name": channel.name, "SamplesPerPixel": "1"}
        ElementTree.SubElement(pixels, "Channel", names | light)
    for page, shot in enumerate(_pages(scan, key)):
        first = {"FirstC": shot.channel, "FirstZ": shot.z, "FirstT": shot.t, "IFD": page, "PlaneCount": 1}
        data = ElementTree.SubElement(pixels, "TiffData", {name: str(value) for name, value in first.items()})
        if file:
            ElementTree.SubElement(data, "UUID", FileName=file).text = _root(file).get("UUID")
    for shot in _pages(scan, key):
        ElementTree.SubElement(pixels, "Plane", _plane(scan, shot))


def _plane(scan: PlateScan, shot: Shot) -> dict[str, str]:
    x_um, y_um = scan.stage_um(shot.key)
    seconds = (scan.acquired(shot) - START) / timedelta(seconds=1)
    return {
        "TheZ": str(shot.z),
        "TheT": str(shot.t),
        "TheC": str(shot.channel),
        "DeltaT": f"{seconds:.3f}",
        "ExposureTime": f"{scan.channels[shot.channel].exposure_ms:g}",
        "ExposureTimeUnit": "ms",
        "PositionX": str(x_um),
        "PositionXUnit": "µm",
        "PositionY": str(y_um),
        "PositionYUnit": "µm",
        "PositionZ": f"{100 + scan.z_step_um * shot.z:g}",
        "PositionZUnit": "µm",
    }


def _pages(scan: PlateScan, key: FieldKey) -> list[Shot]:
    """Pages of a field's file: channels fastest, then z, then time."""
    channels = range(len(scan.channels))
    return [Shot(*key, c, z, t) for t in range(scan.n_t) for z in range(scan.n_z) for c in channels]


def _write_stack(path: Path, scan: PlateScan, key: FieldKey, pixels: Pixels, text: str) -> dict[Shot, Path]:
    import tifffile

    taken = {shot: pixels(shot) for shot in scan.shots() if shot.key == key}
    stack = np.stack([taken[shot] for shot in _pages(scan, key)])
    tifffile.imwrite(path, stack, photometric="minisblack", description=text.encode(), metadata=None)
    return dict.fromkeys(taken, path)
