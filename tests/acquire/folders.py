"""Small synthetic folders: every plane has pixels that tell it from every other one."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

SHAPE = (24, 32)


def pixels(key: object, shape: tuple[int, int] = SHAPE, dtype: str = "uint16") -> NDArray[np.generic]:
    """Noise that depends on the key only."""
    rng = np.random.default_rng(zlib.crc32(repr(key).encode()))
    return rng.integers(1, 250, shape).astype(dtype)


def write_plane(path: Path, image: NDArray[np.generic], description: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"description": description.encode(), "metadata": None} if description else {"metadata": None}
    tifffile.imwrite(path, image, **options)
    return path


def metaseries(
    x_um: float = 100.0, y_um: float = 200.0, z_um: float = 50.0, name: str = "DAPI", pixel_um: float = 0.5
) -> str:
    """A MetaSeries description with the properties that matter."""
    props = {
        "spatial-calibration-state": "on",
        "spatial-calibration-x": pixel_um,
        "spatial-calibration-y": pixel_um,
        "spatial-calibration-units": "um",
        "image-name": f"Copy of {name}",
        "stage-position-x": x_um,
        "stage-position-y": y_um,
        "z-position": z_um,
        "wavelength": 452,
        "_IllumSetting_": name,
    }
    body = "".join(f'<prop id="{key}" type="string" value="{value}"/>' for key, value in props.items())
    return f"<MetaData><PlaneInfo>{body}</PlaneInfo></MetaData>"


def htd(waves: tuple[str, ...], wells: tuple[tuple[int, int], ...], n_t: int = 1, n_z: int = 0) -> str:
    """An HTD text of an 8 × 12 plate; ``wells`` are zero-based rows and columns."""
    lines = ['"HTSInfoFile", Version 1.0', f'"TimePoints", {n_t}', f'"ZSeries", {"TRUE" if n_z else "FALSE"}']
    lines += [f'"ZSteps", {n_z}', '"XWells", 12', '"YWells", 8']
    for row in range(8):
        selected = ", ".join("TRUE" if (row, column) in wells else "FALSE" for column in range(12))
        lines.append(f'"WellsSelection{row + 1}", {selected}')
    lines += [f'"WaveName{number}", "{name}"' for number, name in enumerate(waves, 1)]
    lines += [f'"WaveCollect{number}", 1' for number in range(1, len(waves) + 1)]
    return "\r\n".join([*lines, '"EndFile"', ""])
