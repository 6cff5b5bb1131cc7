"""The end of the large fields of a well: what their blocks left becomes tables and label images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hts.engine.fields import Measured
from hts.engine.large.blocks import BlockDone, first_problem, label_blocks
from hts.engine.large.places import Scratch, families, field_grid
from hts.errors import StageError, StoreError
from hts.recipe import Recipe
from hts.stages.measure import number_column
from hts.stages.segment.stitch.audit import AuditPart, audit
from hts.store import Field, read_arrays, read_json, read_table

if TYPE_CHECKING:
    from hts.engine.work import WellJob

Outcomes = Mapping[int, list[BlockDone]]
"""By field what its blocks said."""


def gather_fields(
    job: WellJob, recipe: Recipe, fields: Iterable[Field], outcomes: Outcomes
) -> tuple[Measured, dict[str, Any]]:
    """Tables of the fields, and what the marker of segmentation keeps of them: numbering, decisions, seam audit.

    Raises
    ------
    StoreError
        when a block could not write its results.
    StageError
        when a block failed in a way that concerns the well.
    """
    measured, kept, seconds = Measured(), {}, 0.0
    numbers = [field.key.field for field in fields]
    for field in fields:
        number = field.key.field
        problem = first_problem(outcomes[number])
        if problem.unwritable:
            raise StoreError(problem.unwritable)
        if problem.failed:
            raise StageError(problem.failed)
        if problem.unread:
            measured.unread[number] = problem.unread
            continue
        measured.read.append(number)
        if problem.unsegmented:
            measured.unsegmented[number] = problem.unsegmented
            continue
        if problem.unmeasured:
            measured.unmeasured[number] = problem.unmeasured
            continue
        grid = field_grid(field, recipe)
        place = Scratch.of(job, number)
        table = pd.concat([read_table(place.cells(n)) for n in range(len(grid))], ignore_index=True)
        if "segment" in job.task.stages:
            label_blocks(job, field, recipe, grid).end()
            kept[str(number)] = _facts(place, recipe, len(grid))
            measured.quality[number] = _quality(place, recipe, len(grid), (table, kept[str(number)]))
        measured.tables.append(table)
        seconds += _seconds(place, len(grid), "segment" in job.task.stages)
    measured.seconds_per_field = round(seconds / max(len(numbers), 1), 3)
    return measured, {"blocks": kept} if kept else {}


def _facts(place: Scratch, recipe: Recipe, n_blocks: int) -> dict[str, Any]:
    """What is kept of the stitching of a field: where each block's numbers begin, what was decided, the seam audit."""
    resolutions = read_json(place.resolution)["stands"]
    primary = next(root for root, names in families(recipe).items() if recipe.objects[0] in names)
    done = [read_arrays(place.done(number)) for number in range(n_blocks)]
    seams = {}
    for root in families(recipe):
        parts = (
            AuditPart(each[f"{root}/pixels"], tuple(each[f"{root}/length_px"].tolist()), each[f"{root}/met"])
            for each in done
        )
        seams[root] = audit(parts).to_json()
    before = [*resolutions[primary]["before"], resolutions[primary]["total"]]
    findings = {root: found["findings"] for root, found in resolutions.items()}
    return {"before": before, "findings": findings, "seams": seams}


def _quality(
    place: Scratch, recipe: Recipe, n_blocks: int, found: tuple[pd.DataFrame, dict[str, Any]]
) -> dict[str, Any]:
    """By object set what is told of a field: counts from its table, the rest from its blocks, and the seam audit."""
    table, kept = found
    told = [read_json(place.told(number)) for number in range(n_blocks)]
    decided = read_json(place.resolution)
    primary = table[number_column(recipe.objects[0])] > 0
    quality = {}
    for root, names in families(recipe).items():
        for name in names:
            facts = merged_facts([each[name] for each in told])
            if number_column(name) in table:
                there = table[number_column(name)] > 0
                facts |= {
                    "objects": int(there.sum()),
                    "touching_border": decided["touching"][name],
                    "dropped_at_border": len(decided["dropped"].get(name, ())),
                    "orphans": int((there & ~primary).sum()),
                    "primary_without": int((primary & ~there).sum()),
                }
            cut = {"cut_objects": kept["findings"][root]["cut"]}
            quality[name] = facts | {"seams": kept["seams"][root] | cut}
    return quality


def merged_facts(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """What segmenters told of the blocks of a field, as of one.

    Counts are added up, lists and different words joined, and what is yes or no is yes when it is in every block: a
    block on the CPU beside others on a GPU must be seen. Of other numbers the first is kept.
    """
    told: dict[str, list[Any]] = {}
    for facts in blocks:
        for key, value in facts.items():
            told.setdefault(key, []).append(value)
    return {key: _joined(values) for key, values in told.items()}


def _joined(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, bool):
        return all(values)
    if isinstance(first, int):
        return sum(values)
    if isinstance(first, str):
        return ", ".join(dict.fromkeys(map(str, values)))
    if isinstance(first, list):
        return list(dict.fromkeys(item for value in values for item in value))
    return first


def _seconds(place: Scratch, n_blocks: int, with_segmentation: bool) -> float:
    files = [place.done(n) for n in range(n_blocks)]
    files += [place.borders(n) for n in range(n_blocks)] if with_segmentation else []
    return float(np.sum([read_arrays(file)["seconds"][0] for file in files]))
