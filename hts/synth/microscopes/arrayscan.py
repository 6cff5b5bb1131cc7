"""A Cellomics ArrayScan's export to TIFF: ``MFGTMP_<date and number>_<well>f<field>d<detector>.TIF``, PackBits.

The instrument keeps its metadata in a database: the names are all that an export has. It knows no z planes and no
time points in names, so a scan with several of them is refused.
"""

from __future__ import annotations

from pathlib import Path

import tifffile

from hts.errors import UsageError
from hts.synth.scan import START, Pixels, PlateScan, Shot

_SERIAL = f"{START:%y%m%d%H}0001"


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate; raises UsageError for z planes or time points, which the layout has no place for."""
    if scan.n_z > 1 or scan.n_t > 1:
        raise UsageError(
            "one z plane and one time point: ArrayScan's names have no place for more",
            found=f"{scan.n_z} z planes, {scan.n_t} time points",
            fix="choose another microscope, such as imagexpress or scanr",
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for shot in scan.shots():
        path = folder / f"MFGTMP_{_SERIAL}_{shot.well.name}f{shot.field - 1:02d}d{shot.channel}.TIF"
        tifffile.imwrite(path, pixels(shot), compression="packbits", photometric="minisblack", metadata=None)
        files[shot] = path
    return files
