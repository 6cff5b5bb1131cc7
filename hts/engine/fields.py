"""The fields of a well: read ahead, segmented and measured, their labels written behind."""

from __future__ import annotations

import concurrent.futures
import functools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hts.engine.stages import Fingerprints, segmenter_steps
from hts.engine.threads import task_threads
from hts.errors import SourceError, StageError
from hts.recipe import Recipe
from hts.stages.measure import MeasureParams, measure_field
from hts.stages.segment import FieldWork, StepContext, segment_fields
from hts.store import Field, list_labels, write_labels

Labels = dict[str, NDArray[np.int32]]
Acquire = Any
"""The recipe's section ``acquire``: which time point, which z or projection."""


@dataclass
class Measured:
    """What came of a well's fields.

    ``tables`` has one table of cells a field; ``read`` the numbers of the fields that could be read;
    ``unsegmented`` and ``unmeasured`` say why a field has no result, by its number; ``quality`` what the
    segmenters tell of it, by object set.
    """

    tables: list[pd.DataFrame] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    unread: dict[int, str] = field(default_factory=dict)
    unsegmented: dict[int, str] = field(default_factory=dict)
    unmeasured: dict[int, str] = field(default_factory=dict)
    quality: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
    seconds_per_field: float = 0.0

    @property
    def dropped(self) -> list[tuple[int, str]]:
        """Fields without a result, with their reasons."""
        return sorted({**self.unread, **self.unsegmented, **self.unmeasured}.items())


def process_fields(
    fields: list[Field], recipe: Recipe, prints: Fingerprints, contexts: Mapping[str, StepContext] | None
) -> Measured:
    """Segment the fields (or read their committed labels) and measure them; reading, computing and writing overlap.

    A field that cannot be read, segmented or measured costs itself only. All fields go through the segmenters as one
    stream, so that those that work in batches fill them.

    Parameters
    ----------
    contexts : by object set what its segmenter is told; None when the labels are committed already.

    Raises
    ------
    StoreError
        when labels cannot be written.
    """
    begin, result, segmenting = time.perf_counter(), Measured(), contexts is not None
    load = functools.partial(load_field, recipe=recipe, prints=None if segmenting else prints)
    with (
        concurrent.futures.ThreadPoolExecutor(1, "read") as reader,
        concurrent.futures.ThreadPoolExecutor(1, "write") as writer,
    ):
        writing: concurrent.futures.Future[None] | None = None
        stream = _read_ahead(reader, fields, load)
        if contexts is not None:
            stream = segment_fields(stream, segmenter_steps(recipe), contexts)
        for work in stream:
            if not _is_usable(work, result):
                continue
            if segmenting:
                if writing is not None:
                    # One field's labels wait at most: that is what the plan's memory counts on.
                    writing.result()
                writing = writer.submit(_save_labels, work.key, work.labels, prints)
            _measure(result, work, recipe)
            work.release()
        if writing is not None:
            writing.result()
    result.seconds_per_field = round((time.perf_counter() - begin) / max(len(fields), 1), 3)
    return result


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_usable(work: FieldWork, result: Measured) -> bool:
    """Take note of whether a field was read and segmented."""
    number = work.key.key.field
    if isinstance(work.error, SourceError):
        result.unread[number] = _line(work.error)
        return False
    result.read.append(number)
    if work.error is not None:
        result.unsegmented[number] = _line(work.error)
        return False
    result.quality[number] = work.facts
    return True


def _read_ahead(reader: concurrent.futures.Executor, fields: list[Field], load: Any) -> Iterator[FieldWork]:
    """Each field when it is asked for; the next one is being read while the caller computes."""
    following = reader.submit(load, fields[0]) if fields else None
    for i in range(len(fields)):
        loaded = following
        following = reader.submit(load, fields[i + 1]) if i + 1 < len(fields) else None
        if loaded is not None:
            yield loaded.result()
            loaded = None


def pixel_size_um(current: Field) -> float | None:
    """Edge of a square of a pixel's area, or None when the field does not say."""
    size = current.pixel_size
    return None if size is None else math.sqrt(size.y_um * size.x_um)


def load_field(
    current: Field, recipe: Recipe, prints: Fingerprints | None = None, window: tuple[slice, slice] | None = None
) -> FieldWork:
    """A field with its planes by role, or a window of it, and with its committed labels when `prints` says which; or
    with an error."""
    work = FieldWork({}, key=current)
    try:
        work.pixel_size_um = pixel_size_um(current)
        work.images = {
            role: read_projection(current, str(name), recipe.acquire, window=window)
            for role, name in recipe.channels.items()
        }
        if prints is not None:
            work.labels = {name: current.read_labels(prints.label_name(name)) for name in recipe.objects}
    except SourceError as error:
        work.fail(error)
    return work


def read_projection(
    current: Field, channel: str, acquire: Acquire, level: int = 0, window: tuple[slice, slice] | None = None
) -> NDArray[Any]:
    """The plane (Y, X) of a channel that the recipe asks for, or a window of it: one z, or a projection plane by plane.

    A projection is over the planes that are there: a channel may have fewer than others. A maximum keeps
    the type of the planes, a mean of several is float32.

    Raises
    ------
    SourceError
        when none of the planes asked for is there.
    """
    there = current.z_planes(channel, acquire.t)
    wanted = [acquire.z] if isinstance(acquire.z, int) else list(there)
    if not wanted or not set(wanted) <= set(there):
        raise SourceError(f"{current.key} has the plane z={acquire.z} of {channel}", found=f"z planes {list(there)}")
    result = current.read_plane(channel, t=acquire.t, z=wanted[0], level=level, window=window)
    if len(wanted) == 1:
        return result
    if acquire.z == "mean":
        result = result.astype(np.float64)
    for z in wanted[1:]:
        plane = current.read_plane(channel, t=acquire.t, z=z, level=level, window=window)
        result = np.maximum(result, plane) if acquire.z == "max" else result + plane
    return result if acquire.z == "max" else (result / len(wanted)).astype(np.float32)


def _measure(result: Measured, work: FieldWork, recipe: Recipe) -> None:
    number = work.key.key.field
    try:
        table = measure_field(work.labels, work.images, scaled(recipe, work.key), threads=task_threads())
    except StageError as error:
        result.unmeasured[number] = _line(error)
        return
    table.insert(0, "Metadata_Site", number)
    result.tables.append(table)


def scaled(recipe: Recipe, field: Field) -> MeasureParams:
    """What to measure; the mean of several planes has the full scale of the planes, though it is of floats."""
    params: MeasureParams = recipe.measure
    dtype = field.array(0).dtype
    if params.full_scale is None and recipe.acquire.z == "mean" and dtype.kind == "u":
        return params.model_copy(update={"full_scale": float(np.iinfo(dtype).max)})
    return params


def _save_labels(current: Field, labels: Labels, prints: Fingerprints) -> None:
    named = {prints.label_name(name): plane for name, plane in labels.items()}
    write_labels(current, named)


def show_labels(fields: tuple[Field, ...] | list[Field], recipe: Recipe, prints: Fingerprints) -> None:
    """List the labels of this recipe in fields that have them; those of other recipes stay on disk."""
    names = [prints.label_name(name) for name in recipe.objects]
    for current in fields:
        present = [name for name in names if current.has_labels(name)]
        if present:
            list_labels(current, present)
