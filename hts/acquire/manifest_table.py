"""Rows of a manifest: a CSV file that says which plane of which well every image is.

Two styles. *Wide*, as CellProfiler's LoadData reads it: a row a field (at a z and a t), two columns a channel,
``FileName_<channel>`` and ``PathName_<channel>``, or one ``URL_<channel>``; ``Frame_<channel>`` is the page in a
file of many, from 0. *Long*: a row a plane, with columns for well, channel and file. Other columns are known by their
names with or without ``Metadata_`` and ``Image_``, in any case and spelling (``Metadata_Well``, ``well_id``, ``Z``).

pe2loaddata copies lengths from Harmony's index, in metres and with y upwards: positions all below 0.2, and pixel
sizes below 0.001, are taken for that and turned into µm with y downwards; others are µm as they stand.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from hts.acquire.build import Stage
from hts.acquire.metadata import is_on_a_plate, number, positive, well_of
from hts.acquire.table import Acquisition
from hts.errors import SourceError
from hts.model import PixelSize, WellId, row_name

DELIMITERS = ",;\t"
_ROLES = {
    "well": ("well", "wellid", "wellname", "wellposition"),
    "row": ("row", "wellrow"),
    "column": ("col", "column", "wellcol", "wellcolumn"),
    "plate": ("plate", "plateid", "platename", "barcode", "platebarcode"),
    "field": ("site", "field", "fieldid", "fov", "siteid"),
    "z": ("z", "planeid", "plane", "zplane", "zindex", "zslice", "slice"),
    "t": ("t", "timepointid", "timepoint", "time", "tindex"),
    "channel": ("channel", "channelname", "wave", "wavelength", "stain"),
    "file": ("file", "filename", "filepath", "path", "image", "url"),
    "folder": ("folder", "pathname", "directory"),
    "page": ("page", "frame", "index"),
    "x": ("positionx", "xum", "stagex", "stagexum"),
    "y": ("positiony", "yum", "stagey", "stageyum"),
    "height": ("abspositionz", "zum", "positionz"),
    "acquired": ("abstime", "acquired", "acquisitiontime", "timestamp"),
    "pixel_x": ("imageresolutionx", "pixelsizex", "pixelsizexum", "pixelsize", "pixelsizeum"),
    "pixel_y": ("imageresolutiony", "pixelsizey", "pixelsizeyum", "pixelsize", "pixelsizeum"),
    "magnification": ("objectivemagnification", "magnification"),
    "aperture": ("objectivena", "numericalaperture"),
}
_IMAGE_COLUMN = re.compile(r"(?:Image_)?(?P<kind>FileName|URL|PathName|Frame)_(?P<channel>.+)", re.IGNORECASE)
_ILLUMINATION = re.compile(r"Illum", re.IGNORECASE)
_NUMBER = re.compile(r"[A-Za-z]*\s*0*(\d{1,9})(?:\.0*)?")
_NUMBERS = ("field", "z", "t")
_NO_NUMBER = -1
_METRES_BELOW = 0.2
_METRES_A_PIXEL_BELOW = 1e-3
_BAD_ROWS_SHOWN = 5
_DEFAULT_CHANNEL = "Channel1"


class Entry(NamedTuple):
    """A plane that a row lists; ``file`` as it is written there, ``folder`` before it; ``line`` counts from 1."""

    line: int
    well: WellId
    field: int
    channel: str
    z: int
    t: int
    folder: str
    file: str
    page: int | None
    stage: Stage

    @property
    def plane(self) -> tuple[WellId, int, str, int, int]:
        """Well, field, channel, z and t."""
        return self.well, self.field, self.channel, self.z, self.t


@dataclass(frozen=True)
class Manifest:
    """A manifest as it was understood; ``notes`` tell of rows that name no plane."""

    entries: tuple[Entry, ...]
    channels: tuple[str, ...]
    plates: tuple[str, ...]
    pixel_size: PixelSize | None
    acquisition: Acquisition
    notes: tuple[str, ...]


class _ImageColumns(NamedTuple):
    """Columns of one channel's files in the wide style."""

    channel: str
    file: int
    folder: int | None = None
    frame: int | None = None
    is_url: bool = False


@dataclass(frozen=True)
class _Layout:
    """Which column says what; no ``images`` in the long style."""

    roles: dict[str, int]
    images: tuple[_ImageColumns, ...]
    left_out: tuple[str, ...]


def is_manifest(first_lines: str) -> bool:
    """Whether a text begins as a manifest: a header that says wells and files."""
    return _layout(next(_rows(first_lines), (0, []))[1]) is not None


def parse_manifest(text: str) -> Manifest:
    """Entries of a manifest's text.

    Raises
    ------
    SourceError
        when its header does not say wells and files.
    """
    rows = _rows(text)
    header = next(rows, (0, []))[1]
    layout = _layout(header)
    if layout is None:
        raise SourceError(
            "a manifest with columns for the well and for files (Metadata_Well, FileName_DNA, …, or Well, Channel, "
            "File)",
            found=f"columns {', '.join(header[:8])}" if any(header) else "an empty file",
            fix="add the columns; the separator may be comma, semicolon or tab",
        )
    table, notes = _all(rows)
    cells = _Cells(layout.roles, table)
    entries, bad = _entries(layout, cells)
    if layout.left_out:
        notes.append(f"columns of illumination functions are left out: {', '.join(layout.left_out)}")
    channels = tuple(dict.fromkeys(entry.channel for entry in entries))
    return Manifest(
        entries,
        tuple(one.channel for one in layout.images) or channels,
        tuple(dict.fromkeys(filter(None, (cells.text(row, "plate") for _, row in table)))),
        _pixel_size(cells),
        Acquisition(magnification=cells.first("magnification"), numerical_aperture=cells.first("aperture")),
        (*notes, *bad),
    )


# --- columns -----------------------------------------------------------------------------------------------------


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells; the separator is the most frequent one of the first line."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, [cell.strip() for cell in cells]


def _all(rows: Iterator[tuple[int, list[str]]]) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """All rows, or those before the one that is no CSV, with a note."""
    table: list[tuple[int, list[str]]] = []
    try:
        table.extend(rows)
    except csv.Error as error:
        line = table[-1][0] + 1 if table else 2
        return table, [f"the manifest cannot be read from line {line} on ({error})"]
    return table, []


def _layout(header: Sequence[str]) -> _Layout | None:
    """What the columns say, or None where they are not those of a manifest."""
    plain = [re.sub(r"[^a-z0-9]", "", re.sub(r"^(image_)?(metadata_)?", "", name.lower())) for name in header]
    roles: dict[str, int] = {}
    for role, aliases in _ROLES.items():
        # Aliases come by how sure they are: of two columns with one role the surer one is taken.
        places = [plain.index(alias) for alias in aliases if alias in plain]
        if places:
            roles[role] = places[0]
    images, left_out = _image_columns(header)
    if ("well" in roles or {"row", "column"} <= roles.keys()) and (images or "file" in roles):
        return _Layout(roles, images, left_out)
    return None


def _image_columns(header: Sequence[str]) -> tuple[tuple[_ImageColumns, ...], tuple[str, ...]]:
    """Channels of the wide style, and the names of illumination functions among them."""
    found: dict[str, dict[str, int]] = {}
    for place, name in enumerate(header):
        match = _IMAGE_COLUMN.fullmatch(name)
        if match is not None:
            found.setdefault(match["channel"], {}).setdefault(match["kind"].lower(), place)
    found = {name: columns for name, columns in found.items() if columns.keys() & {"filename", "url"}}
    left_out = tuple(name for name in found if _ILLUMINATION.match(name))
    names = [name for name in found if name not in left_out]
    # CellProfiler's pipelines call raw images OrigDNA to tell them from corrected ones; here all are raw.
    raw = bool(names) and all(re.match(r"Orig\w", name) for name in names)
    images = []
    for name in names:
        columns = found[name]
        is_url = "filename" not in columns
        file = columns["url" if is_url else "filename"]
        folder = None if is_url else columns.get("pathname")
        channel = name.removeprefix("Orig") if raw else name
        images.append(_ImageColumns(channel, file, folder, columns.get("frame"), is_url))
    return tuple(images), left_out


class _Cells:
    """Cells of a table by the role of their column."""

    def __init__(self, roles: dict[str, int], table: list[tuple[int, list[str]]]) -> None:
        self._roles = roles
        self.table = table

    def __contains__(self, role: str) -> bool:
        return role in self._roles

    def text(self, row: list[str], role: str) -> str:
        """The cell, empty where the table or the row has none."""
        return _cell(row, self._roles.get(role))

    def first(self, role: str) -> float | None:
        """The first number above zero of a column."""
        return next(filter(None, (positive(self.text(row, role)) for _, row in self.table)), None)

    def largest(self, role: str) -> float:
        """The largest number of a column without its sign, 0 for none."""
        return max((abs(number(self.text(row, role)) or 0.0) for _, row in self.table), default=0.0)


def _cell(row: list[str], place: int | None) -> str:
    return row[place] if place is not None and place < len(row) else ""


# --- rows --------------------------------------------------------------------------------------------------------


def _entries(layout: _Layout, cells: _Cells) -> tuple[tuple[Entry, ...], list[str]]:
    """All entries, and notes on rows that name no plane."""
    stage = _stages(cells)
    images = layout.images or (
        _ImageColumns("", layout.roles["file"], layout.roles.get("folder"), layout.roles.get("page")),
    )
    entries: list[Entry] = []
    bad: list[str] = []
    for line, row in cells.table:
        well, numbers = _well(cells, row), [_whole(cells.text(row, role)) for role in _NUMBERS]
        pages = [_whole(_cell(row, one.frame)) for one in images]
        if well is None or _NO_NUMBER in (*numbers, *pages):
            bad.append(f"line {line} of the manifest names no plane: {_complaint(cells, row)}")
            continue
        field, z, t = (default if found is None else found for found, default in zip(numbers, (1, 0, 0), strict=True))
        place = stage(row)
        for one, page in zip(images, pages, strict=True):
            channel = one.channel or cells.text(row, "channel") or _DEFAULT_CHANNEL
            file = unquote(_cell(row, one.file)) if one.is_url else _cell(row, one.file)
            entries.append(Entry(line, well, field, channel, z, t, _cell(row, one.folder), file, page, place))
    more = [f"and {len(bad) - _BAD_ROWS_SHOWN} more rows of the manifest name no plane"]
    # An empty cell lists nothing where another row lists that plane: rows may share out a field's channels.
    if not all(entry.file for entry in entries):
        given = {entry.plane for entry in entries if entry.file}
        entries = [entry for entry in entries if entry.file or entry.plane not in given]
    return tuple(entries), bad if len(bad) <= _BAD_ROWS_SHOWN else bad[:_BAD_ROWS_SHOWN] + more


def _well(cells: _Cells, row: list[str]) -> WellId | None:
    if "well" in cells:
        return well_of(cells.text(row, "well"))
    letters, column = cells.text(row, "row"), cells.text(row, "column")
    number_of_row = _whole(letters)
    if number_of_row is not None and is_on_a_plate(WellId(number_of_row - 1, 0)):
        letters = row_name(number_of_row - 1)
    return well_of(f"{letters}{column}")


def _whole(text: str) -> int | None:
    """A number of a field, z, t or page (``3``, ``03``, ``3.0``, ``s3``); None for no text, -1 for other text."""
    if not text:
        return None
    match = _NUMBER.fullmatch(text)
    return int(match[1]) if match else _NO_NUMBER


def _complaint(cells: _Cells, row: list[str]) -> str:
    roles = [role for role in ("well", "row", "column", *_NUMBERS, "page") if role in cells]
    return ", ".join(f"{role} {cells.text(row, role)!r}" for role in roles)


def _stages(cells: _Cells) -> Callable[[list[str]], Stage]:
    """How a row's position is read, by the unit that the whole table is in."""
    xy_metres = 0 < max(cells.largest("x"), cells.largest("y")) < _METRES_BELOW
    z_metres = 0 < cells.largest("height") < _METRES_BELOW

    def stage(row: list[str]) -> Stage:
        y, x, z = (number(cells.text(row, role)) for role in ("y", "x", "height"))
        if xy_metres:
            # Harmony's y grows upwards, ours downwards.
            y, x = _scaled(y, -1e6), _scaled(x, 1e6)
        return Stage(y, x, _scaled(z, 1e6) if z_metres else z, cells.text(row, "acquired"))

    return stage


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 6) + 0.0


def _pixel_size(cells: _Cells) -> PixelSize | None:
    x, y = cells.first("pixel_x"), cells.first("pixel_y")
    x, y = x or y, y or x
    if x is None or y is None:
        return None
    factor = 1e6 if max(x, y) < _METRES_A_PIXEL_BELOW else 1.0
    return PixelSize(round(y * factor, 9), round(x * factor, 9))
