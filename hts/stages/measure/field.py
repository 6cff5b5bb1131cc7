"""From the labels and images of a field to its object table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.measure.catalogue import (
    OBJECT_NUMBER,
    MeasureParams,
    border_column,
    children_column,
    feature_catalogue,
    identified_objects,
    measured_objects,
    number_column,
    parent_column,
    prefix,
)
from hts.stages.measure.features import BuiltInFamily, FeatureFamily, shared_needs
from hts.stages.measure.shared.schedule import Task, run_tasks

if TYPE_CHECKING:
    import pandas as pd

    from hts.stages.measure.shared.objects import FieldData, Objects


DENSE_LABELS = 10_000
"""Numbers up to here are rows as they are."""

_BYTES_PX = {"edge_distance": 4, "edges": 4, "runs": 1, "hulls": 1}
"""Of a pixel, for what families share."""

_BYTES_CHANNEL_PX = {"values": 4, "ranks": 4}


@dataclass(frozen=True)
class Place:
    """A part of a field.

    origin : row and column of its first pixel.
    shape : (Y, X) of the whole field, whose frame objects may touch.
    around : label images of the part with all objects in it, not only those to be measured: these have the same numbers
        in both, the others higher ones.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    around: Mapping[str, NDArray[np.int32]] | None = None


def measure_field(
    labels: Mapping[str, NDArray[np.int32]],
    images: Mapping[str, NDArray[Any]],
    params: MeasureParams | None = None,
    place: Place | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """Measure all objects of a field.

    Parameters
    ----------
    labels : (Y, X) int32 by the name of the object set. The first is the primary one (nuclei). The same id in two sets
        is the same cell; any set may lack it.
    images : (Y, X) uint8, uint16 or float32 by channel role.
    params : families and object sets; shape, intensity and correlation of all sets when not given.
    place : which part of a field labels and images are, when they are not all of it.
    threads : how many threads share the work; the values do not depend on it.

    Returns
    -------
    One row for each id in the primary set or in one that is measured, in ascending order. Columns are those of
    :func:`feature_catalogue`: int64 and bool for identities, which say which sets have the id, and floats of
    ``params.precision`` for features, NaN where a feature is undefined or the set does not have the id.

    Raises
    ------
    StageError
        when shapes or types do not fit, or a family computes other columns than it declares.
    UsageError
        when a family or an object set of ``params`` does not exist.
    """
    import pandas as pd

    chosen = params or MeasureParams()
    names, roles = tuple(labels), tuple(images)
    columns = [info.column for info in feature_catalogue(names, roles, chosen)]
    kept, numbers = _numbered(labels, chosen, place)
    field = _field_data(kept, images, chosen, place, threads)
    try:
        data = _columns(field, numbers, chosen)
    finally:
        field.close()
    return pd.DataFrame({column: data[column] for column in columns})


def _columns(field: FieldData, numbers: NDArray[np.int64], params: MeasureParams) -> dict[str, NDArray[Any]]:
    """Identities and features by column, one object set after the other."""
    there = {name: objects.present for name, objects in field.sets.items()}
    rows = np.flatnonzero(np.any(list(there.values()), axis=0))
    at_frame = {name: _touches_frame(field, labels) for name, labels in field.labels.items()}
    data = _identities(there, rows, at_frame, numbers[rows])
    for name in measured_objects(tuple(field.labels), params):
        data.update(_features(name, field, rows, params))
        field.sets[name].release()
    return data


def warm_up(params: MeasureParams | None = None, dtypes: tuple[str, ...] = ("uint16", "float32")) -> None:
    """Load or compile the kernels of these families for images of these types, so that no field pays for it.

    8 bits are measured as 16.
    """
    labels = np.repeat(np.repeat(np.array([[1, 2], [0, 3]], np.int32), 8, axis=0), 8, axis=1)
    for dtype in dtypes:
        image = (np.arange(labels.size).reshape(labels.shape) / labels.size).astype(dtype)
        measure_field({"objects": labels}, {"a": image, "b": image}, _on_any_field(params))


def _on_any_field(params: MeasureParams | None) -> MeasureParams:
    """The same built-in families with the same settings; a plug-in may want a channel that is not here."""
    chosen = params or MeasureParams()
    names = tuple(family.name for family in chosen.families() if isinstance(family, BuiltInFamily))
    return chosen.model_copy(update={"objects": None, "full_scale": None, "features": names})


def measuring_bytes(params: MeasureParams, shape: tuple[int, int], channels: int) -> int:
    """Working memory for one field (Y, X) beyond its planes, their stack and its labels: what families share."""
    needs = shared_needs(params.families())
    per_px = float(sum(_BYTES_PX.get(need, 0) for need in needs))
    per_px += sum(getattr(family, "bytes_px", 0.0) for family in params.families())
    per_channel_px = sum(_BYTES_CHANNEL_PX.get(need, 0) for need in needs)
    return int(shape[0] * shape[1] * (per_px + channels * per_channel_px))


def _numbered(
    labels: Mapping[str, NDArray[np.int32]], params: MeasureParams, place: Place | None
) -> tuple[dict[str, NDArray[np.int32]], NDArray[np.int64]]:
    """The object sets that make rows (the primary one too when nothing of it is measured), and the number of each row.

    Where high numbers go with few objects the objects are numbered anew: every family has a row for each number.
    """
    from hts.stages.measure.shared.moments import largest_label

    primary = next(iter(labels))
    kept = {name: labels[name] for name in identified_objects(primary, measured_objects(tuple(labels), params))}
    largest = max(largest_label(plane) for plane in kept.values())
    if largest > DENSE_LABELS and (place is None or place.around is None):
        there = np.zeros(largest + 1, np.bool_)
        for plane in kept.values():
            there[plane] = True
        there[0] = False
        numbers = np.flatnonzero(there)
        if 2 * numbers.size < largest:
            table = np.cumsum(there, dtype=np.int32) * there
            return {name: table[plane].astype(np.int32) for name, plane in kept.items()}, numbers
    return kept, np.arange(1, largest + 1)


def _field_data(
    labels: Mapping[str, NDArray[np.int32]],
    images: Mapping[str, NDArray[Any]],
    params: MeasureParams,
    place: Place | None,
    threads: int,
) -> FieldData:
    """Labels and images as the families see them."""
    from hts.stages.measure.shared.moments import check_field, largest_label
    from hts.stages.measure.shared.objects import FieldData

    height, width = next(iter(labels.values())).shape
    count = max(largest_label(plane) for plane in labels.values())
    stack = _stack(images, (height, width))
    for plane in labels.values():
        check_field(plane, stack)
    found = place or Place((0, 0), (height, width))
    scale = tuple(params.full_scale or _full_scale(image) for image in images.values())
    return FieldData(
        labels, stack, tuple(images), count, found.origin, found.shape, scale, threads, around=found.around
    )


def _full_scale(image: NDArray[Any]) -> float:
    return float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0


def _stack(images: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    """(C, Y, X) uint16, or float32 when an image is; 8 bits become 16, which halves what there is to compile."""
    for role, image in images.items():
        if image.shape != shape:
            raise StageError(
                f"an image of shape {shape} for channel {role}, as the labels are",
                found=f"shape {image.shape}",
                cause="labels and images belong to different fields or pyramid levels",
            )
    if not images:
        return np.empty((0, *shape), dtype=np.uint16)
    if (whole := _whole(list(images.values()))) is not None:
        return whole
    stack = np.stack(list(images.values()))
    return np.asarray(stack, np.uint16) if stack.dtype == np.uint8 else np.asarray(stack)


def _whole(planes: list[NDArray[Any]]) -> NDArray[Any] | None:
    """The array (C, Y, X) that all planes are views of, plane by plane: it need not be copied."""
    base = planes[0].base
    if not isinstance(base, np.ndarray) or base.shape != (len(planes), *planes[0].shape):
        return None
    if base.dtype not in (np.uint16, np.float32) or not base.flags.c_contiguous:
        return None
    same = [plane.dtype == base.dtype and plane.flags.c_contiguous for plane in planes]
    places = [plane.ctypes.data == part.ctypes.data for plane, part in zip(planes, base, strict=True)]
    return base if all(same) and all(places) else None


def _identities(
    there: Mapping[str, NDArray[np.bool_]],
    rows: NDArray[np.intp],
    at_frame: Mapping[str, NDArray[np.bool_]],
    numbers: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    data: dict[str, NDArray[Any]] = {OBJECT_NUMBER: numbers}
    primary = next(iter(there))
    has_primary = there[primary][rows]
    for name, found in there.items():
        has = found[rows]
        data[number_column(name)] = np.where(has, numbers, 0)
        data[border_column(name)] = has & at_frame[name][rows]
        if name != primary:
            data[parent_column(name, primary)] = np.where(has & has_primary, numbers, 0)
            data[children_column(name, primary)] = (has & has_primary).astype(np.int64)
    return data


def _touches_frame(field: FieldData, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(n,) whether label ``i + 1`` has a pixel in the first or last row or column of the whole field."""
    touches = np.zeros(field.count + 1, np.bool_)
    for axis, plane in ((0, labels), (1, labels.T)):
        if field.origin[axis] == 0:
            touches[plane[:1]] = True
        if field.origin[axis] + plane.shape[0] == field.shape[axis]:
            touches[plane[-1:]] = True
    return touches[1:]


def _features(
    name: str, field: FieldData, rows: NDArray[np.intp], params: MeasureParams
) -> dict[str, NDArray[np.floating[Any]]]:
    """The columns of an object set: what families share, and the families as soon as what they need is there."""
    objects, chosen = field.sets[name], params.families()
    found = run_tasks(_plan(objects, chosen), field.threads)
    data: dict[str, NDArray[np.floating[Any]]] = {}
    for i in range(len(chosen)):
        for feature, value in found[i].items():
            # An object that is not there has no value, whatever a family makes of its zeros.
            column = np.where(objects.present, np.asarray(value, dtype=np.float64), np.nan)
            data[f"{prefix(name)}_{feature}"] = column[rows].astype(params.precision, copy=False)
    return data


def _plan(objects: Objects, chosen: tuple[FeatureFamily, ...]) -> dict[str | int, Task]:
    """What is computed before what: shared properties by name, families by their place among those chosen."""
    tasks: dict[str | int, Task] = {}
    for need in shared_needs(chosen):
        _add_need(tasks, objects, need)
    for i, family in enumerate(chosen):
        needs = shared_needs([family])
        tasks[i] = Task(partial(_computed, family, objects), needs, _cost(family, objects.channels))
    return tasks


def _add_need(tasks: dict[str | int, Task], objects: Objects, need: str) -> None:
    """Add a shared property after those that it is made of."""
    if need not in tasks:
        before = objects.PREREQUISITES.get(need, ())
        for other in before:
            _add_need(tasks, objects, other)
        tasks[need] = Task(partial(getattr, objects, need), before, np.inf)


def _cost(family: FeatureFamily, channels: tuple[str, ...]) -> float:
    inputs = {info.channel for info in family.catalogue(channels)}
    return float(getattr(family, "cost_ns", 0.0)) * len(inputs)


def _computed(family: FeatureFamily, objects: Objects) -> dict[str, NDArray[np.float64]]:
    """What a family computes, when it is what the family declares."""
    values = family.compute(objects)
    declared = {info.name for info in family.catalogue(objects.channels)}
    if declared != set(values):
        odd = ", ".join(sorted(declared ^ set(values)))
        raise StageError(
            f"feature family {family.name} computes the features that it declares",
            found=f"only declared or only computed: {odd}",
            fix="report it to the package that provides the family",
        )
    return values
