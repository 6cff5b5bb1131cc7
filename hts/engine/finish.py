"""The end of a run: rows of all wells become the plate's profiles, and the manifest points to them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from hts.engine.facts import is_committed
from hts.engine.prepare import Prepared
from hts.engine.results import MANIFEST, RunResult, write_manifest
from hts.engine.stages import profile_fingerprint
from hts.engine.work import row_path
from hts.errors import StageError
from hts.model import WellId
from hts.recipe import fingerprint
from hts.stages.profile import PlateProfile, profile_plate
from hts.store import Markers, list_labels, read_json, read_table, write_json, write_table


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
    _point_labels(prepared, rows)
    fields = sum(len(prepared.plate[well].fields) for well in prepared.selected | set(rows))
    quality = {**read_json(folder / "quality.json"), "fields_expected": fields}
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
    )
    _write_summary(prepared, result, provenance)
    return result


def _committed_rows(prepared: Prepared) -> dict[WellId, str]:
    """All wells of the plate whose row is committed for the pixels it has now, with their fingerprints.

    A run of a few wells adds to the profiles; it does not take the other wells away.
    """
    wells = sorted(prepared.reads.items())
    done = [
        (well, reads)
        for well, reads in wells
        if is_committed(prepared.results, prepared.prints, "aggregate", well, reads)
    ]
    return dict(done)


def _profiles(prepared: Prepared, rows: dict[WellId, str]) -> Path:
    """The folder with the plate's profiles; computed unless the same question was answered before."""
    layout = prepared.plate.layout_table()
    described = fingerprint("layout", 1, {"rows": layout.astype(str).to_dict("list")}, {})
    reads = {"aggregate": prepared.prints.aggregate, **{well.name: source for well, source in rows.items()}}
    name = profile_fingerprint(prepared.recipe, reads, described)
    folder = prepared.results / "profiles" / name
    markers = Markers(prepared.results, "profile", name)
    if markers.read("plate") is None:
        paths = [row_path(prepared.results, prepared.prints, well.name) for well in rows]
        table = pd.concat([read_table(path) for path in paths], ignore_index=True)
        profile = profile_plate(table, layout, prepared.recipe.profile)
        _write_profile(folder, profile, prepared)
        markers.commit("plate", {"wells": len(rows)})
    return folder


def _write_profile(folder: Path, profile: PlateProfile, prepared: Prepared) -> None:
    primary = prepared.recipe.objects[0]
    quality = {**profile.quality, primary: int(profile.profiles[f"Count_{primary.capitalize()}"].sum())}
    quality["fields_used"] = int(profile.profiles["Metadata_FieldsUsed"].sum())
    write_table(folder / "profiles.parquet", profile.profiles)
    write_table(folder / "normalized.parquet", profile.normalized)
    if profile.dose is not None:
        write_table(folder / "dose.parquet", profile.dose)
    write_json(folder / "dose.json", {"name": profile.dose_name, "fit": profile.fit})
    write_json(folder / "quality.json", quality)


def _point_labels(prepared: Prepared, wells: Iterable[WellId]) -> None:
    """List the labels of this recipe in every finished well: an earlier run may have shown others since."""
    names = [prepared.prints.label_name(name) for name in prepared.recipe.objects]
    for well in wells:
        for field in prepared.plate[well].fields:
            present = [name for name in names if (field.path / "labels" / name / "zarr.json").exists()]
            if present:
                list_labels(field.plate_path, field.key, present)


def _write_summary(prepared: Prepared, result: RunResult, provenance: dict[str, str]) -> None:
    computed = result.wells["done"] - result.wells["skipped"]
    path = prepared.results / MANIFEST
    before = read_json(path).get("failures", {}) if path.exists() else {}
    others = {well: reason for well, reason in before.items() if WellId.parse(well) not in prepared.selected}
    content: dict[str, Any] = {
        "state": "done",
        "wells": result.wells,
        "failures": {**others, **result.failures},
        "quality": result.quality,
        "label_names": {name: prepared.prints.label_name(name) for name in prepared.recipe.objects},
        "channels": prepared.recipe.channels,
        "acquire": prepared.recipe.acquire.model_dump(mode="json"),
        "overlays": prepared.recipe.report.overlays,
        "notes": _notes(prepared),
        "recipe_yaml": prepared.recipe.to_yaml(),
        "current": {
            "cells": str(result.cells_path.relative_to(prepared.results)),
            "profiles": str(result.profiles_path.parent.relative_to(prepared.results)),
        },
    }
    if computed:
        content |= {"seconds": round(result.seconds, 2), "provenance": provenance}
    write_manifest(prepared, content)


def _notes(prepared: Prepared) -> list[str]:
    """What the run did that a reader of the numbers has to know."""
    sizes, acquire = prepared.plate.shape, prepared.recipe.acquire
    notes = []
    if sizes.get("z", 1) > 1 and not isinstance(acquire.z, int):
        notes.append(f"the {sizes['z']} z planes of a field were projected ({acquire.z}) before segmentation")
    if sizes.get("t", 1) > 1:
        notes.append(f"time point {acquire.t} of {sizes['t']} was analysed; set acquire.t for another one")
    return notes
