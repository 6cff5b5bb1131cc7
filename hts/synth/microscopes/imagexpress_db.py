"""Molecular Devices ImageXpress: the folders in which MetaXpress' database keeps its images, without an HTD file.

``<date>/<id>/[TimePoint_<t>/][ZStep_<z>/]<plate>_<well>[_s<site>][_w<wave>]<GUID>.tif``, each with a thumbnail of
64 × 80 pixels beside it; the maximum projection of a stack lies beside its ZStep folders. Written after such folders
of MetaXpress 6.5 and 6.7.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hts.synth import metaseries
from hts.synth.microscopes.imagexpress import base_name
from hts.synth.scan import START, Pixels, PlateScan, Shot, identifier

_ACQUISITION_ID = "1001"
_THUMBNAIL_PX = (64, 80)
_IMAGE, _THUMBNAIL, _PROJECTION, _STRAY = range(4)


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate into ``folder`` and return the file of every plane."""
    top = folder / START.strftime("%Y-%m-%d") / _ACQUISITION_ID
    files: dict[Shot, Path] = {}
    stack: list[NDArray[np.generic]] = []
    for shot in scan.shots():
        plane = pixels(shot)
        home = top / f"TimePoint_{shot.t + 1}" if scan.n_t > 1 else top
        files[shot] = _write(home / f"ZStep_{shot.z + 1}" if scan.n_z > 1 else home, plane, scan, shot)
        stack = [np.maximum(stack[0], plane)] if shot.z else [plane]
        if scan.n_z > 1 and shot.z == scan.n_z - 1:
            rows: metaseries.Rows = [("Z Projection Method", "string", "Maximum")]
            _write(home, stack[0], scan, shot._replace(z=0), rows)
    if files:
        # One that a program left behind, of a plane that is gone.
        stray = folder / f"{scan.plate_name}_A01_thumb{_guid(scan, next(iter(files)), _STRAY)}.tif"
        metaseries.write_plane(stray, np.zeros(_THUMBNAIL_PX, np.uint16), scan, next(iter(files)))
    return files


def _write(
    folder: Path, plane: NDArray[np.generic], scan: PlateScan, shot: Shot, rows: metaseries.Rows | None = None
) -> Path:
    """An image and its thumbnail; ``rows`` are further properties of a projection."""
    folder.mkdir(parents=True, exist_ok=True)
    name = base_name(scan, shot)
    path = folder / f"{name}{_guid(scan, shot, _PROJECTION if rows else _IMAGE)}.tif"
    metaseries.write_plane(path, plane, scan, shot, rows)
    y_px, x_px = (np.arange(few) * full // few for few, full in zip(_THUMBNAIL_PX, plane.shape, strict=True))
    small = np.ascontiguousarray(plane[np.ix_(y_px, x_px)])
    thumbnail = folder / f"{name}_thumb{_guid(scan, shot, _THUMBNAIL + 4 * bool(rows))}.tif"
    metaseries.write_plane(thumbnail, small, scan, shot, rows)
    return path


def _guid(scan: PlateScan, shot: Shot, kind: int) -> str:
    place = [*shot.well, shot.field, shot.channel, shot.z, shot.t]
    return identifier([kind, *place, *scan.barcode.encode()]).upper()
