"""The plane table: every plane a plate should have, the file it is in, or why it is absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import NotFoundError
from hts.locations import Location, relative_name
from hts.model import Channel, PixelSize, WellId

if TYPE_CHECKING:
    import pandas as pd

FRAME_COLUMNS = (
    "Well",
    "Field",
    "Channel",
    "Z",
    "T",
    "Status",
    "Reason",
    "File",
    "Index",
    "Y_um",
    "X_um",
    "Z_um",
    "Acquired",
)
"""Columns of :meth:`Source.to_frame`, in this order."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane on disk.

    ``z`` and ``t`` are zero-based indices into the plate's sorted z and t values; ``field`` is the vendor's own
    number (1 when the name has none); ``index`` is the plane's number in a file of many, None for a file's only plane;
    positions are those of the stage; ``acquired`` is the time in ISO 8601, empty where nobody tells it.
    """

    well: WellId
    field: int
    channel: str
    z: int = 0
    t: int = 0
    path: Location = Path()
    index: int | None = None
    y_um: float | None = None
    x_um: float | None = None
    z_um: float | None = None
    acquired: str = ""


PlaneReader = Callable[[Plane, tuple[int, int], "np.dtype[Any]"], NDArray[Any]]
"""Pixels (Y, X) of a plane that must have this shape and dtype; SourceError when it has not."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What the vendor's metadata say of a plate as a whole; empty or None where they say nothing.

    ``started`` is the time in ISO 8601; ``time_step_s`` the interval of two time points; ``binning`` is written
    ``2x2``.
    """

    barcode: str = ""
    instrument: str = ""
    objective: str = ""
    magnification: float | None = None
    numerical_aperture: float | None = None
    started: str = ""
    time_step_s: float | None = None
    binning: str = ""


UNKNOWN = Acquisition()
"""When nothing is known."""


@dataclass(frozen=True, slots=True)
class PlaneIssue:
    """An expected plane that cannot be used.

    ``status`` is ``missing``, ``unreadable`` or ``duplicate``; ``file`` is relative to the source's root, empty when
    missing; the files of a duplicate are joined by ``"; "``.
    """

    well: WellId
    field: int
    channel: str
    z: int
    t: int
    status: str
    reason: str
    file: str = ""


@dataclass(frozen=True)
class Source:
    """A microscope's folder as a reader understood it; nothing of its pixels is in memory.

    ``planes`` are those found, sorted by well, field, t, channel (in the order of ``channels``) and z; ``issues`` are
    the expected ones that are absent, in the same order. ``shape`` is (Y, X) in pixels and ``dtype`` the pixel type
    of the majority. ``offset`` is a constant that all pixels looked at carry (ScanR adds 32,768), 0 for none; it is in
    the pixels. ``read`` reads planes of a format that :func:`hts.acquire.read_plane` does not know. ``notes`` are
    sentences for people: what the metadata announce and the disk has not, what was left out and why.
    """

    root: Location
    reader: str
    plate_name: str
    channels: tuple[Channel, ...]
    n_z: int
    n_t: int
    planes: tuple[Plane, ...]
    issues: tuple[PlaneIssue, ...]
    pixel_size: PixelSize | None
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    vendor_files: tuple[Location, ...] = ()
    notes: tuple[str, ...] = ()
    acquisition: Acquisition = UNKNOWN
    offset: int = 0
    read: PlaneReader | None = None

    @property
    def wells(self) -> tuple[WellId, ...]:
        """Every expected well, sorted; a well without a single file is among them."""
        return tuple(self._fields_by_well)

    def fields(self, well: WellId) -> tuple[int, ...]:
        """Expected fields of a well, by the vendor's number.

        Raises
        ------
        NotFoundError
            when the plate has no such well.
        """
        try:
            return self._fields_by_well[well]
        except KeyError:
            known = ", ".join(other.name for other in self.wells[:6])
            raise NotFoundError(
                f"a well of plate {self.plate_name}, such as {known}",
                found=well.name,
                fix="hts inspect lists the wells of the folder",
            ) from None

    @cached_property
    def _fields_by_well(self) -> dict[WellId, tuple[int, ...]]:
        fields: dict[WellId, set[int]] = {}
        for plane in self.planes:
            fields.setdefault(plane.well, set()).add(plane.field)
        for issue in self.issues:
            fields.setdefault(issue.well, set()).add(issue.field)
        return {well: tuple(sorted(fields[well])) for well in sorted(fields)}

    def to_frame(self) -> pd.DataFrame:
        """The completeness table: one row per expected plane, with the columns :data:`FRAME_COLUMNS`.

        ``Status`` is found, missing, unreadable or duplicate; ``File`` is relative to ``root``; ``Index`` is NA and
        the positions are NaN where there is no plane. Rows are sorted as ``planes`` are.
        """
        import pandas as pd

        order = {channel.name: number for number, channel in enumerate(self.channels)}
        rows = [self._found_row(plane) for plane in self.planes] + [_issue_row(issue) for issue in self.issues]
        rows.sort(key=lambda row: (row[0], row[1], row[4], order[row[2]], row[3]))
        frame = pd.DataFrame([(row[0].name, *row[1:]) for row in rows], columns=list(FRAME_COLUMNS))
        types: dict[str, str] = {"Index": "Int64", "Y_um": "float64", "X_um": "float64", "Z_um": "float64"}
        return frame.astype(types)

    def file_name(self, plane: Plane) -> str:
        """The plane's file relative to ``root``, with ``/`` between folders."""
        return relative_name(plane.path, self.root)

    def _found_row(self, plane: Plane) -> tuple[Any, ...]:
        where = (plane.well, plane.field, plane.channel, plane.z, plane.t)
        place = (plane.y_um, plane.x_um, plane.z_um, plane.acquired)
        return (*where, "found", "", self.file_name(plane), plane.index, *place)


def _issue_row(issue: PlaneIssue) -> tuple[Any, ...]:
    where = (issue.well, issue.field, issue.channel, issue.z, issue.t)
    return (*where, issue.status, issue.reason, issue.file, None, None, None, None, "")
