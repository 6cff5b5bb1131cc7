"""What a conversion may be told beyond source and destination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hts.acquire.select import EVERYTHING, Part

CONVERT_STAGE = "convert"
"""Name of the stage in markers and fingerprints."""
Projection = Literal["none", "max", "mean"]
Progress = Callable[[int, int], None]
"""Called with the wells done and the wells expected."""


@dataclass(frozen=True)
class ConvertOptions:
    """Options of :func:`hts.convert`.

    ``reader`` and ``pattern`` as in :func:`hts.open_source`; ``layout`` is a CSV with what was put into the wells;
    ``part`` the wells, fields and channels to take; ``project`` replaces z stacks by their maximum or mean;
    ``remove_offset`` takes the constant off that all pixels carry; ``ngff`` is the version of OME-Zarr;
    ``pixel_size_um`` is for plates whose files do not tell it, or tell it wrongly; ``rewrite`` copies a plate that is
    OME-Zarr already; ``overwrite`` converts again what is committed; ``workers`` are threads, by default one a core.
    """

    reader: str | None = None
    pattern: str | None = None
    layout: Path | None = None
    part: Part = EVERYTHING
    project: Projection = "none"
    remove_offset: bool = False
    ngff: Literal["0.5", "0.4"] = "0.5"
    pixel_size_um: float | None = None
    rewrite: bool = False
    overwrite: bool = False
    workers: int | None = None
