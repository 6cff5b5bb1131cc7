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
        grid = field_grid(field, recipe)
        place = Scratch.of(job, number)
        if "segment" in job.task.stages:
            label_blocks(job, field, recipe, grid).end()
            kept[str(number)] = _facts(place, recipe, len(grid))
        measured.tables.append(pd.concat([read_table(place.cells(n)) for n in range(len(grid))], ignore_index=True))
        seconds += _seconds(place, len(grid), "segment" in job.task.stages)
    measured.seconds_per_field = round(seconds / max(len(numbers), 1), 3)
    return measured, {"blocks": kept} if kept else {}


def _facts(place: Scratch, recipe: Recipe, n_blocks: int) -> dict[str, Any]:
    """What is kept of the stitching of a field: where each block's numbers begin, what was decided, the seam audit."""
    resolutions = read_json(place.resolution)
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


def _seconds(place: Scratch, n_blocks: int, with_segmentation: bool) -> float:
    files = [place.done(n) for n in range(n_blocks)]
    files += [place.borders(n) for n in range(n_blocks)] if with_segmentation else []
    return float(np.sum([read_arrays(file)["seconds"][0] for file in files]))
