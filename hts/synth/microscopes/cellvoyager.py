"""A plate as a Yokogawa CellVoyager CV8000 leaves it, after a real one.

Every plane is a record of ``MeasurementData.mlf``; each channel is an action of its own; a dark image of the camera
and the channels' shading images lie beside the planes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from hts.synth.scan import PITCH_MM, START, Pixels, PlateScan, ScanChannel, Shot

_NAMESPACE = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
_PRODUCT = "hts_simulated.wpp"
_ZONE = "+01:00"
_BAND_NM = 40
_DARK_LEVEL, _SHADING_LEVEL = 100, 10_000


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate into ``folder`` and return the file of every plane; lost fields are listed without files."""
    import tifffile

    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Shot, Path] = {}
    for shot in scan.shots():
        written[shot] = folder / file_name(scan, shot)
        tifffile.imwrite(written[shot], pixels(shot), metadata=None)
    levels = {shading_name(number, channel): _SHADING_LEVEL for number, channel in enumerate(scan.channels, 1)}
    for name, level in {"DC_sCMOS#1_CAM1.tif": _DARK_LEVEL, **levels}.items():
        tifffile.imwrite(folder / name, np.full(scan.shape, level, np.uint16), metadata=None)
    for name, lines in (
        ("MeasurementData.mlf", _records(scan)),
        ("MeasurementDetail.mrf", _detail(scan)),
        (f"{scan.plate_name}.mes", _setting(scan)),
        (f"{scan.plate_name}.wpi", _plate(scan)),
        (_PRODUCT, _product(scan)),
    ):
        text = "\r\n".join(('<?xml version="1.0" encoding="utf-8"?>', *lines)) + "\r\n"
        (folder / name).write_text(text, encoding="utf-8-sig", newline="")
    return written


def file_name(scan: PlateScan, shot: Shot) -> str:
    """Name of a plane's file; timeline 1, and an action a channel."""
    place = f"T{shot.t + 1:04d}F{shot.field:03d}L01A{shot.channel + 1:02d}Z{shot.z + 1:02d}C{shot.channel + 1:02d}"
    return f"{scan.plate_name}_{shot.well.name}_{place}.tif"


def shading_name(number: int, channel: ScanChannel) -> str:
    """Name of a channel's shading image; ``number`` counts from 1."""
    return f"SC_{_band(channel).replace('/', '-')}_20x_M01_CH{number:02d}.tif"


def _records(scan: PlateScan) -> Iterator[str]:
    yield f'<bts:MeasurementData bts:Version="1.0" {_NAMESPACE}>'
    for shot in replace(scan, lost=frozenset()).shots():
        x_um, y_um = scan.offset_um(shot.field)
        known = {
            "Type": "IMG",
            "Time": _time(scan.acquired(shot)),
            "Column": shot.well.column + 1,
            "Row": shot.well.row + 1,
            "TimePoint": shot.t + 1,
            "FieldIndex": shot.field,
            "ZIndex": shot.z + 1,
            "TimelineIndex": 1,
            "ActionIndex": shot.channel + 1,
            "Action": _action(scan),
            # Rows of pixels go down, the stage's y goes up; the microscope writes one decimal.
            "X": f"{x_um:.1f}",
            "Y": f"{-y_um:.1f}",
            "Z": f"{scan.z_step_um * shot.z:.1f}",
            "Ch": shot.channel + 1,
        }
        yield f"<bts:MeasurementRecord {_attributes(known)}>{escape(file_name(scan, shot))}</bts:MeasurementRecord>"
    yield "</bts:MeasurementData>"


def _detail(scan: PlateScan) -> Iterator[str]:
    last = START + timedelta(seconds=scan.time_step_s * scan.n_t)
    measurement = {
        "Version": "1.0",
        "OperatorName": "hts synth",
        "Title": scan.plate_name,
        "BeginTime": _time(START),
        "EndTime": _time(last),
        "MeasurementSettingFileName": f"{scan.plate_name}.mes",
        "ColumnCount": scan.layout.columns,
        "RowCount": scan.layout.rows,
        "TimePointCount": scan.n_t,
        "FieldCount": scan.fields,
        "ZCount": scan.n_z,
        "TargetSystem": "CV8000",
        "ReleaseNumber": "R2.06.03",
        "Status": 0,
    }
    yield f"<bts:MeasurementDetail {_attributes(measurement)} {_NAMESPACE}>"
    plate = {
        "Name": scan.plate_name,
        "WellPlateFileName": f"{scan.plate_name}.wpi",
        "WellPlateProductFileName": _PRODUCT,
    }
    yield f"<bts:MeasurementSamplePlate {_attributes(plate)} />"
    for number, channel in enumerate(scan.channels, 1):
        camera = {
            "Ch": number,
            "HorizontalPixelDimension": scan.pixel_size_um,
            "VerticalPixelDimension": scan.pixel_size_um,
            "CameraNumber": 1,
            "InputBitDepth": 16,
            "HorizontalPixels": scan.shape[1],
            "VerticalPixels": scan.shape[0],
            "ShadingCorrectionSource": shading_name(number, channel),
        }
        yield f"<bts:MeasurementChannel {_attributes(camera)} />"
    yield "</bts:MeasurementDetail>"


def _setting(scan: PlateScan) -> Iterator[str]:
    yield f'<bts:MeasurementSetting bts:Version="1.0" {_NAMESPACE}>'
    yield '<bts:Timelapse><bts:Timeline bts:Name="Time Line 1" bts:InitialTime="0">'
    yield '<bts:WellSequence bts:IsSelected="true">'
    for well in scan.wells:
        place = _attributes({"Column": well.column + 1, "Row": well.row + 1})
        yield f"<bts:TargetWell {place}>true</bts:TargetWell>"
    yield "</bts:WellSequence>"
    yield '<bts:ActionList bts:RunMode="sequential">'
    for number in range(1, len(scan.channels) + 1):
        name = f"bts:ActionAcquire{_action(scan)}"
        yield f"<{name} {_attributes({'SliceLength': scan.z_step_um})}><bts:Ch>{number}</bts:Ch></{name}>"
    yield "</bts:ActionList></bts:Timeline></bts:Timelapse>"
    yield "<bts:LightSourceList>"
    for wavelength_nm in sorted({channel.excitation_nm for channel in scan.channels}):
        known = {"Name": f"{wavelength_nm:g}nm", "Type": "Laser", "WaveLength": f"{wavelength_nm:g}", "Power": 50}
        yield f"<bts:LightSource {_attributes(known)} />"
    yield "</bts:LightSourceList>"
    yield "<bts:ChannelList>"
    for number, channel in enumerate(scan.channels, 1):
        light = f"<bts:LightSourceName>{channel.excitation_nm:g}nm</bts:LightSourceName>"
        yield f"<bts:Channel {_attributes(_channel(scan, number, channel))}>{light}</bts:Channel>"
    yield "</bts:ChannelList>"
    yield "</bts:MeasurementSetting>"


def _channel(scan: PlateScan, number: int, channel: ScanChannel) -> dict[str, object]:
    return {
        "Ch": number,
        "Target": channel.name,
        "Objective": scan.objective,
        "Magnification": f"{scan.magnification:g}",
        "Method": "Confocal Fluorescence",
        "Acquisition": _band(channel),
        "ExposureTime": f"{channel.exposure_ms:g}",
        "Binning": 1,
        "Kind": "ConfocalFluorescence",
        "Fluorophore": "",
    }


def _plate(scan: PlateScan) -> Iterator[str]:
    known = {"Version": "1.0", "Name": scan.plate_name, "Columns": scan.layout.columns, "Rows": scan.layout.rows}
    yield f"<bts:WellPlate {_attributes(known)} {_NAMESPACE} />"


def _product(scan: PlateScan) -> Iterator[str]:
    pitch_mm = PITCH_MM.get(scan.layout.rows * scan.layout.columns, 9.0)
    known = {"Version": "1.0", "Name": "simulated", "ColumnPitch": pitch_mm, "RowPitch": pitch_mm}
    yield f"<bts:WellPlateProduct {_attributes(known)} {_NAMESPACE} />"


def _action(scan: PlateScan) -> str:
    return "3D" if scan.n_z > 1 else "2D"


def _band(channel: ScanChannel) -> str:
    return f"BP{channel.emission_nm:g}/{_BAND_NM}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds") + _ZONE


def _attributes(known: Mapping[str, object]) -> str:
    return " ".join(f"bts:{name}={quoteattr(str(value))}" for name, value in known.items())
