"""The end of a run: rows of all wells become the plate's profiles, and the manifest points to them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from hts.engine.facts import covers
from hts.engine.fields import show_labels
from hts.engine.large.seams import seam_quality
from hts.engine.prepare import Prepared
from hts.engine.quality import QUALITY_NAME, quality_notes, quality_rows, segmentation_summary, write_quality
from hts.engine.results import COLUMNS_NAME, RunResult, now, read_manifest, write_manifest
from hts.engine.stages import column_table, profile_fingerprint
from hts.engine.surveys import survey_notes
from hts.engine.work import cells_path, row_path
from hts.errors import StageError
from hts.model import WellId
from hts.recipe import fingerprint
from hts.stages.profile import PlateProfile, profile_plate
from hts.store import Markers, read_json, read_table, storage_errors, write_json, write_table


def finish(
    prepared: Prepared,
    *,
    failures: dict[str, str],
    computed: int,
    seconds: float,
    provenance: dict[str, str],
) -> RunResult:
    """Make or find the profiles, show the labels of this recipe, and flip the manifest.

    Raises
    ------
    StageError
        when no well has a result.
    """
    rows = _committed_rows(prepared)
    if not rows:
        reasons = [f"{well}: {reason}" for well, reason in failures.items()]
        raise StageError("at least one well has a result", found="\n    ".join(["none", *reasons[:5]]))
    folder = _profiles(prepared, rows)
    _tidy(prepared, rows)
    fields = sum(prepared.n_fields[well] for well in prepared.selected | set(rows))
    told = quality_rows(prepared, rows)
    write_quality(folder / QUALITY_NAME, told)
    segmented = Markers(prepared.results, "segment", prepared.prints.segment)
    seams = seam_quality(segmented.read(well.name) for well in rows)
    quality = {**read_json(folder / "quality.json"), "fields_expected": fields, **seams}
    expected = prepared.plan.expected
    skipped = len(prepared.plan.done)
    wells = {"expected": expected, "done": skipped + computed, "failed": len(failures), "skipped": skipped}
    names = ("cells", prepared.prints.measure)
    result = RunResult(
        plate=prepared.plate.path,
        results=prepared.results,
        wells=wells,
        failures=failures,
        quality=quality,
        seconds=seconds,
        cells_path=prepared.results.joinpath(*names),
        profiles_path=folder / "profiles.parquet",
        normalized_path=folder / "normalized.parquet",
        quality_path=folder / QUALITY_NAME,
        notes=(*prepared.notes, *survey_notes(prepared), *quality_notes(told)),
    )
    segmentation = segmentation_summary(prepared, told)
    devices = ", ".join(dict.fromkeys(made["device"] for made in segmentation))
    _write_summary(prepared, result, {**provenance, "device": devices}, segmentation)
    return result


def _committed_rows(prepared: Prepared) -> dict[WellId, str]:
    """All wells of the plate whose row is committed for the pixels it has now, with their fingerprints.

    A run of a few wells adds to the profiles; it does not take the other wells away.
    """
    markers = Markers(prepared.results, "aggregate", prepared.prints.aggregate)
    wells = sorted(prepared.reads.items())
    return {well: reads for well, reads in wells if covers(markers.read(well.name), reads, set())}


def _profiles(prepared: Prepared, rows: dict[WellId, str]) -> Path:
    """The folder with the plate's profiles; computed unless the same question was answered before."""
    layout = prepared.plate.layout_table()
    described = fingerprint("layout", 1, {"rows": layout.astype(str).to_dict("list")}, {})
    paths = {well.name: row_path(prepared.results, prepared.prints, well.name) for well in rows}
    reads = {"aggregate": prepared.prints.aggregate, **{well: _content(path) for well, path in paths.items()}}
    name = profile_fingerprint(prepared.recipe, reads, described)
    folder = prepared.results / "profiles" / name
    markers = Markers(prepared.results, "profile", name)
    if prepared.overwrite or markers.read("plate") is None:
        table = pd.concat([read_table(path) for path in paths.values()], ignore_index=True)
        profile = profile_plate(table, layout, prepared.recipe.profile)
        _write_profile(folder, profile, prepared)
        markers.commit("plate", {"wells": len(rows)})
    return folder


def _content(path: Path) -> str:
    """Hash of a well's row. The same pixels can give another row: a field that could not be read then can be now."""
    with storage_errors(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_profile(folder: Path, profile: PlateProfile, prepared: Prepared) -> None:
    primary = prepared.recipe.objects[0]
    quality = {**profile.quality, primary: int(profile.profiles[f"Count_{primary.capitalize()}"].sum())}
    quality["fields_used"] = int(profile.profiles["Metadata_FieldsUsed"].sum())
    write_table(folder / COLUMNS_NAME, column_table(prepared.recipe))
    write_table(folder / "profiles.parquet", profile.profiles)
    write_table(folder / "normalized.parquet", profile.normalized)
    if profile.dose is not None:
        write_table(folder / "dose.parquet", profile.dose)
    write_json(folder / "dose.json", {"name": profile.dose_name, "fit": profile.fit})
    write_json(folder / "quality.json", quality)


def _tidy(prepared: Prepared, rows: dict[WellId, str]) -> None:
    """Make what people see agree with the profiles.

    Viewers get the labels of this recipe in every finished well (an earlier run may have shown others), and
    tables of cells whose pixels have changed since, and which no marker commits any more, go away.
    """
    for well in rows:
        show_labels(prepared.plate[well].fields, prepared.recipe, prepared.prints)
    measured = Markers(prepared.results, "measure", prepared.prints.measure)
    for well, reads in prepared.reads.items():
        if well not in rows and not covers(measured.read(well.name), reads, set()):
            path = cells_path(prepared.results, prepared.prints, well.name)
            with storage_errors(path):
                path.unlink(missing_ok=True)


def _write_summary(
    prepared: Prepared, result: RunResult, provenance: dict[str, str], segmentation: list[dict[str, Any]]
) -> None:
    """Flip the manifest to these profiles. Time and machine are those of the run that computed the wells."""
    before = read_manifest(prepared.results).get("current", {})
    computed = result.wells["done"] - result.wells["skipped"]
    facts: dict[str, Any] = {"seconds": round(result.seconds, 2), "provenance": provenance, "computed": now()}
    if not computed and "provenance" in before:
        facts = {name: before[name] for name in facts}
    current = {
        "wells": result.wells,
        "quality": result.quality,
        "label_names": {name: prepared.prints.label_name(name) for name in prepared.recipe.objects},
        "recipe_yaml": prepared.recipe.to_yaml(),
        "notes": list(result.notes),
        "segmentation": segmentation,
        "cells": str(result.cells_path.relative_to(prepared.results)),
        "profiles": str(result.profiles_path.parent.relative_to(prepared.results)),
        **facts,
    }
    write_manifest(prepared, current=current)
