"""Plate layouts: which well got what, from the CSV files people have."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.errors import NotFoundError, UsageError
from hts.model import WellId, row_name

if TYPE_CHECKING:
    import pandas as pd

_WELL = {"well", "wellid", "wellname", "wellposition", "metadatawell"}
_ROW = {"row", "wellrow", "platerow", "metadatarow"}
_COLUMN = {"column", "col", "wellcolumn", "wellcol", "platecolumn", "metadatacolumn", "metadatacol"}


def read_layout(path: Path) -> pd.DataFrame:
    """One row a well: the column ``Well`` (``B03``) and every other column of the file.

    The file has a well column, or a row and a column column, in any case and order; the separator
    (comma, semicolon or tab) and a byte-order mark are recognised. Columns of numbers become numbers;
    of columns that differ in the prefix ``Metadata_`` alone the first counts.

    Raises
    ------
    NotFoundError
        when there is no such file.
    UsageError
        naming the file and line of a well that cannot be read or comes twice, or for a file that is
        no table.
    """
    import pandas as pd

    if not path.is_file():
        raise NotFoundError(f"a layout file at {path}", found="no such file")
    table = _read_table(path)
    names, used = _wells(table, path)
    _refuse_repeats(names, table.index, path)
    table = table.reset_index(drop=True)
    columns: dict[str, Any] = {"Well": names}
    for name in table.columns.drop(used):
        columns.setdefault(str(name).strip().removeprefix("Metadata_"), _as_numbers(table[name]))
    return pd.DataFrame(columns)


def _read_table(path: Path) -> pd.DataFrame:
    """All columns as text, indexed by the lines of the file; empty lines left out."""
    import pandas as pd

    try:
        text = path.read_text("utf-8-sig")
        lines = text.splitlines()
        header = next((number for number, line in enumerate(lines) if line.strip()), 0)
        separator = _separator(lines[header]) if lines else ","
        # Blank lines are read, as rows without values, so that the index can be turned into line numbers.
        options: dict[str, Any] = {"dtype": str, "skipinitialspace": True, "skip_blank_lines": False}
        table: pd.DataFrame = pd.read_csv(io.StringIO(text), sep=separator, skiprows=header, **options)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is text in UTF-8", found=str(error), fix="save it as CSV UTF-8") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is a table with a header line", found=str(error)) from error
    if not isinstance(table.index, pd.RangeIndex):
        # Pandas takes the first columns for an index when lines are longer than the header.
        raise UsageError(f"{path} has a name for every column", found="more values in a line than names")
    table.index = table.index + header + 2
    table = table.dropna(how="all")
    if table.empty:
        raise UsageError(f"{path} has a line for every well", found="a header line alone")
    return table


def _separator(header: str) -> str:
    """The most frequent of comma, semicolon and tab, not counting those in quoted names."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=bare.count)


def _wells(table: pd.DataFrame, path: Path) -> tuple[list[str], list[str]]:
    """The well of every line, and the columns that told it."""
    simple = {str(name): re.sub(r"[^a-z]", "", str(name).lower()) for name in table.columns}
    found = {kind: next((name for name in simple if simple[name] in keys), "") for kind, keys in _KINDS.items()}
    used = [found["well"]] if found["well"] else [found["row"], found["column"]]
    if not all(used):
        raise UsageError(
            f"{path} has a column Well (B03), or the columns Row and Column",
            found=", ".join(map(str, table.columns)),
            fix="name one of the columns so",
        )
    parts = zip(*(table[name] for name in used), strict=True)
    return [_parse(values, path, line) for line, values in zip(table.index, parts, strict=True)], used


_KINDS = {"well": _WELL, "row": _ROW, "column": _COLUMN}


def _parse(values: tuple[object, ...], path: Path, line: int) -> str:
    """Name of the well of a line, from its name or from its row and column; layouts also count rows from 1."""
    # Spreadsheets guard leading zeros by quotes within the quotes, or by ="03".
    texts = [str(value).strip(" =\"'") for value in values]
    if len(texts) == 2 and texts[0].isdecimal() and int(texts[0]) > 0:
        texts[0] = row_name(int(texts[0]) - 1)
    try:
        return WellId.parse("".join(texts)).name
    except UsageError as error:
        raise UsageError(f"{path}, line {line}: a well such as B03", found=repr("".join(texts))) from error


def _refuse_repeats(names: list[str], lines: Iterable[int], path: Path) -> None:
    places: dict[str, list[int]] = {}
    for name, line in zip(names, lines, strict=True):
        places.setdefault(name, []).append(line)
    repeated = [f"{name} in lines {', '.join(map(str, where))}" for name, where in places.items() if len(where) > 1]
    if repeated:
        raise UsageError(
            f"{path} has one line a well",
            found="; ".join(repeated[:5]),
            cause="the file describes several plates",
            fix="keep the lines of this plate only",
        )


def _as_numbers(column: pd.Series[str]) -> pd.Series[str] | pd.Series[float]:
    import pandas as pd

    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column
