"""Zeiss ZEN: one ``.czi`` file of the whole plate, its scenes in the wells of the carrier, or a file a well.

Pixels are written by pylibCZIrw; the metadata then get what ZEN writes and that library does not: scenes with their
wells and centres, channels with wavelengths and exposures, objective, start and times of the time series. Names of the
elements are those of files that ZEN wrote. Sub-blocks have no tags of their own (stage, focus, time), for the library
writes none.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from hts.model import FieldKey, WellId
from hts.synth.scan import START, Pixels, PlateScan, Shot

_GAP_PX = 100
_COMPRESSION = "zstd1:ExplicitLevel=1;PreProcess=HiLoByteUnpack"


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """The plate as ``<plate>.czi``; scenes ``P1`` … of a well are its fields, lost ones without pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    return _write_file(folder / f"{scan.plate_name}.czi", scan, scan.wells, pixels)


def write_files(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """One file a well: ``<plate>_B03.czi``."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Shot, Path] = {}
    for well in scan.wells:
        files |= _write_file(folder / f"{scan.plate_name}_{well.name}.czi", scan, (well,), pixels)
    return files


def _write_file(path: Path, scan: PlateScan, wells: Sequence[WellId], pixels: Pixels) -> dict[Shot, Path]:
    from pylibCZIrw.czi import create_czi, edit_czi

    keys = [FieldKey(well, number) for well in wells for number in range(1, scan.fields + 1)]
    scenes = {key: place for place, key in enumerate(keys)}
    files: dict[Shot, Path] = {}
    with create_czi(str(path), compression_options=_COMPRESSION) as writer:
        for shot in (shot for shot in scan.shots() if shot.well in wells):
            at = {"C": shot.channel, "Z": shot.z, "T": shot.t}
            left = scenes[shot.key] * (scan.shape[1] + _GAP_PX)
            writer.write(pixels(shot)[..., None], location=(left, 0), plane=at, scene=scenes[shot.key])
            files[shot] = path
        writer.write_metadata(
            document_name=scan.plate_name,
            channel_names={number: channel.name for number, channel in enumerate(scan.channels)},
            scale_x=scan.pixel_size_um * 1e-6,
            scale_y=scan.pixel_size_um * 1e-6,
            scale_z=scan.z_step_um * 1e-6,
        )
    with edit_czi(str(path)) as editor, editor.edit_session() as builder:
        builder.set_xml(metadata(builder.get_xml(), scan, list(scenes)))
    return files


def metadata(xml: str, scan: PlateScan, scenes: Sequence[FieldKey]) -> str:
    """The library's metadata with what ZEN adds."""
    root = ElementTree.fromstring(xml)
    information = _child(_child(root, "Metadata"), "Information")
    image = _child(information, "Image")
    _child(image, "AcquisitionDateAndTime").text = START.isoformat() + ".0000000Z"
    dimensions = _child(image, "Dimensions")
    for node, channel in zip(_child(dimensions, "Channels"), scan.channels, strict=True):
        node.set("Name", channel.name)
        _child(node, "ExcitationWavelength").text = f"{channel.excitation_nm:g}"
        _child(node, "EmissionWavelength").text = f"{channel.emission_nm:g}"
        _child(node, "ExposureTime").text = f"{channel.exposure_ms * 1e6:.0f}"
    times = _child(dimensions, "T")
    _child(times, "StartTime").text = START.isoformat() + ".0000000Z"
    offsets = " ".join(f"{scan.time_step_s * t:g}" for t in range(scan.n_t))
    _child(_child(_child(times, "Positions"), "List"), "Offsets").text = offsets
    _add_scenes(_child(_child(dimensions, "S"), "Scenes"), scan, scenes)
    _add_instrument(_child(information, "Instrument"), scan)
    ElementTree.SubElement(_child(image, "ObjectiveSettings"), "ObjectiveRef", Id="Objective:1")
    return ElementTree.tostring(root, encoding="unicode")


def _add_scenes(parent: ElementTree.Element, scan: PlateScan, scenes: Sequence[FieldKey]) -> None:
    for place, key in enumerate(scenes):
        x_um, y_um = scan.stage_um(key)
        scene = ElementTree.SubElement(parent, "Scene", Index=str(place), Name=f"P{key.field}")
        _child(scene, "CenterPosition").text = f"{x_um},{y_um}"
        _child(scene, "ArrayName").text = f"{key.well.row_name}{key.well.column + 1}"
        row, column = key.well.row + 1, key.well.column + 1
        shape = ElementTree.SubElement(scene, "Shape", Name=f"{key.well.row_name}{column}", Id=f"{row}-{column}")
        _child(shape, "ColumnIndex").text = str(column)
        _child(shape, "RowIndex").text = str(row)


def _add_instrument(instrument: ElementTree.Element, scan: PlateScan) -> None:
    ElementTree.SubElement(_child(instrument, "Microscopes"), "Microscope", Id="Microscope:1", Name="Celldiscoverer 7")
    lens = ElementTree.SubElement(_child(instrument, "Objectives"), "Objective", Id="Objective:1", Name=scan.objective)
    _child(lens, "LensNA").text = f"{scan.numerical_aperture:g}"
    _child(lens, "NominalMagnification").text = f"{scan.magnification:g}"


def _child(parent: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = parent.find(tag)
    return ElementTree.SubElement(parent, tag) if found is None else found
