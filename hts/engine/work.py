"""A task is a well: its fields become a table of cells, the table becomes a row, and each is committed.

This is what runs on the workers. It is told everything in a :class:`WellJob` and returns a few numbers;
pixels, labels and tables go to the store.
"""

from __future__ import annotations

import functools
import json
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hts.engine.attempts import Attempts
from hts.engine.fields import process_fields, show_labels
from hts.engine.large.gather import Outcomes, gather_fields
from hts.engine.large.places import discard
from hts.engine.plan import WellTask
from hts.engine.stages import Fingerprints, cell_catalogue, check_same, counted_objects, feature_names, fingerprints
from hts.engine.surveys import step_contexts
from hts.errors import HtsError, StageError, StoreError
from hts.recipe import Recipe
from hts.stages.measure import number_column
from hts.stages.profile import aggregate_cells
from hts.store import Markers, Plate, read_table, write_table

DEATH_CAUSES = "out of memory, or a crash in a segmenter"


@dataclass(frozen=True)
class WellJob:
    """Everything a worker needs to know about one well; paths are absolute, workers may live elsewhere."""

    plate: str
    plate_name: str
    results: str
    recipe: str
    prints: Fingerprints
    task: WellTask


@dataclass(frozen=True)
class WellDone:
    """What a worker says of a well: about 1 kB at most, whatever the plate.

    ``failed`` concerns the well; ``unwritable`` (results cannot be written) concerns the whole run.
    """

    well: str
    failed: str = ""
    unwritable: str = ""
    cells: int = 0
    seconds: float = 0.0


@functools.lru_cache(maxsize=4)
def _recipe(text: str) -> Recipe:
    return Recipe.from_dict(json.loads(text))


def warm_up(text: str | None = None, itemsize_bytes: int = 2) -> float:
    """Compile the kernels that a recipe needs of all stages, or load them from the cache; returns the seconds it took.

    ``text`` is the recipe as a job has it, the default recipe when not given; ``itemsize_bytes`` those of a pixel.
    """
    from hts.stages import measure, segment

    begin = time.perf_counter()
    recipe = _recipe(text) if text else None
    real = itemsize_bytes > 2 or (recipe is not None and recipe.acquire.z == "mean")
    measure.warm_up(recipe.measure if recipe else None, ("float32",) if real else ("uint16",))
    segment.warm_up()
    return time.perf_counter() - begin


def run_well(job: WellJob, blocks: Outcomes | None = None) -> WellDone:
    """Do what the well still needs and commit it. Nothing is raised: what went wrong is told in the result.

    ``blocks`` is what the blocks of its fields said, when these are so large that their blocks were tasks of their own.
    """
    begin = time.perf_counter()
    name = job.task.well.name
    attempts = Attempts(Path(job.results))
    try:
        if not attempts.begin(name):
            return WellDone(
                name, failed=f"its worker died {Attempts.LIMIT} times: out of memory, or a crash in a segmenter"
            )
    except StoreError as error:
        return WellDone(name, unwritable=str(error))
    try:
        cells = _run_stages(job, begin, blocks)
    except StoreError as error:
        return WellDone(name, unwritable=str(error))
    except Exception as error:
        return WellDone(name, failed=_reason(error), seconds=time.perf_counter() - begin)
    finally:
        attempts.end(name)
    return WellDone(name, cells=cells, seconds=time.perf_counter() - begin)


def _reason(error: Exception) -> str:
    """Our own errors say it all; of others the place is told, too."""
    if isinstance(error, HtsError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (in {place.name}, {Path(place.filename).name} line {place.lineno})"


def _run_stages(job: WellJob, begin: float, blocks: Outcomes | None) -> int:
    recipe = _recipe(job.recipe)
    check_same(fingerprints(recipe), job.prints)
    if "measure" in job.task.stages:
        _measure_well(job, recipe, blocks)
    try:
        cells = read_table(cells_path(Path(job.results), job.prints, job.task.well.name))
    except StoreError as error:
        # A damaged table costs its well; only what cannot be written ends the run.
        raise StageError("the well's table of cells can be read", found=" ".join(str(error).split())) from error
    row = _aggregate_well(job, recipe, cells)
    write_table(row_path(Path(job.results), job.prints, job.task.well.name), pd.DataFrame([row]))
    seconds = round(time.perf_counter() - begin, 2)
    count = int((cells[number_column(recipe.objects[0])] > 0).sum())
    _commit(job, "aggregate", {"cells": count, "seconds": seconds})
    # Also what a run left that ended between its last two commits.
    discard(Path(job.results), job.task.well.name)
    return count


def cells_path(results: Path, prints: Fingerprints, well: str) -> Path:
    """The well's table of cells."""
    return results / "cells" / prints.measure / f"{well}.parquet"


def row_path(results: Path, prints: Fingerprints, well: str) -> Path:
    """The well's one-row table of counts and statistics."""
    return results / "wells" / prints.aggregate / f"{well}.parquet"


def _markers(job: WellJob, stage: str) -> Markers:
    return Markers(Path(job.results), stage, job.prints.of(stage))


def _commit(job: WellJob, stage: str, content: dict[str, Any]) -> None:
    _markers(job, stage).commit(job.task.well.name, {"reads": job.task.reads, **content})


def _measure_well(job: WellJob, recipe: Recipe, blocks: Outcomes | None) -> None:
    """Process the fields, write the table of cells, commit segmentation and measurement."""
    well = Plate.open(job.plate)[job.task.well]
    fields = [well.field(number) for number in job.task.fields]
    segmenting = "segment" in job.task.stages
    known = {} if segmenting else _unsegmented(job)
    usable = [field for field in fields if field.key.field not in known]
    kept: dict[str, Any] = {}
    contexts = None
    if blocks is not None:
        measured, kept = gather_fields(job, recipe, usable, blocks)
    else:
        contexts = step_contexts(Path(job.results), job.prints.segment, recipe, usable) if segmenting else None
        measured = process_fields(usable, recipe, job.prints, contexts)
    measured.unsegmented.update(known)
    dropped = [*job.task.dropped, *measured.dropped]
    if not measured.tables:
        reasons = "; ".join(f"field {number}: {reason}" for number, reason in dropped)
        raise StageError("at least one field of the well can be used", found=reasons)
    if segmenting:
        show_labels(fields, recipe, job.prints)
        told = contexts or step_contexts(Path(job.results), job.prints.segment, recipe, [])
        surveys = {name: {"plate": known.plate, "well": known.well} for name, known in told.items()}
        facts = {"unsegmented": measured.unsegmented, "quality": measured.quality, "surveys": surveys}
        _commit(job, "segment", {"fields": measured.read, **facts, **kept})
    _write_cells(job, recipe, measured.tables)
    known_fields = {"fields": [*measured.read, *known], "fields_used": len(measured.tables), "dropped": dropped}
    pace = {"seconds_per_field": measured.seconds_per_field} if segmenting else {}
    _commit(job, "measure", {**known_fields, **pace})


def _unsegmented(job: WellJob) -> dict[int, str]:
    """Fields that have no labels because they could not be segmented, with the reasons."""
    marker = _markers(job, "segment").read(job.task.well.name) or {}
    return {int(number): str(reason) for number, reason in marker.get("unsegmented", {}).items()}


def _write_cells(job: WellJob, recipe: Recipe, tables: list[pd.DataFrame]) -> None:
    described = {info.column: info.described(recipe.channels) for info in cell_catalogue(recipe)}
    cells = pd.concat(tables, ignore_index=True)
    # A well without cells must have the same column types as all others.
    for place, (name, text) in enumerate((("Plate", job.plate_name), ("Well", job.task.well.name))):
        cells.insert(place, f"Metadata_{name}", pd.Series(text, index=cells.index, dtype="string"))
    write_table(cells_path(Path(job.results), job.prints, job.task.well.name), cells, described)


def _aggregate_well(job: WellJob, recipe: Recipe, cells: pd.DataFrame) -> dict[str, Any]:
    marker = _markers(job, "measure").read(job.task.well.name) or {}
    return {
        "Metadata_Plate": job.plate_name,
        "Metadata_Well": job.task.well.name,
        "Metadata_FieldsUsed": int(marker.get("fields_used", 0)),
        "Metadata_FieldsExpected": len(job.task.fields) + len(job.task.dropped),
        **aggregate_cells(cells, feature_names(recipe), counted_objects(recipe), recipe.profile),
    }
