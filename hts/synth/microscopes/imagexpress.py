"""Molecular Devices ImageXpress: a plate as MetaXpress exports it.

``TimePoint_<t>/[ZStep_<z>/]<plate>_<well>[_s<site>][_w<wave>].TIF`` with the HTD file on top and a copy of it in every
folder. Written after folders that MetaXpress 6.7 exported; only what readers use is kept.
"""

from __future__ import annotations

from pathlib import Path

from hts.model import WellId
from hts.synth import metaseries
from hts.synth.scan import Pixels, PlateScan, Shot, identifier


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate into ``folder`` and return the file of every plane."""
    htd = htd_text(scan).encode("latin-1")
    subfolders = {_subfolder(scan, z, t) for z in range(scan.n_z) for t in range(scan.n_t)}
    for inner in sorted({Path(), *subfolders, *(path.parent for path in subfolders)}):
        (folder / inner).mkdir(parents=True, exist_ok=True)
        (folder / inner / f"{scan.plate_name}.HTD").write_bytes(htd)
    files: dict[Shot, Path] = {}
    for shot in scan.shots():
        files[shot] = folder / _subfolder(scan, shot.z, shot.t) / file_name(scan, shot)
        metaseries.write_plane(files[shot], pixels(shot), scan, shot)
    return files


def file_name(scan: PlateScan, shot: Shot) -> str:
    """Name of a plane's file; as on the microscope, a lone site or wave is not numbered."""
    return f"{base_name(scan, shot)}.TIF"


def base_name(scan: PlateScan, shot: Shot) -> str:
    """Plate, well, site and wave of a plane."""
    site = f"_s{shot.field}" if scan.fields > 1 else ""
    wave = f"_w{shot.channel + 1}" if len(scan.channels) > 1 else ""
    return f"{scan.plate_name}_{shot.well.name}{site}{wave}"


def htd_text(scan: PlateScan) -> str:
    """The HTD file: which wells, sites, waves, z steps and time points the acquisition has."""
    site_columns, site_rows = scan.site_grid
    names = [channel.name for channel in scan.channels]
    lines = [
        '"HTSInfoFile", Version 1.0',
        _line("Description", _quoted("simulated by hts synth")),
        _line("PlateType", 6),
        _line("TimePoints", scan.n_t),
        _line("ZSeries", _truth(scan.n_z > 1)),
        _line("ZSteps", scan.n_z),
        _line("ZProjection", "FALSE"),
        _line("XWells", scan.layout.columns),
        _line("YWells", scan.layout.rows),
        *(_line(f"WellsSelection{row + 1}", _wells(scan, row)) for row in range(scan.layout.rows)),
        _line("Sites", _truth(scan.fields > 1)),
        _line("XSites", site_columns),
        _line("YSites", site_rows),
        *(_line(f"SiteSelection{row + 1}", _sites(scan, row)) for row in range(site_rows)),
        _line("Waves", _truth(len(names) > 1)),
        _line("NWavelengths", len(names)),
        *(_line(f"WaveName{number}", _quoted(name)) for number, name in enumerate(names, 1)),
        *(_line(f"WaveCollect{number}", 1) for number in range(1, len(names) + 1)),
        _line("UniquePlateIdentifier", _quoted(identifier(list(scan.barcode.encode())))),
        '"EndFile"',
    ]
    return "\r\n".join(lines) + "\r\n"


def _subfolder(scan: PlateScan, z: int, t: int) -> Path:
    time_point = Path(f"TimePoint_{t + 1}")
    return time_point / f"ZStep_{z + 1}" if scan.n_z > 1 else time_point


def _line(key: str, value: object) -> str:
    return f'"{key}", {value}'


def _quoted(text: str) -> str:
    return f'"{text}"'


def _truth(flag: bool) -> str:
    return "TRUE" if flag else "FALSE"


def _wells(scan: PlateScan, row: int) -> str:
    return ", ".join(_truth(WellId(row, column) in scan.wells) for column in range(scan.layout.columns))


def _sites(scan: PlateScan, row: int) -> str:
    columns = scan.site_grid[0]
    return ", ".join(_truth(row * columns + column < scan.fields) for column in range(columns))
