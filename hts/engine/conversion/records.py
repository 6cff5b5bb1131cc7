"""What a conversion writes beside the images: completeness, layout, the vendor's own metadata."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from hts.acquire import Source
from hts.engine.conversion.plates import VENDOR
from hts.locations import Location, printable, relative_name
from hts.model import WellId
from hts.store import file_errors, write_bytes, write_json, write_table

Place = tuple[str, int, str, int, int]


def write_completeness(
    source: Source, read: Iterable[dict[str, Any]], destination: Location, *, stacks: bool = False
) -> None:
    """The table of every expected plane: what the listing says, and the issues that reading brought to light.

    Where z `stacks` were projected, one plane that cannot be used costs its whole stack.
    """
    table = source.to_frame()
    broken: dict[Place, dict[str, Any]] = {}
    for issue in read:
        broken[(issue["well"], issue["field"], issue["channel"], issue["z"], issue["t"])] = issue
    statuses, reasons = table["Status"].tolist(), table["Reason"].tolist()
    places = zip(table["Well"], table["Field"], table["Channel"], table["Z"], table["T"], strict=True)
    for row, place in enumerate(places):
        if statuses[row] == "found" and place in broken:
            statuses[row], reasons[row] = broken[place]["status"], broken[place]["reason"]
    if stacks:
        _lose_stacks(table, statuses, reasons)
    files = [printable(name) for name in table["File"]]
    table = table.assign(Status=statuses, Reason=reasons, File=files)
    write_table(destination / ".hts" / "completeness.parquet", table)


def _lose_stacks(table: pd.DataFrame, statuses: list[str], reasons: list[str]) -> None:
    """Give the other planes of an incomplete stack the status of its first plane that cannot be used."""
    stacks = list(zip(table["Well"], table["Field"], table["Channel"], table["T"], strict=True))
    first: dict[tuple[str, int, str, int], tuple[str, str]] = {}
    for stack, z, status in zip(stacks, table["Z"], statuses, strict=True):
        if status != "found":
            first.setdefault(stack, (status, f"its z stack is not complete: z={z} is {status}"))
    for row, stack in enumerate(stacks):
        if statuses[row] == "found" and stack in first:
            statuses[row], reasons[row] = first[stack]


def keep_vendor_files(source: Source, destination: Location) -> None:
    """Copy the microscope's own metadata under the plate, outside the keys of OME-Zarr; note what cannot be read."""
    notes = []
    for file in source.vendor_files:
        # The copy that a plate of ours has goes to the same place in the new one.
        name = printable(relative_name(file, source.root)).removeprefix(VENDOR + "/")
        try:
            content = file.read_bytes()
        except file_errors() as error:
            notes.append(f"{name} is not kept under the plate: it cannot be read ({' '.join(str(error).split())})")
            continue
        if name.startswith("/") or ".." in name.split("/") or "://" in name:
            name = printable(file.name)
        write_bytes(destination.joinpath(*VENDOR.split("/"), *name.split("/")), content)
    write_json(destination / ".hts" / "vendor-notes.json", notes)


def write_layout(destination: Location, wells: Iterable[WellId], layout: pd.DataFrame, path: Path) -> None:
    """Store the layout, and note where it and the plate do not agree."""
    on_plate = {well.name for well in wells}
    described = set(layout["Well"])
    notes = []
    if extra := sorted(described - on_plate):
        notes.append(f"{path.name} describes wells that are not on the plate: {_some(extra)}; their lines are not used")
    if lacking := sorted(on_plate - described):
        notes.append(f"{path.name} does not describe the wells {_some(lacking)}; they have no layout values")
    kept = layout[layout["Well"].isin(on_plate)].reset_index(drop=True)
    write_table(destination / ".hts" / "layout.parquet", kept)
    write_json(destination / ".hts" / "layout-notes.json", notes)


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" … ({len(names)} in all)" if len(names) > 6 else "")
