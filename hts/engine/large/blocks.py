"""What runs on the workers for one block of a large field, and for the field between its blocks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.engine.attempts import Attempts
from hts.engine.fields import pixel_size_um, read_projection, scaled
from hts.engine.large.frame import at_frame, drop, touching_field
from hts.engine.large.places import Scratch, families, field_grid
from hts.engine.stages import check_same, fingerprints, segmenter_steps
from hts.engine.surveys import step_contexts
from hts.engine.threads import task_threads
from hts.errors import SourceError, StageError, StoreError
from hts.recipe import Recipe
from hts.stages.measure import MeasureParams, Place, measure_field, number_columns
from hts.stages.segment import FieldWork, object_areas, segment_fields
from hts.stages.segment.stitch import (
    BlockGrid,
    BorderRecords,
    Painter,
    Resolution,
    border_records,
    number_objects,
    resolve,
    shared_runs,
)
from hts.stages.segment.stitch.audit import audit_part
from hts.store import (
    Field,
    LabelBlocks,
    Markers,
    Plate,
    exists,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
    write_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from hts.engine.work import WellJob

Labels = dict[str, NDArray[np.int32]]
LONGEST_REASON = 400


@dataclass(frozen=True)
class BlockTask:
    """One block of a field of a well; of the field as a whole, ``block`` is -1."""

    job: WellJob
    field: int
    block: int = -1

    @property
    def name(self) -> str:
        """For the counter of attempts."""
        return f"{self.job.task.well.name}-{self.field}-{self.block}"


@dataclass(frozen=True)
class BlockDone:
    """What a worker says of a block: nothing when it went well, else why not, in at most a few hundred letters.

    ``unread``, ``unsegmented`` and ``unmeasured`` concern the field, ``failed`` its well, ``unwritable`` the whole run.
    """

    unread: str = ""
    unsegmented: str = ""
    unmeasured: str = ""
    failed: str = ""
    unwritable: str = ""


class _Unsegmented(Exception):
    """The segmenters gave the field up; whatever else goes wrong may go well the next time."""


class _Unmeasured(Exception):
    """The field cannot be measured; its labels are whole."""


def first_problem(outcomes: Sequence[BlockDone]) -> BlockDone:
    """The gravest of what went wrong; an empty one when all went well."""
    for kind in ("unwritable", "failed", "unread", "unsegmented", "unmeasured"):
        for outcome in outcomes:
            if getattr(outcome, kind):
                return outcome
    return BlockDone()


def segment_block(task: BlockTask) -> BlockDone:
    """Segment the tile of a block; its labels and border records are left in the results folder."""
    return _guarded(task, _segment_block)


def resolve_field(task: BlockTask, blocks: list[BlockDone]) -> BlockDone:
    """Decide which objects of the field stand, when all its blocks are segmented."""
    before = first_problem(blocks)
    return _guarded(task, _resolve_field) if before == BlockDone() else before


def measure_block(task: BlockTask, before: BlockDone) -> BlockDone:
    """Write the label files that a block owns, and the table of the objects that it stands for."""
    return _guarded(task, _measure_block) if before == BlockDone() else before


def _guarded(task: BlockTask, work: Callable[[BlockTask], None]) -> BlockDone:
    """Do it, with a count of how often it was begun. Nothing is raised: what went wrong is told."""
    attempts = Attempts(Path(task.job.results))
    try:
        if not attempts.begin(task.name):
            return BlockDone(failed=f"the worker of a block died {Attempts.LIMIT} times: out of memory, or a crash")
        try:
            work(task)
        except StoreError as error:
            return BlockDone(unwritable=str(error)[:LONGEST_REASON])
        except SourceError as error:
            return BlockDone(unread=_line(error))
        except _Unsegmented as error:
            return BlockDone(unsegmented=_line(error))
        except _Unmeasured as error:
            return BlockDone(unmeasured=_line(error))
        except Exception as error:
            return BlockDone(failed=f"block {task.block} of field {task.field}: {type(error).__name__}: {_line(error)}")
        finally:
            attempts.end(task.name)
    except StoreError as error:
        return BlockDone(unwritable=str(error)[:LONGEST_REASON])
    return BlockDone()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON]


def _opened(task: BlockTask) -> tuple[Field, Recipe, BlockGrid]:
    recipe = Recipe.from_dict(json.loads(task.job.recipe))
    check_same(fingerprints(recipe), task.job.prints)
    field = Plate.open(task.job.plate)[task.job.task.well].field(task.field)
    return field, recipe, field_grid(field, recipe)


def _planes(field: Field, recipe: Recipe, window: tuple[slice, slice]) -> dict[str, NDArray[Any]]:
    return {
        role: read_projection(field, str(name), recipe.acquire, window=window) for role, name in recipe.channels.items()
    }


# --- segment -----------------------------------------------------------------------------------------------------


def _segment_block(task: BlockTask) -> None:
    place, begin = Scratch.of(task.job, task.field), time.perf_counter()
    if exists(place.borders(task.block)):
        return
    field, recipe, grid = _opened(task)
    planes = _planes(field, recipe, grid[task.block].tile.slices())
    found, told = _segmented(task, field, recipe, planes)
    labels: Labels = {}
    borders: dict[str, NDArray[Any]] = {}
    for root, names in families(recipe).items():
        every, numbers = number_objects(_together([found[name] for name in names]))
        borders |= _packed(root, border_records(every, grid, task.block))
        for name in names:
            labels[name] = _renumbered(found[name], numbers)
            borders[f"{name}/shared"] = shared_runs(labels[name], grid, task.block)
            borders[f"{name}/touching"] = touching_field(labels[name], grid, task.block)
            borders[f"{name}/present"] = np.flatnonzero(object_areas(labels[name])).astype(np.int32)
    write_arrays(place.labels(task.block), labels)
    write_json(place.told(task.block), told)
    borders["seconds"] = np.array([time.perf_counter() - begin])
    write_arrays(place.borders(task.block), borders)


def _segmented(
    task: BlockTask, field: Field, recipe: Recipe, planes: dict[str, NDArray[Any]]
) -> tuple[Labels, dict[str, dict[str, Any]]]:
    """Label images of a tile, and what the segmenters tell of it."""
    job = task.job
    contexts = step_contexts(Path(job.results), job.prints.segment, recipe, [])
    work = FieldWork(planes, pixel_size_um=pixel_size_um(field), is_whole=False)
    (work,) = segment_fields([work], segmenter_steps(recipe), contexts)
    if work.error is not None:
        raise work.error if isinstance(work.error, SourceError) else _Unsegmented(str(work.error))
    return work.labels, work.facts


def _together(sets: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Object sets of the same numbers as one: an object is cut, or seen by others, with all that belongs to it."""
    every = sets[0]
    for labels in sets[1:]:
        every = np.where(every > 0, every, labels)
    return every


def _renumbered(labels: NDArray[np.int32], numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    table = np.zeros(max(len(numbers), int(labels.max(initial=0)) + 1), np.int32)
    table[: len(numbers)] = numbers
    result: NDArray[np.int32] = table[labels]
    return result


def _packed(root: str, records: BorderRecords) -> dict[str, NDArray[Any]]:
    return {f"{root}/{name}": np.asarray(value) for name, value in vars(records).items()}


def _unpacked(root: str, arrays: Mapping[str, NDArray[Any]]) -> BorderRecords:
    values = {name: arrays[f"{root}/{name}"] for name in ("labels", "sums", "is_cut", "runs")}
    return BorderRecords(int(arrays[f"{root}/n_objects"]), **values)


# --- resolve -----------------------------------------------------------------------------------------------------


def _resolve_field(task: BlockTask) -> None:
    place = Scratch.of(task.job, task.field)
    if exists(place.resolution):
        return
    field, recipe, grid = _opened(task)
    borders = [read_arrays(place.borders(number)) for number in range(len(grid))]
    found = {root: resolve(grid, [_unpacked(root, each) for each in borders]) for root in families(recipe)}
    label_blocks(task.job, field, recipe, grid).begin()
    content = {root: resolution.to_json() for root, resolution in found.items()}
    write_json(place.resolution, {"stands": content, **at_frame(recipe, found, borders)})


def label_blocks(job: WellJob, field: Field, recipe: Recipe, grid: BlockGrid) -> LabelBlocks:
    """The label images of a field that its blocks write."""
    names = tuple(job.prints.label_name(name) for name in recipe.objects)
    return LabelBlocks(field, names, grid.shape, grid.block_px)


# --- measure -----------------------------------------------------------------------------------------------------


def _measure_block(task: BlockTask) -> None:
    place, begin = Scratch.of(task.job, task.field), time.perf_counter()
    if exists(place.done(task.block)):
        return
    field, recipe, grid = _opened(task)
    block, audits = grid[task.block], dict[str, NDArray[Any]]()
    if "segment" in task.job.task.stages:
        labels, owned = _painted(task, recipe, grid)
        own = {task.job.prints.label_name(name): plane[block.core.slices(block.tile)] for name, plane in labels.items()}
        label_blocks(task.job, field, recipe, grid).write((block.row, block.column), own)
        for root in families(recipe):
            part = audit_part(labels[root], grid, task.block)
            audits |= {f"{root}/{name}": np.asarray(value) for name, value in vars(part).items()}
    else:
        labels, owned = _stored(task, field, recipe, grid)
    planes = _planes(field, recipe, block.tile.slices())
    params = scaled(recipe, field)
    table = _measured(labels, planes, recipe, params, (owned, (block.tile.y0, block.tile.x0), grid.shape))
    table.insert(0, "Metadata_Site", task.field)
    write_table(place.cells(task.block), table)
    write_arrays(place.done(task.block), audits | {"seconds": np.array([time.perf_counter() - begin])})


def _painted(task: BlockTask, recipe: Recipe, grid: BlockGrid) -> tuple[Labels, tuple[int, int]]:
    """The stitched labels of a tile by object set, and the numbers of the primary objects that the block stands for."""
    place = Scratch.of(task.job, task.field)
    decided = read_json(place.resolution)
    near = {n: read_arrays(place.borders(n)) for n in (task.block, *grid.neighbours(task.block))}
    segmented = read_arrays(place.labels(task.block))
    labels: Labels = {}
    owned = (1, 1)
    for root, names in families(recipe).items():
        records = {number: _unpacked(root, arrays) for number, arrays in near.items()}
        painter = Painter(grid, task.block, Resolution.from_json(decided["stands"][root]), records)
        owned = painter.owned() if recipe.objects[0] in names else owned
        for name in names:
            runs = {number: arrays[f"{name}/shared"] for number, arrays in near.items()}
            labels[name] = painter.paint(segmented[name], runs)
    return drop({name: labels[name] for name in recipe.objects}, decided["dropped"]), owned


def _stored(task: BlockTask, field: Field, recipe: Recipe, grid: BlockGrid) -> tuple[Labels, tuple[int, int]]:
    """The same of labels that an earlier run committed."""
    job = task.job
    marker = Markers(Path(job.results), "segment", job.prints.segment).read(job.task.well.name) or {}
    before = marker["blocks"][str(task.field)]["before"]
    window = grid[task.block].tile.slices()
    labels = {name: field.read_labels(job.prints.label_name(name), window=window) for name in recipe.objects}
    return labels, (before[task.block] + 1, before[task.block + 1] + 1)


def _measured(
    labels: Labels,
    planes: dict[str, NDArray[Any]],
    recipe: Recipe,
    params: MeasureParams,
    which: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
) -> pd.DataFrame:
    """The table of the objects from a first to before a last number, in a tile with this origin in a field."""
    (first, last), origin, shape = which
    primary = recipe.objects[0]
    linked = next(names for names in families(recipe).values() if primary in names)
    local = {}
    for name in recipe.objects:
        is_owned = (labels[name] >= first) & (labels[name] < last) & (name in linked)
        local[name] = np.where(is_owned, labels[name] - (first - 1), 0).astype(np.int32)
    looked_at = any(getattr(family, "looks_around", False) for family in recipe.measure.families())
    around = {name: _with_others(local[name], labels[name], last - first) for name in local} if looked_at else None
    try:
        table = measure_field(local, planes, params, Place(origin, shape, around), task_threads())
    except StageError as error:
        raise _Unmeasured(str(error)) from error
    for column in number_columns(recipe.objects, recipe.measure):
        table[column] = table[column].where(table[column] == 0, table[column] + first - 1)
    return table


def _with_others(local: NDArray[np.int32], labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """``local``, and the objects of ``labels`` that it has not, numbered from ``count + 1``."""
    others = (labels > 0) & (local == 0)
    _, places = np.unique(labels[others], return_inverse=True)
    every = local.copy()
    every[others] = places + count + 1
    return every
