"""A plate that no microscope's layout describes: images of any name in one folder, and a ``load_data.csv`` that says
what each of them is, as CellProfiler's LoadData reads it and pe2loaddata writes it (lengths in metres, y upwards).

Rows of ``load_data.csv`` are fields at a z and a t; it has two columns a channel. Lost fields are rows like others.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import tifffile

from hts.model import FieldKey
from hts.synth.scan import Pixels, PlateScan, Shot


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    files = {}
    for shot in scan.shots():
        path = images / _file_name(shot)
        tifffile.imwrite(path, pixels(shot), photometric="minisblack", metadata=None)
        files[shot] = path
    rows = [
        _row(scan, FieldKey(well, field), z, t)
        for well in scan.wells
        for field in range(1, scan.fields + 1)
        for t in range(scan.n_t)
        for z in range(scan.n_z)
    ]
    with (folder / "load_data.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return files


def _file_name(shot: Shot) -> str:
    """A name that says nothing, and differs from all others."""
    return f"img-{hashlib.blake2b(repr(shot).encode(), digest_size=12).hexdigest()}.tif"


def _row(scan: PlateScan, key: FieldKey, z: int, t: int) -> dict[str, object]:
    row: dict[str, object] = {}
    for place, channel in enumerate(scan.channels):
        row[f"FileName_Orig{channel.name}"] = _file_name(Shot(key.well, key.field, place, z, t))
        row[f"PathName_Orig{channel.name}"] = "images"
    x_um, y_um = scan.offset_um(key.field)
    return row | {
        "Metadata_Plate": scan.plate_name,
        "Metadata_Well": key.well.name,
        "Metadata_Row": key.well.row + 1,
        "Metadata_Col": key.well.column + 1,
        "Metadata_Site": key.field,
        "Metadata_PlaneID": z + 1,
        "Metadata_TimepointID": t,
        "Metadata_PositionX": f"{x_um * 1e-6:.9f}",
        "Metadata_PositionY": f"{-y_um * 1e-6:.9f}",
        "Metadata_AbsPositionZ": f"{0.006 + z * scan.z_step_um * 1e-6:.9f}",
        "Metadata_AbsTime": scan.acquired(Shot(key.well, key.field, 0, z, t)).isoformat(),
        "Metadata_ImageResolutionX": f"{scan.pixel_size_um * 1e-6:.9e}",
        "Metadata_ImageResolutionY": f"{scan.pixel_size_um * 1e-6:.9e}",
        "Metadata_ObjectiveMagnification": scan.magnification,
        "Metadata_ObjectiveNA": scan.numerical_aperture,
    }
