"""The results folder: the manifest that points to what is current, and the result as an object."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.engine.prepare import Prepared
from hts.errors import NotFoundError
from hts.store import read_json, read_table, write_json

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "run.json"


@dataclass(frozen=True)
class RunResult:
    """A finished run. Tables are read when they are asked for."""

    plate: Path
    results: Path
    wells: dict[str, int]
    failures: dict[str, str]
    quality: dict[str, Any]
    seconds: float
    cells_path: Path
    profiles_path: Path
    normalized_path: Path

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """One row a well: metadata, counts, and mean, median and SD of every feature."""
        return read_table(self.profiles_path)

    @cached_property
    def normalized(self) -> pd.DataFrame:
        """The same, relative to the negative controls."""
        return read_table(self.normalized_path)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a cell of the whole plate."""
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
            "failures": self.failures,
            "seconds": round(self.seconds, 2),
        }


def write_manifest(prepared: Prepared, content: dict[str, Any]) -> None:
    """Flip the pointer: what the folder holds now. Earlier results stay where they are."""
    path = prepared.results / MANIFEST
    previous = read_json(path) if path.exists() else {}
    prints = prepared.prints
    manifest = {
        **previous,
        "plate": str(prepared.plate.path.resolve()),
        "recipe": prepared.recipe.name,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "selected": sorted(well.name for well in prepared.selected),
        "fingerprints": {stage: prints.of(stage) for stage in prints.stages},
        **content,
    }
    write_json(path, manifest)


def read_manifest(results: Path) -> dict[str, Any]:
    """The manifest of a results folder.

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
