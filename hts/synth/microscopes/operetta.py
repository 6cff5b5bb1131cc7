"""An Operetta or Opera Phenix plate as Harmony exports it.

Harmony 5 after a real plate: ``Images/Index.idx.xml`` with a byte-order mark, everything told with every image, the
flat-field profile as almost-JSON text, LZW. Harmony 7 (``harmony=7``) after what public readers say of it: another
namespace, ``Images/Index.xml``, what belongs to a channel told once, shorter names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape

from hts.model import WellId
from hts.synth.scan import START, Pixels, PlateScan, ScanChannel, Shot, identifier

_NAMESPACES = {
    5: "http://www.perkinelmer.com/PEHH/HarmonyV5",
    7: "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7",
}
_INDEX = {5: "Index.idx.xml", 7: "Index.xml"}
_ZONE = "+01:00"
_PROFILE = (
    "{{Background: {{Character: Flat, Mean: 100.0}}, Channel: {number}, ChannelName: {name}, "
    "Foreground: {{Character: Flat}}, Version: Acapella:2013}}"
)


def write(folder: Path, scan: PlateScan, pixels: Pixels, harmony: int = 5) -> dict[Shot, Path]:
    """Write the plate into ``folder`` and return the file of every plane; lost fields are in the index only."""
    import tifffile

    images = folder / "Images"
    images.mkdir(parents=True)
    layout = folder / "Assaylayout"
    layout.mkdir()
    written: dict[Shot, Path] = {}
    for shot in scan.shots():
        written[shot] = images / file_name(shot, harmony)
        tifffile.imwrite(written[shot], pixels(shot), compression="lzw", metadata=None)
    text = "\r\n".join(_index(scan, harmony)) + "\r\n"
    (images / _INDEX[harmony]).write_text(text, encoding="utf-8-sig", newline="")
    text = "\r\n".join(_assay_layout(scan, harmony)) + "\r\n"
    (layout / f"{scan.plate_name}.xml").write_text(text, encoding="utf-8-sig", newline="")
    return written


def file_name(shot: Shot, harmony: int = 5) -> str:
    """Name of a plane's file: row, column, field, plane, channel and time point, all from 1."""
    place = f"r{shot.well.row + 1:02d}c{shot.well.column + 1:02d}f{shot.field:02d}p{shot.z + 1:02d}"
    if harmony == 5:
        return f"{place}-ch{shot.channel + 1}sk{shot.t + 1}fk1fl1.tiff"
    return f"{place}-ch{shot.channel + 1:02d}t{shot.t + 1:02d}.tiff"


def _index(scan: PlateScan, harmony: int) -> Iterator[str]:
    shots = list(replace(scan, lost=frozenset()).shots())
    yield from _head("EvaluationInputData", harmony)
    yield from (_element("User", "hts synth"), _element("InstrumentType", "Operetta" if harmony == 5 else "Phenix"))
    yield from _plate(scan)
    yield from _wells(shots)
    yield "<Maps><Map>"
    for number, channel in enumerate(scan.channels, 1):
        profile = _PROFILE.format(number=number, name=channel.name)
        yield f'<Entry ChannelID="{number}">{_element("FlatfieldProfile", profile)}</Entry>'
    yield "</Map>"
    if harmony != 5:
        yield "<Map>"
        for number, channel in enumerate(scan.channels, 1):
            yield f'<Entry ChannelID="{number}">{"".join(_channel(scan, channel))}</Entry>'
        yield "</Map>"
    yield "</Maps>"
    yield "<Images>"
    for shot in shots:
        told = _channel(scan, scan.channels[shot.channel]) if harmony == 5 else ()
        yield f'<Image Version="1">{"".join((*_image(scan, shot, harmony), *told))}</Image>'
    yield from ("</Images>", "</EvaluationInputData>")


def _head(root: str, harmony: int) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield (
        f'<{root} xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'Version="{1 if harmony == 5 else 2}" xmlns="{_NAMESPACES[harmony]}">'
    )


def _plate(scan: PlateScan) -> Iterator[str]:
    yield "<Plates><Plate>"
    yield _element("PlateID", scan.barcode)
    yield _element("MeasurementID", identifier([scan.fields, scan.n_z, scan.n_t]))
    yield _element("MeasurementStartTime", START.isoformat() + _ZONE)
    yield _element("Name", scan.plate_name)
    yield _element("PlateRows", scan.layout.rows)
    yield _element("PlateColumns", scan.layout.columns)
    yield from (f'<Well id="{_well_id(well)}" />' for well in scan.wells)
    yield "</Plate></Plates>"


def _wells(shots: Iterable[Shot]) -> Iterator[str]:
    by_well: dict[WellId, list[Shot]] = {}
    for shot in shots:
        by_well.setdefault(shot.well, []).append(shot)
    yield "<Wells>"
    for well, own in by_well.items():
        place = _element("Row", well.row + 1) + _element("Col", well.column + 1)
        yield f"<Well>{_element('id', _well_id(well))}{place}"
        yield from (f'<Image id="{_image_id(shot)}" />' for shot in own)
        yield "</Well>"
    yield "</Wells>"


def _image(scan: PlateScan, shot: Shot, harmony: int) -> Iterator[str]:
    x_um, y_um = scan.offset_um(shot.field)
    z_um = scan.z_step_um * shot.z
    yield from (_element("id", _image_id(shot)), _element("State", "Ok"), _element("URL", file_name(shot, harmony)))
    yield from (_element("Row", shot.well.row + 1), _element("Col", shot.well.column + 1))
    yield from (_element("FieldID", shot.field), _element("PlaneID", shot.z + 1), _element("TimepointID", shot.t))
    yield from (_element("ChannelID", shot.channel + 1), _element("FlimID", 1))
    # Rows of pixels go down, the stage's y goes up.
    yield from (_metres("PositionX", x_um), _metres("PositionY", -y_um))
    yield from (_metres("PositionZ", z_um), _metres("AbsPositionZ", 135_000 + z_um))
    yield _element("MeasurementTimeOffset", scan.time_step_s * shot.t, "s")
    yield _element("AbsTime", scan.acquired(shot).isoformat() + _ZONE)


def _channel(scan: PlateScan, channel: ScanChannel) -> Iterator[str]:
    yield _element("ChannelName", channel.name)
    yield from (_element("ImageType", "Signal"), _element("ChannelType", "Fluorescence"))
    yield from (_metres(f"ImageResolution{axis}", scan.pixel_size_um) for axis in "XY")
    yield from (_element("ImageSizeX", scan.shape[1]), _element("ImageSizeY", scan.shape[0]))
    yield _element("MainExcitationWavelength", f"{channel.excitation_nm:g}", "nm")
    yield _element("MainEmissionWavelength", f"{channel.emission_nm:g}", "nm")
    yield _element("ObjectiveMagnification", f"{scan.magnification:g}", "")
    yield _element("ObjectiveNA", f"{scan.numerical_aperture:g}", "")
    yield _element("ExposureTime", f"{channel.exposure_ms / 1000:.9g}", "s")


def _assay_layout(scan: PlateScan, harmony: int) -> Iterator[str]:
    yield from _head("AssayLayout", harmony)
    yield from (_element("PlateCols", scan.layout.columns), _element("PlateRows", scan.layout.rows))
    yield f"<Layer>{_element('Name', 'Compound')}{_element('ValueType', 'string')}</Layer>"
    yield "</AssayLayout>"


def _element(name: str, value: object, unit: str | None = None) -> str:
    attribute = "" if unit is None else f' Unit="{unit}"'
    return f"<{name}{attribute}>{escape(str(value))}</{name}>"


def _metres(name: str, value_um: float) -> str:
    return _element(name, f"{value_um * 1e-6:.12G}", "m")


def _well_id(well: WellId) -> str:
    return f"{well.row + 1:02d}{well.column + 1:02d}"


def _image_id(shot: Shot) -> str:
    return f"{_well_id(shot.well)}K{shot.t + 1}F{shot.field}P{shot.z + 1}R{shot.channel + 1}"
