"""What is known of a plate and its run, read from disk; works while a run goes on elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hts.engine.facts import is_unfinished, plane_problem, well_input
from hts.engine.prepare import results_folder
from hts.engine.results import MANIFEST, read_manifest
from hts.errors import StoreError
from hts.locations import Location
from hts.store import Markers, Plate, exists, is_held, read_json

if TYPE_CHECKING:
    from hts.model import WellId

WELL_COLUMNS = ["Well", "Status", "Reason", "Cells", "FieldsUsed", "FieldsExpected", "Seconds"]


@dataclass(frozen=True)
class Status:
    """A plate's state. ``wells`` has a row for every well, ``planes`` one for every plane that is not as expected."""

    plate: Location
    results: Path
    state: str
    recipe: str
    wells: pd.DataFrame
    planes: pd.DataFrame
    dropped_fields: list[dict[str, Any]]
    notes: list[str]

    def count(self, status: str) -> int:
        return int((self.wells["Status"] == status).sum())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with the wells counted and everything broken listed with its reason."""
        failed = self.wells[self.wells["Status"] == "failed"]
        return {
            "plate": str(self.plate),
            "results": str(self.results),
            "state": self.state,
            "recipe": self.recipe,
            "wells": {
                "expected": len(self.wells),
                "done": self.count("done"),
                "failed": self.count("failed"),
                "waiting": self.count("waiting"),
            },
            "failures": dict(zip(failed["Well"], failed["Reason"], strict=True)),
            "dropped_fields": self.dropped_fields,
            "planes": self.planes.to_dict("records"),
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """The state for people."""
        counts = ", ".join(f"{self.count(kind)} {kind}" for kind in ("done", "failed", "waiting"))
        text = [f"{self.plate}: {self.state}" + (f", recipe {self.recipe}" if self.recipe else "")]
        text.append(f"{len(self.wells)} wells: {counts}")
        for row in self.wells[self.wells["Status"] == "failed"].itertuples():
            text.append(f"  failed {row.Well}: {row.Reason}")
        for drop in self.dropped_fields:
            text.append(f"  without {drop['well']} field {drop['field']}: {drop['reason']}")
        if len(self.planes):
            text.append(f"{len(self.planes)} planes are not as expected:")
        for plane in self.planes.head(30).to_dict("records"):
            text.append(f"  {plane['Well']} field {plane['Field']} {plane_problem(plane)}")
        return text + [f"note: {note}" for note in self.notes] + [f"results: {self.results}"]


def status(plate: Plate | str | Location, out: str | Path | None = None, *, section: str = "run") -> Status:
    """The state of a plate and of the run in its results folder.

    Parameters
    ----------
    plate : an open plate, its path or its address.
    out : the results folder; ``<plate>.hts`` beside the plate when None.
    section : ``run`` for the run that was begun last, ``current`` for the one whose profiles stand.

    Raises
    ------
    NotFoundError
        when there is no plate. A plate that no recipe ran on yet has the state ``converted``.
    """
    opened = plate if isinstance(plate, Plate) else Plate.open(plate)
    results = results_folder(opened.path, out)
    manifest = read_manifest(results) if (results / MANIFEST).exists() else {}
    run = {**manifest.get("run", {}), **manifest.get(section, {})}
    rows, dropped = [], []
    for well in opened.wells:
        row, fields = _well(opened, well, results, run)
        rows.append(row)
        dropped += fields
    return Status(
        plate=opened.path,
        results=results,
        state=_state(results, manifest.get("run", {})),
        recipe=str(run.get("recipe", "")),
        wells=pd.DataFrame(rows, columns=WELL_COLUMNS),
        planes=broken_planes(opened),
        dropped_fields=dropped,
        notes=plate_notes(opened),
    )


def broken_planes(plate: Plate) -> pd.DataFrame:
    """Rows of the completeness table that are not ``found``."""
    planes = plate.completeness()
    columns = ["Well", "Field", "Channel", "Z", "T", "Status", "Reason", "File"]
    return planes.loc[planes["Status"] != "found", columns].reset_index(drop=True)


def plate_notes(plate: Plate) -> list[str]:
    """What the conversion wanted to be known: oddities of the folder, lines of the layout without a well."""
    notes = list(plate.origin.get("notes", []))
    for name in ("layout-notes.json", "vendor-notes.json"):
        path = plate.root / ".hts" / name
        notes += read_json(path) if exists(path) else []
    return notes


def _state(results: Path, run: dict[str, Any]) -> str:
    state = str(run.get("state", "converted"))
    if state != "running":
        return state
    # When nobody holds the lock, whoever said "running" is gone.
    return "running" if is_held(results) else "interrupted"


def _well(plate: Plate, well: WellId, results: Path, run: dict[str, Any]) -> tuple[list[Any], list[dict[str, Any]]]:
    prints = run.get("fingerprints", {})
    reads = well_input(plate, well)
    try:
        expected = len(plate[well].fields)
    except StoreError as error:
        return [well.name, "failed", " ".join(str(error).split()), 0, 0, 0, 0.0], []
    if is_unfinished(plate, well):
        return [well.name, "waiting", "its conversion has not finished", 0, 0, expected, 0.0], []
    markers = {stage: Markers(results, stage, name).read(well.name) for stage, name in prints.items()}
    measured, done = markers.get("measure"), markers.get("aggregate")
    if done is not None and measured is not None and done["reads"] == reads:
        dropped = [{"well": well.name, "field": field, "reason": reason} for field, reason in measured["dropped"]]
        row = [well.name, "done", "", done["cells"], measured["fields_used"], expected, done["seconds"]]
        return row, dropped
    reason = run.get("failures", {}).get(well.name)
    state = "failed" if reason else "waiting"
    return [well.name, state, reason or "", 0, 0, expected, 0.0], []
