"""From a microscope's folder to a plane table and planes that are read on demand."""

from __future__ import annotations

from hts.acquire.descriptions import Header
from hts.acquire.planes import read_header, read_plane
from hts.acquire.readers import Listing, Reader, open_source
from hts.acquire.table import Plane, PlaneIssue, Source

__all__ = [
    "Header",
    "Listing",
    "Plane",
    "PlaneIssue",
    "Reader",
    "Source",
    "open_source",
    "read_header",
    "read_plane",
]
