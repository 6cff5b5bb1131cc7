"""What can be converted: microscope folders through their readers, and plates that are OME-Zarr already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hts.acquire import Source, open_source
from hts.engine.conversion.plates import OME_ZARR, from_plate
from hts.errors import SourceError, UsageError
from hts.locations import Location
from hts.model import PixelSize
from hts.store import Plate, looks_like_zarr


def open_input(where: Location, reader: str | None = None, pattern: str | None = None) -> Source:
    """The plane table of a microscope folder or an OME-Zarr plate; raises what :func:`hts.open_source` does."""
    if reader == OME_ZARR or (reader is None and pattern is None and looks_like_zarr(where)):
        source = from_plate(Plate.open(where))
    else:
        if not isinstance(where, Path):
            # fsspec remembers listings for as long as the process lives; others may have written meanwhile.
            where.fs.invalidate_cache()
        source = open_source(where, reader=reader, pattern=pattern)
    if source.dtype.kind not in "biuf":
        raise SourceError(f"{where} has pixels that are integers or real numbers", found=str(source.dtype))
    return source


def with_pixel_size(source: Source, pixel_size_um: float | None) -> Source:
    """The source with the pixel size that a person gave, noted where the files say otherwise."""
    if pixel_size_um is None:
        return source
    if not 0 < pixel_size_um < 1000:
        raise UsageError("a pixel size in micrometres above 0", found=f"{pixel_size_um:g}")
    told = source.pixel_size
    notes = source.notes
    if told is not None and not np.allclose((told.y_um, told.x_um), pixel_size_um, rtol=1e-4):
        notes = (*notes, f"pixel size {pixel_size_um:g} µm was given by hand; the files say {told.x_um:g} µm")
    given = PixelSize(pixel_size_um, pixel_size_um, told.z_um if told else None)
    return replace(source, pixel_size=given, notes=notes)
