"""TIFF files as MetaXpress writes them: one uncompressed plane with a MetaSeries description.

Written after files that MetaXpress 6.5 and 6.7 left behind; only what readers use is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from hts.synth.scan import PlateScan, Shot

FIRST_Z_UM = 9000.0
"""Height of the lowest plane above the stage's zero."""

Rows = list[tuple[str, str, object]]


def write_plane(path: Path, plane: NDArray[np.generic], scan: PlateScan, shot: Shot, extra: Rows | None = None) -> None:
    """Write a plane (Y, X) with all that :func:`plane_xml` says of it."""
    import tifffile

    tifffile.imwrite(
        path,
        plane,
        description=plane_xml(scan, shot, extra),
        datetime=scan.acquired(shot),
        # Readers recognise the description by this name.
        software="MetaSeries",
        metadata=None,
    )


def plane_xml(scan: PlateScan, shot: Shot, extra: Rows | None = None) -> str:
    """MetaSeries description of a plane: size, calibration (µm), stage position (µm), channel, exposure and time.

    ``extra`` are more properties (name, type, value) of the plane.
    """
    planes = '<SetInfo>\n<prop id="number-of-planes" type="int" value="1"/>\n</SetInfo>'
    info = f"<PlaneInfo>\n{_props([*_plane_rows(scan, shot), *(extra or [])])}\n</PlaneInfo>"
    return f"<MetaData>\n{_props(_head_rows(scan, shot))}\n{info}\n{planes}\n</MetaData>"


def _head_rows(scan: PlateScan, shot: Shot) -> Rows:
    channel = scan.channels[shot.channel]
    lines = [
        f"Plate Name: {scan.plate_name}",
        "Simulated by hts synth",
        *([f"Timepoint: {shot.t + 1}"] if scan.n_t > 1 else []),
        f"Exposure: {channel.exposure_ms:g} ms",
        "Binning: 1 x 1",
        f"Region: {scan.shape[1]} x {scan.shape[0]}, offset at (0, 0)",
    ]
    return [
        ("Description", "string", "\r\n".join(lines)),
        ("MetaDataVersion", "float", 1),
        ("ApplicationName", "string", "MetaMorph"),
    ]


def _plane_rows(scan: PlateScan, shot: Shot) -> Rows:
    channel = scan.channels[shot.channel]
    x_um, y_um = scan.stage_um(shot.key)
    time = scan.acquired(shot).strftime("%Y%m%d %H:%M:%S.%f")[:-3]
    return [
        ("plane-type", "string", "plane"),
        ("pixel-size-x", "int", scan.shape[1]),
        ("pixel-size-y", "int", scan.shape[0]),
        ("bits-per-pixel", "int", 16),
        ("spatial-calibration-state", "bool", "on"),
        ("spatial-calibration-x", "float", scan.pixel_size_um),
        ("spatial-calibration-y", "float", scan.pixel_size_um),
        ("spatial-calibration-units", "string", "um"),
        ("image-name", "string", channel.name),
        ("acquisition-time-local", "time", time),
        ("modification-time-local", "time", time),
        ("stage-position-x", "float", x_um),
        ("stage-position-y", "float", y_um),
        ("stage-label", "string", f"{shot.well.name} : Site {shot.field}"),
        ("z-position", "float", FIRST_Z_UM + shot.z * scan.z_step_um),
        ("wavelength", "float", channel.emission_nm),
        ("camera-binning-x", "int", 1),
        ("camera-binning-y", "int", 1),
        ("_IllumSetting_", "string", channel.name),
        ("_MagNA_", "float", scan.numerical_aperture),
        ("_MagSetting_", "string", scan.objective),
    ]


def _props(rows: Rows) -> str:
    # Line breaks become character references, which XML attributes keep; the file stays ASCII.
    entities: dict[str, Any] = {"\r": "&#13;", "\n": "&#10;"}
    return "\n".join(
        f'<prop id="{name}" type="{kind}" value={quoteattr(_text(value), entities)}/>' for name, kind, value in rows
    )


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
