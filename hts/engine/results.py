"""The results folder: the manifest that points to what is current, and the result as an object."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.engine.prepare import Prepared
from hts.engine.stages import WELL_STAGES
from hts.errors import NotFoundError
from hts.locations import Location
from hts.store import Markers, address, read_json, read_table, write_json

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "run.json"
COLUMNS_NAME = "columns.parquet"


@dataclass(frozen=True)
class RunResult:
    """A finished run. Tables are read when they are asked for."""

    plate: Location
    results: Path
    wells: dict[str, int]
    failures: dict[str, str]
    quality: dict[str, Any]
    seconds: float
    cells_path: Path
    profiles_path: Path
    normalized_path: Path
    quality_path: Path
    notes: tuple[str, ...] = ()

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """One row a well: metadata, counts, and mean, median and SD of every feature."""
        return read_table(self.profiles_path)

    @cached_property
    def columns(self) -> pd.DataFrame:
        """One row a column of the cell tables: compartment, role, channel, family, unit, definition, source."""
        return read_table(self.profiles_path.with_name(COLUMNS_NAME))

    @cached_property
    def normalized(self) -> pd.DataFrame:
        """The same, relative to the negative controls."""
        return read_table(self.normalized_path)

    @cached_property
    def segmentation(self) -> pd.DataFrame:
        """One row a field and object set: how its segmentation went."""
        return read_table(self.quality_path)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a cell of all wells of the profiles."""
        return read_table(self.cells_path)

    def to_json(self) -> dict[str, Any]:
        """What ``hts run --json`` prints; the report is added by whoever writes it."""
        return {
            "plate": str(self.plate),
            "wells": self.wells,
            "cells": str(self.cells_path),
            "profiles": str(self.profiles_path),
            "normalized": str(self.normalized_path),
            "quality": self.quality,
            "segmentation": str(self.quality_path),
            "failures": self.failures,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 2),
        }


def write_manifest(prepared: Prepared, **sections: dict[str, Any]) -> None:
    """Write sections of the manifest; the others stay.

    ``run`` is about the run that was begun last, ``current`` about the profiles that were finished last:
    it flips only when they are whole, and earlier results stay where they are.
    """
    path = prepared.results / MANIFEST
    previous = _previous(path)
    same = {
        "recipe": prepared.recipe.name,
        "fingerprints": {stage: prepared.prints.of(stage) for stage in WELL_STAGES},
        "written": now(),
    }
    written = {name: {**same, **content} for name, content in sections.items()}
    write_json(path, {**previous, "plate": address(prepared.plate.path), **written})


def earlier_failures(prepared: Prepared) -> dict[str, str]:
    """Failures of wells that this run does not touch, from the run before it with the same settings."""
    before = _previous(prepared.results / MANIFEST).get("run", {})
    if before.get("fingerprints") != {stage: prepared.prints.of(stage) for stage in WELL_STAGES}:
        return {}
    selected = {well.name for well in prepared.selected}
    return {well: reason for well, reason in before.get("failures", {}).items() if well not in selected}


def _previous(path: Path) -> dict[str, Any]:
    """The manifest as it stands; a damaged one is made anew, because the markers are what counts."""
    return Markers.read_file(path) or {}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def read_manifest(results: Path) -> dict[str, Any]:
    """The manifest of a results folder: plate, and the sections ``run`` and ``current``.

    Raises
    ------
    NotFoundError
        when no run was ever begun there.
    """
    path = results / MANIFEST
    if not path.exists():
        raise NotFoundError(
            f"a run in {results}", found="none", fix="hts run PLATE RECIPE, or name its folder with --out"
        )
    manifest: dict[str, Any] = read_json(path)
    return manifest
