"""From the labels and images of a field to its object table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
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
from hts.stages.measure.features import families

if TYPE_CHECKING:
    import pandas as pd

    from hts.stages.measure.moments import ObjectMoments


def measure_field(
    labels: Mapping[str, NDArray[np.int32]],
    images: Mapping[str, NDArray[Any]],
    params: MeasureParams | None = None,
    origin: tuple[int, int] = (0, 0),
    field_shape: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Measure all objects of a field.

    Parameters
    ----------
    labels : (Y, X) int32 by the name of the object set. The first is the primary one (nuclei). The same id in two sets
        is the same cell; any set may lack it.
    images : (Y, X) uint8, uint16 or float32 by channel role.
    params : families and object sets; all that is built in when not given.
    origin : row and column of the first pixel, when labels and images are a part of a field.
    field_shape : (Y, X) of that field, whose frame objects touch or not.

    Returns
    -------
    One row for each id in the primary set or in one that is measured, in ascending order. Columns are those of
    :func:`feature_catalogue`: int64 and bool for identities, which say which sets have the id, and float64 for
    features, NaN where a feature is undefined or the set does not have the id.

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
    moments = {name: found.moved(*origin) for name, found in _moments(labels, images, chosen).items()}
    measured = measured_objects(names, chosen)
    rows = np.flatnonzero(np.any([found.area > 0 for found in moments.values()], axis=0))
    shape = labels[names[0]].shape if field_shape is None else field_shape
    at_frame = {name: _touches_frame(labels[name], found.area.size, origin, shape) for name, found in moments.items()}
    data = _identities(moments, rows, at_frame)
    for name in measured:
        data.update(_features(name, moments[name], roles, rows, chosen))
    return pd.DataFrame({column: data[column] for column in columns})


def warm_up() -> None:
    """Load or compile the kernels for uint8, uint16 and float32, so that no field pays for it."""
    from hts.stages.measure.moments import object_moments

    labels = np.ones((2, 2), dtype=np.int32)
    for dtype in (np.uint8, np.uint16, np.float32):
        object_moments(labels, np.ones((1, 2, 2), dtype=dtype), pairs=((0, 0),))


def _moments(
    labels: Mapping[str, NDArray[np.int32]], images: Mapping[str, NDArray[Any]], params: MeasureParams
) -> dict[str, ObjectMoments]:
    """Moments of the primary set, which comes first, and of each that is measured; a row is the same id in all."""
    from hts.stages.measure.moments import largest_label, object_moments

    primary = next(iter(labels))
    measured = measured_objects(tuple(labels), params)
    stack = _stack(images, labels[primary].shape)
    wanted = any(family.needs_pairs for family in families(params.features))
    pairs = tuple(combinations(range(len(images)), 2)) if wanted else ()
    sets = identified_objects(primary, measured)
    count = max(largest_label(labels[name]) for name in sets)
    # The primary set says who is an orphan, even when nothing of it is measured.
    return {
        name: object_moments(labels[name], *((stack, pairs) if name in measured else (stack[:0], ())), count=count)
        for name in sets
    }


def _stack(images: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    """(C, Y, X) in the smallest type that holds all images exactly."""
    for role, image in images.items():
        if image.shape != shape:
            raise StageError(
                f"an image of shape {shape} for channel {role}, as the labels are",
                found=f"shape {image.shape}",
                cause="labels and images belong to different fields or pyramid levels",
            )
    if not images:
        return np.empty((0, *shape), dtype=np.uint16)
    return np.stack(list(images.values()))


def _identities(
    moments: Mapping[str, ObjectMoments], rows: NDArray[np.intp], at_frame: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[Any]]:
    numbers = (rows + 1).astype(np.int64)
    data: dict[str, NDArray[Any]] = {OBJECT_NUMBER: numbers}
    primary = next(iter(moments))
    has_primary = moments[primary].area[rows] > 0
    for name, found in moments.items():
        there = found.area[rows] > 0
        data[number_column(name)] = np.where(there, numbers, 0)
        data[border_column(name)] = there & at_frame[name][rows]
        if name != primary:
            data[parent_column(name, primary)] = np.where(there & has_primary, numbers, 0)
            data[children_column(name, primary)] = (there & has_primary).astype(np.int64)
    return data


def _touches_frame(
    labels: NDArray[np.int32], count: int, origin: tuple[int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(count,) whether label ``i + 1`` has a pixel in the first or last row or column of the field."""
    touches = np.zeros(count + 1, np.bool_)
    for axis, plane in ((0, labels), (1, labels.T)):
        if origin[axis] == 0:
            touches[plane[:1]] = True
        if origin[axis] + plane.shape[0] == shape[axis]:
            touches[plane[-1:]] = True
    return touches[1:]


def _features(
    name: str, moments: ObjectMoments, roles: tuple[str, ...], rows: NDArray[np.intp], params: MeasureParams
) -> dict[str, NDArray[np.float64]]:
    data: dict[str, NDArray[np.float64]] = {}
    for family in families(params.features):
        values = family.compute(moments, roles)
        declared = {info.name for info in family.catalogue(roles)}
        if declared != set(values):
            odd = ", ".join(sorted(declared ^ set(values)))
            raise StageError(
                f"feature family {family.name} computes the features that it declares",
                found=f"only declared or only computed: {odd}",
                fix="report it to the package that provides the family",
            )
        for feature, value in values.items():
            # An object that is not there has no value, whatever a family makes of its zeros.
            column = np.where(moments.area > 0, np.asarray(value, dtype=np.float64), np.nan)
            data[f"{prefix(name)}_{feature}"] = column[rows]
    return data
