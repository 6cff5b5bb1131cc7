"""From a microscope's folder to a plane table and planes that are read on demand."""

from __future__ import annotations

from hts.acquire.planes import TiffFacts, read_plane, tiff_metadata
from hts.acquire.readers import Listing, Reader, open_source
from hts.acquire.table import Plane, PlaneIssue, Source

__all__ = [
    "Listing",
    "Plane",
    "PlaneIssue",
    "Reader",
    "Source",
    "TiffFacts",
    "open_source",
    "read_plane",
    "tiff_metadata",
]
