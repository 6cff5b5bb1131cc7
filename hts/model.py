"""The nouns of a screen: frozen values, no input or output.

Rows and columns are zero-based inside; names are what people write on plates (``B03``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from hts.errors import UsageError

_WELL_NAME = re.compile(r"([A-Za-z]{1,2})[\s_-]*0*([1-9][0-9]{0,2})")
PLATE_FORMATS: dict[int, tuple[int, int]] = {
    6: (2, 3),
    12: (3, 4),
    24: (4, 6),
    48: (6, 8),
    96: (8, 12),
    384: (16, 24),
    1536: (32, 48),
}
"""Standard plate sizes in wells, with their rows and columns (ANSI/SLAS formats)."""


def row_name(row: int) -> str:
    """``0 → "A"``, ``25 → "Z"``, ``26 → "AA"``."""
    letters = ""
    row += 1
    while row:
        row, rest = divmod(row - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def row_index(name: str) -> int:
    """``"A" → 0``, ``"AA" → 26``; the inverse of :func:`row_name`."""
    index = 0
    for letter in name.strip().upper():
        if not "A" <= letter <= "Z":
            raise UsageError("a plate row is one or two letters, such as B or AF", found=repr(name))
        index = index * 26 + ord(letter) - ord("A") + 1
    if index == 0:
        raise UsageError("a plate row is one or two letters, such as B or AF", found=repr(name))
    return index - 1


class WellId(NamedTuple):
    """A well by zero-based row and column; sorts row by row.

    >>> WellId.parse("b3").name
    'B03'
    """

    row: int
    column: int

    @classmethod
    def parse(cls, text: str) -> WellId:
        """Read ``B03``, ``b3``, ``B-003`` or ``AA12``.

        Raises
        ------
        UsageError
            when the text is not letters followed by a number from 1.
        """
        match = _WELL_NAME.fullmatch(str(text).strip())
        if match is None:
            raise UsageError("a well name is a row and a column, such as B03", found=repr(text))
        return cls(row_index(match[1]), int(match[2]) - 1)

    @property
    def row_name(self) -> str:
        """``A`` for row 0."""
        return row_name(self.row)

    @property
    def column_name(self) -> str:
        """``01`` for column 0."""
        return f"{self.column + 1:02d}"

    @property
    def name(self) -> str:
        """``B03``: what people write on plates."""
        return f"{self.row_name}{self.column_name}"

    def __str__(self) -> str:
        return self.name


def parse_wells(text: str) -> frozenset[WellId]:
    """Wells from ``"A01,B02-B05"``; a range is the rectangle between its two corners."""
    wells: set[WellId] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        # B-03 is one well written with a hyphen, B02-B05 is a range.
        first, _, last = (part, "", "") if _WELL_NAME.fullmatch(part) else part.partition("-")
        if part.endswith("-"):
            raise UsageError("a range of wells has two corners, such as B02-B05", found=repr(part))
        start, end = WellId.parse(first), WellId.parse(last or first)
        rows = range(min(start.row, end.row), max(start.row, end.row) + 1)
        columns = range(min(start.column, end.column), max(start.column, end.column) + 1)
        wells.update(WellId(row, column) for row in rows for column in columns)
    if not wells:
        raise UsageError("a list of wells such as A01,B02-B05", found=repr(text))
    return frozenset(wells)


@dataclass(frozen=True, slots=True)
class PlateLayout:
    """Rows and columns of a plate."""

    rows: int
    columns: int

    @classmethod
    def holding(cls, wells: frozenset[WellId] | set[WellId]) -> PlateLayout:
        """The smallest standard plate that has all these wells."""
        rows = max((well.row for well in wells), default=0) + 1
        columns = max((well.column for well in wells), default=0) + 1
        for plate_rows, plate_columns in PLATE_FORMATS.values():
            if rows <= plate_rows and columns <= plate_columns:
                return cls(plate_rows, plate_columns)
        return cls(rows, columns)


class FieldKey(NamedTuple):
    """A field (site) of a well, by the number the microscope gave it."""

    well: WellId
    field: int

    def __str__(self) -> str:
        return f"{self.well.name} field {self.field}"


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Edge lengths of a pixel in micrometres; ``z_um`` is the distance of two planes."""

    y_um: float
    x_um: float
    z_um: float | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the plate names it; ``color`` is RRGGBB for viewers, ``wavelength_nm`` that of the emission."""

    name: str
    color: str = "FFFFFF"
    wavelength_nm: float | None = None
    excitation_nm: float | None = None
    exposure_ms: float | None = None
