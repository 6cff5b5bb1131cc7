"""Parquet tables that appear whole, with what every column means in the schema."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hts.errors import StoreError
from hts.locations import Location, is_local
from hts.store.files import file_errors, forget_listing, read_bytes, write_bytes

if TYPE_CHECKING:
    import pandas as pd


def write_table(place: Location, frame: pd.DataFrame, columns: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Write `frame` as Parquet, atomically and reproducibly (the same frame gives the same bytes).

    Parameters
    ----------
    place : file to write; its folder is made.
    frame : the table; the index is not kept.
    columns : for each column what its field metadata should say (compartment, channel, family, unit …).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = columns or {}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [field.with_metadata(dict(described.get(field.name, {})) or None) for field in table.schema]
    # Without pandas' own block the file does not depend on the pandas version that wrote it.
    table = table.cast(pa.schema(fields, metadata={"hts": "1"}))
    buffer = io.BytesIO()
    # Of features every value is different: dictionaries and statistics of thousands of columns only weigh.
    repeated = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(table, buffer, compression="zstd", use_dictionary=repeated, write_statistics=False)
    write_bytes(place, buffer.getvalue())


def read_table(place: Location, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet file, or a folder of them in name order.

    Raises
    ------
    StoreError
        when it is absent or damaged; the message names the file.
    """
    import pandas as pd

    forget_listing(place)
    files = _tables_in(place) if place.is_dir() else [place]
    frames = []
    for file in files:
        try:
            frames.append(pd.read_parquet(_source(file), columns=columns))
        except file_errors(ValueError) as error:
            raise StoreError(
                f"{file} is a Parquet table", found=str(error), fix="run again with --overwrite for its well"
            ) from error
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _tables_in(folder: Location) -> list[Location]:
    return sorted(folder.glob("*.parquet"), key=lambda file: file.name)


def _source(file: Location) -> Any:
    return file if is_local(file) else io.BytesIO(read_bytes(file))
