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
    children_column,
    feature_catalogue,
    measured_objects,
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
) -> pd.DataFrame:
    """Measure all objects of a field.

    Parameters
    ----------
    labels : (Y, X) int32 by the name of the object set. The first is the primary one (nuclei); the ids of the others
        are those of the primary object they belong to, and any of them may have no pixels.
    images : (Y, X) uint8, uint16 or float32 by channel role.
    params : families and object sets; all that is built in when not given.
    origin : row and column of the first pixel, when labels and images are a part of a field.

    Returns
    -------
    One row for each id in the primary set, in ascending order. Columns are those of :func:`feature_catalogue`:
    int64 for identities, float64 for features, NaN where a feature is undefined.

    Raises
    ------
    StageError
        when shapes or types do not fit, a set has an id that the primary one has not, or a family
        computes other columns than it declares.
    UsageError
        when a family or an object set of ``params`` does not exist.
    """
    import pandas as pd

    chosen = params or MeasureParams()
    names, roles = tuple(labels), tuple(images)
    columns = [info.column for info in feature_catalogue(names, roles, chosen)]
    moments = {name: found.moved(*origin) for name, found in _moments(labels, images, chosen).items()}
    rows = np.flatnonzero(moments[names[0]].area)
    data = _identities(moments, rows, names[0], measured_objects(names, chosen))
    for name in measured_objects(names, chosen):
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
    """Moments of the primary set and of each set that is measured, all with the rows of the primary set."""
    from hts.stages.measure.moments import object_moments

    primary = next(iter(labels))
    measured = measured_objects(tuple(labels), params)
    stack = _stack(images, labels[primary].shape)
    wanted = any(family.needs_pairs for family in families(params.features))
    pairs = tuple(combinations(range(len(images)), 2)) if wanted else ()
    # The primary set gives the rows, even when nothing of it is measured.
    first = object_moments(labels[primary], *((stack, pairs) if primary in measured else (stack[:0],)))
    moments = {primary: first}
    for name in measured:
        if name != primary:
            _check_ids(name, labels[name], primary, first)
            moments[name] = object_moments(labels[name], stack, pairs, count=first.area.size)
            _check_parents(name, moments[name], primary, first)
    return moments


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


def _check_ids(name: str, labels: NDArray[np.int32], primary: str, first: ObjectMoments) -> None:
    largest = int(labels.max(initial=0))
    if largest > first.area.size:
        _refuse_id(name, largest, primary)


def _check_parents(name: str, moments: ObjectMoments, primary: str, first: ObjectMoments) -> None:
    orphans = np.flatnonzero((moments.area > 0) & (first.area == 0))
    if orphans.size:
        _refuse_id(name, int(orphans[0]) + 1, primary)


def _refuse_id(name: str, label: int, primary: str) -> None:
    raise StageError(
        f"in {name} only ids that {primary} has, which comes first",
        found=f"object {label} in {name} and not in {primary}",
        cause=f"{name} were numbered on their own, or the object sets are in another order",
        fix=f"grow {name} from {primary}, or measure them in a run of their own",
    )


def _identities(
    moments: Mapping[str, ObjectMoments], rows: NDArray[np.intp], primary: str, measured: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    numbers = (rows + 1).astype(np.int64)
    data: dict[str, NDArray[Any]] = {OBJECT_NUMBER: numbers}
    for name in measured:
        if name != primary:
            there = moments[name].area[rows] > 0
            data[parent_column(name, primary)] = np.where(there, numbers, 0)
            data[children_column(name, primary)] = there.astype(np.int64)
    return data


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
            data[f"{prefix(name)}_{feature}"] = np.asarray(value, dtype=np.float64)[rows]
    return data
