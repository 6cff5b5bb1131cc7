"""How an ImageXpress plate describes itself: file names, the HTD file and the XML in each TIFF.

Written after folders that MetaXpress 6.7 exported; only what readers use is kept.
"""

from __future__ import annotations

import math
import uuid
from datetime import datetime, timedelta
from xml.sax.saxutils import quoteattr

from hts.model import FieldKey, PlateLayout, WellId
from hts.synth.spec import STREAM_PLATE, SynthSpec, generator
from hts.synth.stains import STAINS

TIME_POINT_FOLDER = "TimePoint_1"
PITCH_MM = {96: 9.0, 384: 4.5, 1536: 2.25}
"""Distance of neighbouring wells by plate size (ANSI/SLAS 4)."""
PLATE_MM = (127.76, 85.48)
"""Footprint of a plate, x and y (ANSI/SLAS 1); wells are centred on it."""
SITE_STEP = 1.1
"""Distance of neighbouring fields in field widths: they do not meet, since they do not continue one another."""
START = datetime(2024, 1, 15, 9, 0, 0)


def site_grid(fields: int) -> tuple[int, int]:
    """Columns and rows of the smallest near-square grid of sites; sites are numbered row by row."""
    columns = math.ceil(math.sqrt(fields))
    return columns, math.ceil(fields / columns)


def file_name(spec: SynthSpec, key: FieldKey, channel_index: int) -> str:
    """Name of a plane's file; as on the microscope, a lone site or wave is not numbered."""
    site = f"_s{key.field}" if spec.fields > 1 else ""
    wave = f"_w{channel_index + 1}" if spec.channels > 1 else ""
    return f"{spec.plate_name}_{key.well.name}{site}{wave}.TIF"


def stage_position_um(spec: SynthSpec, key: FieldKey) -> tuple[float, float]:
    """Stage x and y of the centre of a field; both grow from A01 to the last well."""
    layout = spec.layout
    pitch = PITCH_MM[layout.rows * layout.columns]
    x_mm = (PLATE_MM[0] - (layout.columns - 1) * pitch) / 2 + key.well.column * pitch
    y_mm = (PLATE_MM[1] - (layout.rows - 1) * pitch) / 2 + key.well.row * pitch
    columns, rows = site_grid(spec.fields)
    row, column = divmod(key.field - 1, columns)
    step = SITE_STEP * spec.size_px * spec.pixel_size_um
    x_um, y_um = x_mm * 1000 + (column - (columns - 1) / 2) * step, y_mm * 1000 + (row - (rows - 1) / 2) * step
    return round(x_um, 2), round(y_um, 2)


def plate_identifier(spec: SynthSpec) -> str:
    """A UUID (version 4 in form) that follows from the seed."""
    return str(uuid.UUID(bytes=generator(spec, STREAM_PLATE, 2).bytes(16), version=4))


def htd_text(spec: SynthSpec) -> str:
    """The HTD file: which wells, sites and waves the acquisition has."""
    layout, (site_columns, site_rows) = spec.layout, site_grid(spec.fields)
    wells = set(spec.well_ids)
    lines = [
        '"HTSInfoFile", Version 1.0',
        _line("Description", _quoted("simulated by hts synth")),
        _line("PlateType", 6),
        _line("TimePoints", 1),
        _line("ZSeries", "FALSE"),
        _line("ZSteps", 1),
        _line("ZProjection", "FALSE"),
        _line("XWells", layout.columns),
        _line("YWells", layout.rows),
        *(_line(f"WellsSelection{row + 1}", _flags(wells, layout, row)) for row in range(layout.rows)),
        _line("Sites", _truth(spec.fields > 1)),
        _line("XSites", site_columns),
        _line("YSites", site_rows),
        *(_line(f"SiteSelection{row + 1}", _sites(spec.fields, site_columns, row)) for row in range(site_rows)),
        _line("Waves", _truth(spec.channels > 1)),
        _line("NWavelengths", spec.channels),
        *(_line(f"WaveName{i}", _quoted(name)) for i, name in enumerate(spec.channel_names, 1)),
        *(_line(f"WaveCollect{i}", 1) for i in range(1, spec.channels + 1)),
        _line("UniquePlateIdentifier", _quoted(plate_identifier(spec))),
        '"EndFile"',
    ]
    return "\r\n".join(lines) + "\r\n"


def _line(key: str, value: object) -> str:
    return f'"{key}", {value}'


def _quoted(text: str) -> str:
    return f'"{text}"'


def _truth(flag: bool) -> str:
    return "TRUE" if flag else "FALSE"


def _flags(wells: set[WellId], layout: PlateLayout, row: int) -> str:
    return ", ".join(_truth(WellId(row, column) in wells) for column in range(layout.columns))


def _sites(fields: int, columns: int, row: int) -> str:
    return ", ".join(_truth(row * columns + column < fields) for column in range(columns))


def plane_xml(spec: SynthSpec, key: FieldKey, channel_index: int, acquired: datetime) -> str:
    """MetaSeries description of a plane: size, calibration (µm), stage position (µm), channel and time."""
    name = spec.channel_names[channel_index]
    stain = STAINS[name]
    x_um, y_um = stage_position_um(spec, key)
    time = acquired.strftime("%Y%m%d %H:%M:%S.%f")[:-3]
    plane: list[tuple[str, str, object]] = [
        ("plane-type", "string", "plane"),
        ("pixel-size-x", "int", spec.size_px),
        ("pixel-size-y", "int", spec.size_px),
        ("bits-per-pixel", "int", 16),
        ("spatial-calibration-state", "bool", "on"),
        ("spatial-calibration-x", "float", spec.pixel_size_um),
        ("spatial-calibration-y", "float", spec.pixel_size_um),
        ("spatial-calibration-units", "string", "um"),
        ("image-name", "string", name),
        ("acquisition-time-local", "time", time),
        ("modification-time-local", "time", time),
        ("stage-position-x", "float", x_um),
        ("stage-position-y", "float", y_um),
        ("stage-label", "string", f"{key.well.name} : Site {key.field}"),
        ("z-position", "float", 9000),
        ("wavelength", "float", stain.wavelength_nm),
        ("camera-binning-x", "int", 1),
        ("camera-binning-y", "int", 1),
        ("_IllumSetting_", "string", stain.filter_name),
        ("_MagNA_", "float", 0.75),
        ("_MagSetting_", "string", "20X simulated"),
    ]
    head: list[tuple[str, str, object]] = [
        ("Description", "string", f"Plate Name: {spec.plate_name}\r\nSimulated by hts synth, seed {spec.seed}"),
        ("MetaDataVersion", "float", 1),
        ("ApplicationName", "string", "MetaMorph"),
    ]
    planes = '<SetInfo>\n<prop id="number-of-planes" type="int" value="1"/>\n</SetInfo>'
    return f"<MetaData>\n{_props(head)}\n<PlaneInfo>\n{_props(plane)}\n</PlaneInfo>\n{planes}\n</MetaData>"


def _props(rows: list[tuple[str, str, object]]) -> str:
    # Line breaks become character references, which XML attributes keep; the file stays ASCII.
    entities = {"\r": "&#13;", "\n": "&#10;"}
    return "\n".join(
        f'<prop id="{name}" type="{kind}" value={quoteattr(str(value), entities)}/>' for name, kind, value in rows
    )


def acquisition_time(spec: SynthSpec, field_index: int, channel_index: int) -> datetime:
    """Time of a plane when one is taken every 0.4 s, field by field in the order of the wells."""
    return START + timedelta(seconds=0.4 * (field_index * spec.channels + channel_index))
