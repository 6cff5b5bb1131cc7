"""A finished run in the forms of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.engine.prepare import results_folder
from hts.engine.results import COLUMNS_NAME, read_manifest
from hts.errors import NotFoundError, UsageError
from hts.locations import Location, is_local
from hts.stages.measure import number_column
from hts.store import (
    Plate,
    Well,
    annotated_data,
    read_table,
    write_annotated_data,
    write_feature_table,
)

if TYPE_CHECKING:
    import pandas as pd


def export_anndata(
    plate: Plate | str | Location, out: Path, results: str | Path | None = None, rows: str = "cells"
) -> int:
    """Write the cells (or the wells) of a plate's finished run as one ``.h5ad`` file; returns the number of rows.

    Raises
    ------
    NotFoundError
        when no run was finished.
    UsageError
        when anndata is not installed, or ``rows`` is neither ``cells`` nor ``wells``.
    StoreError
        when a table cannot be read or the file cannot be written.
    """
    folder, current = _current(plate, results)
    if rows not in ("cells", "wells"):
        raise UsageError("rows to export: cells or wells", found=repr(rows))
    cells = folder / current["cells"]
    place = cells if rows == "cells" else folder / current["profiles"] / "profiles.parquet"
    frame = read_table(place)
    data = annotated_data(frame, _described(_columns(folder, current), frame))
    write_annotated_data(out, data)
    return int(data.n_obs)


def export_feature_tables(plate: Plate | str | Location, results: str | Path | None = None) -> int:
    """Write a feature table beside every label image of a plate's finished run; returns the number of tables.

    Raises
    ------
    NotFoundError
        when no run was finished.
    UsageError
        when ngio is not installed, or the plate is not on a local disk.
    StoreError
        when a table cannot be read or the plate cannot be written.
    """
    opened = plate if isinstance(plate, Plate) else Plate.open(plate)
    if not is_local(opened.path):
        raise UsageError("a plate on a local disk, for tables inside it", found=str(opened.path))
    folder, current = _current(opened, results)
    count = 0
    described = _columns(folder, current)
    for well in opened.wells:
        place = folder / current["cells"] / f"{well.name}.parquet"
        if place.exists():
            count += _write_well(opened[well], read_table(place), described, current["label_names"])
    return count


def _write_well(
    well: Well, cells: pd.DataFrame, described: dict[str, dict[str, str]], label_names: dict[str, str]
) -> int:
    sets = sorted({told["compartment"] for told in described.values() if told.get("family", "identity") != "identity"})
    count = 0
    for field in well.fields:
        for name in sets:
            label = label_names[name]
            if field.has_labels(label):
                rows = cells[(cells["Metadata_Site"] == field.key.field) & (cells[number_column(name)] > 0)]
                features = [column for column, told in described.items() if told.get("compartment") == name]
                wanted = [column for column in features if not column.startswith("Metadata_")]
                table = rows[wanted].set_index(rows[number_column(name)].rename("label"))
                write_feature_table(Path(str(field.location)), label, table)
                count += 1
    return count


def _columns(folder: Path, current: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By column of the cell tables what it is."""
    table = read_table(folder / current["profiles"] / COLUMNS_NAME).set_index("column")
    return {str(name): {str(key): str(text) for key, text in row.items()} for name, row in table.iterrows()}


def _described(cells: dict[str, dict[str, str]], frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What columns are: those of cells, and statistics of them (``Median_Nuclei_…``)."""
    told = {}
    for column in frame:
        statistic, _, feature = str(column).partition("_")
        found = cells.get(str(column)) or ({"statistic": statistic, **cells[feature]} if feature in cells else {})
        told[str(column)] = found
    return told


def _current(plate: Plate | str | Location, results: str | Path | None) -> tuple[Path, dict[str, Any]]:
    opened = plate if isinstance(plate, Plate) else Plate.open(plate)
    folder = results_folder(opened.path, results)
    current = read_manifest(folder).get("current")
    if not current:
        raise NotFoundError(
            f"a finished run in {folder}",
            found="one that never came to profiles",
            fix="give the hts run command again; it goes on where it ended",
        )
    return folder, current
