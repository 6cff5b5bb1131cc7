"""A task is a well: its fields are read ahead, segmented and measured, and written behind; then it is committed.

This is what runs on the workers. It is told everything in a :class:`WellJob` and returns a few numbers;
pixels, labels and tables go to the store.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hts.engine.attempts import Attempts
from hts.engine.plan import WellTask
from hts.engine.stages import Fingerprints, cell_catalogue, feature_names, fingerprints, segmenter_steps
from hts.errors import HtsError, SourceError, StageError, StoreError
from hts.recipe import Recipe
from hts.stages.measure import measure_field
from hts.stages.profile import aggregate_cells
from hts.stages.segment import segment_field
from hts.store import Field, Markers, Plate, list_labels, read_table, write_labels, write_table

Planes = dict[str, NDArray[Any]]
Labels = dict[str, NDArray[np.int32]]


@dataclass(frozen=True)
class WellJob:
    """Everything a worker needs to know about one well; paths are absolute, workers may live elsewhere."""

    plate: str
    plate_name: str
    results: str
    recipe: str
    task: WellTask


@dataclass(frozen=True)
class WellDone:
    """What a worker says of a well: under 1 kB, whatever the plate."""

    well: str
    failed: str = ""
    cells: int = 0
    seconds: float = 0.0


@functools.lru_cache(maxsize=4)
def _recipe(text: str) -> tuple[Recipe, Fingerprints]:
    recipe = Recipe.from_dict(json.loads(text))
    return recipe, fingerprints(recipe)


def warm_up() -> float:
    """Compile the kernels of all stages, or load them from the cache; returns the seconds it took."""
    from hts.stages import measure, segment

    begin = time.perf_counter()
    measure.warm_up()
    segment.warm_up()
    return time.perf_counter() - begin


def run_well(job: WellJob) -> WellDone:
    """Do what the well still needs and commit it. A broken well is reported, not raised.

    Raises
    ------
    StoreError
        when results cannot be written: that concerns the whole run, not this well.
    """
    begin = time.perf_counter()
    name = job.task.well.name
    attempts = Attempts(Path(job.results))
    if not attempts.begin(name):
        return WellDone(name, failed=f"its worker died {Attempts.LIMIT} times; see the worker's log", seconds=0.0)
    try:
        cells = _run_stages(job, begin)
    except StoreError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, HtsError) else f"{type(error).__name__}: {error}"
        attempts.end(name)
        return WellDone(name, failed=reason, seconds=time.perf_counter() - begin)
    attempts.end(name)
    return WellDone(name, cells=cells, seconds=time.perf_counter() - begin)


def _run_stages(job: WellJob, begin: float) -> int:
    recipe, prints = _recipe(job.recipe)
    if "measure" in job.task.stages:
        _measure_well(job, recipe, prints)
    path = cells_path(Path(job.results), prints, job.task.well.name)
    try:
        cells = read_table(path)
    except StoreError as error:
        # A damaged table costs its well; only what cannot be written ends the run.
        raise StageError("the well's table of cells can be read", found=" ".join(str(error).split())) from error
    row = _aggregate_well(job, recipe, prints, cells)
    target = row_path(Path(job.results), prints, job.task.well.name)
    write_table(target, pd.DataFrame([row]))
    seconds = round(time.perf_counter() - begin, 2)
    _commit(job, prints, "aggregate", {"cells": len(cells), "seconds": seconds})
    return len(cells)


def cells_path(results: Path, prints: Fingerprints, well: str) -> Path:
    """The well's table of cells."""
    return results / "cells" / prints.measure / f"{well}.parquet"


def row_path(results: Path, prints: Fingerprints, well: str) -> Path:
    """The well's one-row table of counts and statistics."""
    return results / "wells" / prints.aggregate / f"{well}.parquet"


def _commit(job: WellJob, prints: Fingerprints, stage: str, content: dict[str, Any]) -> None:
    markers = Markers(Path(job.results), stage, prints.of(stage))
    markers.commit(job.task.well.name, {"reads": job.task.reads, **content})


def _measure_well(job: WellJob, recipe: Recipe, prints: Fingerprints) -> None:
    """Segment (or read the labels) and measure all fields; read, compute and write overlap."""
    begin = time.perf_counter()
    well = Plate.open(job.plate)[job.task.well]
    fields = [well.field(number) for number in job.task.fields]
    segmenting = "segment" in job.task.stages
    tables: list[pd.DataFrame] = []
    dropped = list(job.task.dropped)
    with (
        concurrent.futures.ThreadPoolExecutor(1, "read") as reader,
        concurrent.futures.ThreadPoolExecutor(1, "write") as writer,
    ):
        written: list[concurrent.futures.Future[None]] = []
        load = functools.partial(_load, recipe=recipe, prints=prints, segmenting=segmenting)
        for field, loaded in _read_ahead(reader, fields, load):
            try:
                planes, labels = loaded.result()
                if segmenting:
                    labels = segment_field(planes, segmenter_steps(recipe))
                tables.append(_measure_field(job, field, recipe, planes, labels))
            except (SourceError, StageError) as error:
                dropped.append((field.key.field, " ".join(str(error).split())))
                continue
            if segmenting:
                written.append(writer.submit(_save_labels, field, labels, prints))
        for future in written:
            future.result()
    if not tables:
        reasons = "; ".join(f"field {number}: {reason}" for number, reason in dropped)
        raise StageError("at least one field of the well can be used", found=reasons)
    if segmenting:
        _show_labels(fields, recipe, prints)
        _commit(job, prints, "segment", {"dropped": dropped})
    _write_cells(job, recipe, prints, tables)
    pace = {"seconds_per_field": round((time.perf_counter() - begin) / len(fields), 3)} if segmenting else {}
    _commit(job, prints, "measure", {"dropped": dropped, "fields_used": len(tables), **pace})


def _read_ahead(reader: concurrent.futures.Executor, fields: list[Field], load: Any) -> Iterator[tuple[Field, Any]]:
    """Each field with its future; the next one is being read while the caller computes."""
    following = reader.submit(load, fields[0]) if fields else None
    for i, field in enumerate(fields):
        current = following
        following = reader.submit(load, fields[i + 1]) if i + 1 < len(fields) else None
        yield field, current


def _load(field: Field, *, recipe: Recipe, prints: Fingerprints, segmenting: bool) -> tuple[Planes, Labels]:
    """Planes by role, and the committed labels when they are not made anew."""
    planes = {role: read_projection(field, str(channel), recipe) for role, channel in recipe.channels.items()}
    if segmenting:
        return planes, {}
    return planes, {name: field.read_labels(prints.label_name(name)) for name in recipe.objects}


def read_projection(field: Field, channel: str, recipe: Recipe) -> NDArray[Any]:
    """The plane (Y, X) of a channel that the recipe asks for: one z, or a projection over all, plane by plane."""
    n_z, wanted, t = field.sizes.get("z", 1), recipe.acquire.z, recipe.acquire.t
    if isinstance(wanted, int) or n_z == 1:
        return field.read_plane(channel, t=t, z=wanted if isinstance(wanted, int) else 0)
    first = field.read_plane(channel, t=t, z=0)
    if wanted == "max":
        for z in range(1, n_z):
            first = np.maximum(first, field.read_plane(channel, t=t, z=z))
        return first
    total = first.astype(np.float64)
    for z in range(1, n_z):
        total += field.read_plane(channel, t=t, z=z)
    return (total / n_z).astype(np.float32)


def _measure_field(job: WellJob, field: Field, recipe: Recipe, planes: Planes, labels: Labels) -> pd.DataFrame:
    table = measure_field(labels, planes, recipe.measure)
    table.insert(0, "Metadata_Plate", job.plate_name)
    table.insert(1, "Metadata_Well", job.task.well.name)
    table.insert(2, "Metadata_Site", field.key.field)
    return table


def _save_labels(field: Field, labels: Labels, prints: Fingerprints) -> None:
    named = {prints.label_name(name): plane for name, plane in labels.items()}
    write_labels(field.plate_path, field.key, named, field.pixel_size)


def _show_labels(fields: list[Field], recipe: Recipe, prints: Fingerprints) -> None:
    names = [prints.label_name(name) for name in recipe.objects]
    for field in fields:
        present = [name for name in names if (field.path / "labels" / name / "zarr.json").exists()]
        list_labels(field.plate_path, field.key, present)


def _write_cells(job: WellJob, recipe: Recipe, prints: Fingerprints, tables: list[pd.DataFrame]) -> None:
    described = {info.column: info.described() for info in cell_catalogue(recipe)}
    cells = pd.concat(tables, ignore_index=True)
    write_table(cells_path(Path(job.results), prints, job.task.well.name), cells, described)


def _aggregate_well(job: WellJob, recipe: Recipe, prints: Fingerprints, cells: pd.DataFrame) -> dict[str, Any]:
    marker = Markers(Path(job.results), "measure", prints.measure).read(job.task.well.name) or {}
    return {
        "Metadata_Plate": job.plate_name,
        "Metadata_Well": job.task.well.name,
        "Metadata_FieldsUsed": int(marker.get("fields_used", 0)),
        "Metadata_FieldsExpected": len(job.task.fields) + len(job.task.dropped),
        **aggregate_cells(cells, feature_names(recipe), recipe.objects, recipe.profile),
    }
