"""Plate layouts: which well got what, from the CSV files people have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hts.errors import NotFoundError, UsageError
from hts.model import WellId, row_index

if TYPE_CHECKING:
    import pandas as pd

_WELL = {"well", "wellid", "wellname", "wellposition", "metadatawell"}
_ROW = {"row", "wellrow", "platerow", "metadatarow"}
_COLUMN = {"column", "col", "wellcolumn", "wellcol", "platecolumn", "metadatacolumn", "metadatacol"}


def read_layout(path: Path) -> pd.DataFrame:
    """One row a well: the column ``Well`` (``B03``) and every other column of the file.

    The file has a well column, or a row and a column column, in any case and order; the separator
    (comma, semicolon or tab) and a byte-order mark are recognised. Columns of numbers become numbers.

    Raises
    ------
    NotFoundError
        when there is no such file.
    UsageError
        naming the file and line of a well that cannot be read or comes twice.
    """
    import pandas as pd

    if not path.is_file():
        raise NotFoundError(f"a layout file at {path}", found="no such file")
    try:
        table = pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig", dtype=str, skipinitialspace=True)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise UsageError(f"{path} is a table with a header line", found=str(error)) from error
    wells, used = _wells(table, path)
    names = [well.name for well in wells]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(
            f"{path} has one line a well",
            found=f"several for {', '.join(repeated[:5])}",
            cause="the file describes several plates",
            fix="keep the lines of this plate only",
        )
    rest = table.drop(columns=used).rename(columns=lambda name: str(name).strip().removeprefix("Metadata_"))
    rest = rest.apply(_as_numbers)
    rest.insert(0, "Well", names)
    return rest


def _wells(table: pd.DataFrame, path: Path) -> tuple[list[WellId], list[str]]:
    """The well of every line, and the columns that told it."""
    simple = {re.sub(r"[^a-z]", "", str(name).lower()): str(name) for name in reversed(table.columns)}
    column = {kind: next((simple[key] for key in simple if key in keys), None) for kind, keys in _KINDS.items()}
    if column["well"] is not None:
        used = [column["well"]]
        texts = table[column["well"]].tolist()
    elif column["row"] is not None and column["column"] is not None:
        used = [column["row"], column["column"]]
        texts = [f"{_row_text(row)}{col}" for row, col in zip(table[used[0]], table[used[1]], strict=True)]
    else:
        raise UsageError(
            f"{path} has a column Well (B03), or the columns Row and Column",
            found=", ".join(map(str, table.columns)),
            fix="name one of the columns so",
        )
    return [_parse(text, path, line) for line, text in enumerate(texts, start=2)], used


_KINDS = {"well": _WELL, "row": _ROW, "column": _COLUMN}


def _row_text(row: object) -> str:
    """A row letter; layouts also count rows from 1."""
    text = str(row).strip()
    if text.isdigit() and int(text) > 0:
        from hts.model import row_name

        return row_name(int(text) - 1)
    row_index(text)
    return text


def _parse(text: object, path: Path, line: int) -> WellId:
    try:
        return WellId.parse(str(text))
    except UsageError as error:
        raise UsageError(f"{path}, line {line}: a well such as B03", found=repr(text)) from error


def _as_numbers(column: pd.Series[str]) -> pd.Series[str] | pd.Series[float]:
    import pandas as pd

    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column
