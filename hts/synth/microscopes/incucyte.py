"""An IncuCyte's export: a folder a channel, ``<vessel>_<well>_<image>_<days>d<hours>h<minutes>m.tif``.

The names are all that an export has; it has no z planes, so a scan with several of them is refused. Time points are
written to the full minute, as the instrument does.
"""

from __future__ import annotations

from pathlib import Path

import tifffile

from hts.errors import UsageError
from hts.synth.scan import Pixels, PlateScan, Shot

_DAY_MIN, _HOUR_MIN = 1440, 60


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate; raises UsageError for z planes, and for time points within a minute of one another."""
    if scan.n_z > 1 or (scan.n_t > 1 and scan.time_step_s < 60):
        raise UsageError(
            "one z plane, and time points of a minute or more: IncuCyte's names have no place for more",
            found=f"{scan.n_z} z planes, a time step of {scan.time_step_s} s",
            fix="choose another microscope, such as imagexpress or scanr",
        )
    files = {}
    for shot in scan.shots():
        well = f"{shot.well.row_name}{shot.well.column + 1}"
        channel = scan.channels[shot.channel].name
        path = folder / channel / f"VID0001_{well}_{shot.field}_{_elapsed(shot.t * scan.time_step_s)}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, pixels(shot), photometric="minisblack", metadata=None)
        files[shot] = path
    return files


def _elapsed(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // _DAY_MIN:02d}d{minutes % _DAY_MIN // _HOUR_MIN:02d}h{minutes % _HOUR_MIN:02d}m"
