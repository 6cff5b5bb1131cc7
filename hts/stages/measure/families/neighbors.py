"""Objects near an object, as CellProfiler 4 defines them.

The numbers of the closest objects (``FirstClosestObjectNumber``) are left out: they are names, not features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hts.stages.measure.features import BuiltInFamily, FamilyParams, FeatureInfo

if TYPE_CHECKING:
    from hts.stages.measure.shared.objects import Objects

SOURCE = "CellProfiler 4 MeasureObjectNeighbors"
MAX_DISTANCE_PX = 50
"""The work grows with the square of the distance."""

TIED = 8
"""How many centres are looked at for the closest two, unless more are equally close."""

_CENTRES = "between the mean positions of the pixels"
_DEFINITIONS = {
    "NumberOfNeighbors": ("1", "Number of other objects {near}; 0 for an object alone"),
    "PercentTouching": (
        "1",
        "Percentage of the outline (pixels with a pixel of another label or the frame among their 8 neighbours) that "
        "has another object {touching}; 0 for an object alone",
    ),
    "FirstClosestDistance": ("px", f"Distance {_CENTRES} to the closest object; undefined for an object alone"),
    "SecondClosestDistance": ("px", f"Distance {_CENTRES} to the second closest object; undefined below 3 objects"),
    "AngleBetweenNeighbors": (
        "degree",
        "Angle at the object's centre between those of the closest two, of equally close ones those with the smaller "
        "numbers; undefined below 3 objects, or where two centres are at the same place",
    ),
}

Method = Literal["adjacent", "expanded"] | Annotated[int, Field(ge=1, le=MAX_DISTANCE_PX)]


class NeighborsParams(FamilyParams):
    """What counts as near."""

    methods: tuple[Method, ...] = Field(
        default=("adjacent", "expanded"),
        description="Objects that touch (adjacent), or do when the background is shared out among them (expanded), or "
        f"have pixels within a distance in whole px, at most {MAX_DISTANCE_PX}.",
    )


class NeighborsFeatures(BuiltInFamily):
    """How many objects are near, how much of the outline they take, how far and in which directions they are."""

    name = "neighbors"
    version = 1
    Params = NeighborsParams
    needs = ("runs", "moments")
    cost_ns = 25.0
    bytes_px = 16.0
    looks_around = True
    approximate_in_blocks = (
        "neighbours are looked for in the overlap; where one beyond it could matter there is no value (neighbors)"
    )

    def catalogue(self, channels: tuple[str, ...]) -> tuple[FeatureInfo, ...]:
        """Five features a method; the same whatever the channels."""
        return tuple(
            FeatureInfo(_column(name, method), self.name, unit, None, definition.format(**_nearness(method)), SOURCE)
            for name, (unit, definition) in _DEFINITIONS.items()
            for method in dict.fromkeys(self.params.methods)
        )

    def compute(self, objects: Objects) -> dict[str, NDArray[np.float64]]:
        """(n,) values by name; NaN for objects without a pixel."""
        every, n = objects.surroundings, objects.count
        closest = _closest(every)
        columns: dict[str, NDArray[np.float64]] = {}
        for method in dict.fromkeys(self.params.methods):
            for name, values in (_counted(every, method) | closest).items():
                columns[_column(name, method)] = values[:n]
        return columns


def expanded_labels(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The labels (Y, X) with each background pixel given to the nearest object.

    Of pixels at the same distance the one further left counts, of those in one column the upper one, as in scipy's
    ``distance_transform_edt``.
    """
    from hts.stages.measure.families import _kernels_neighbors as kernels
    from hts.stages.measure.shared.runs import read_only

    if not labels.any():
        return labels
    expanded = np.empty(labels.shape, np.int32)
    kernels.expand_labels(read_only(labels), np.empty(labels.shape, np.int32), expanded)
    return expanded


def reach_of(distance_px: int) -> NDArray[np.int32]:
    """(2, 2 d + 1) half widths of the rows of the discs with radius d and d + 0.5, the latter not beyond d."""
    rows = np.arange(-distance_px, distance_px + 1)
    squared = np.array([[distance_px**2], [(distance_px + 0.5) ** 2]]) - rows**2
    reach: NDArray[np.int32] = np.minimum(np.sqrt(squared), distance_px).astype(np.int32)
    return reach


def _column(name: str, method: Method) -> str:
    return f"Neighbors_{name}_{str(method).capitalize()}"


def _nearness(method: Method) -> dict[str, str]:
    shared = " when each background pixel is given to the nearest object" if method == "expanded" else ""
    if isinstance(method, int):
        return {
            "near": f"with a pixel within {method} px of one of the object's",
            "touching": f"within {method} + 0.5 px, not beyond {method} px along rows and columns",
        }
    return {
        "near": f"with a pixel among the 4 neighbours of one of the object's{shared}",
        "touching": f"among the 8 neighbours{shared}",
    }


def _counted(objects: Objects, method: Method) -> dict[str, NDArray[np.float64]]:
    from hts.stages.measure.families import _kernels_neighbors as kernels
    from hts.stages.measure.shared.runs import over_objects, read_only, runs_of

    labels, runs = objects.labels, objects.runs
    known = objects.present & (objects.clearance_px >= (method if isinstance(method, int) else 1))
    if method == "expanded":
        labels = expanded_labels(labels)
        runs = runs_of(labels, objects.count)
        known = objects.present & _sees_all_it_shares(objects, labels)
    counts = np.zeros((objects.count, 3), np.int64)
    reach = reach_of(method if isinstance(method, int) else 1)
    over_objects(kernels.count_neighbors, runs, read_only(labels), reach, counts, threads=objects.field.inner_threads)
    outline = np.where(known, counts[:, kernels.OUTLINE], np.nan)
    return {
        "NumberOfNeighbors": np.where(known, counts[:, kernels.NEIGHBORS], np.nan),
        "PercentTouching": 100.0 * counts[:, kernels.TOUCHING] / outline,
    }


def _sees_all_it_shares(objects: Objects, expanded: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(n,) whether no object beyond the part of the field that is seen can have a share of an object's background.

    What an object takes lies within the diagonal of what its box grows by; whoever has an older claim to a pixel there
    is nearer to it than the object is.
    """
    if not np.isfinite(objects.clearance_px[objects.present]).any():
        return objects.present
    from hts.stages.measure.shared.moments import object_moments

    grown = object_moments(expanded, objects.field.images[:0], count=objects.count).bbox
    steps = np.abs(grown - objects.moments.bbox)
    taken = np.hypot(np.maximum(steps[:, 0], steps[:, 2]), np.maximum(steps[:, 1], steps[:, 3]))
    farthest = np.max(steps, axis=1)
    return np.asarray(taken + 3 <= objects.clearance_px - farthest, np.bool_)


def _closest(objects: Objects) -> dict[str, NDArray[np.float64]]:
    m, numbers = objects.moments, np.flatnonzero(objects.present)
    centres = np.stack([m.sum_y[numbers], m.sum_x[numbers]], axis=1) / m.area[numbers, None]
    vectors = np.full((2, objects.count, 2), np.nan)
    vectors[:, numbers] = closest_two(centres)
    (y1, y2), (x1, x2) = vectors[..., 0], vectors[..., 1]
    distances = np.hypot(y1, x1), np.hypot(y2, x2)
    apart = (distances[0] > 0) & (distances[1] > 0)
    angle = np.degrees(np.arctan2(np.abs(y1 * x2 - y2 * x1), y1 * y2 + x1 * x2))
    seen_px = _sight_px(objects)
    first, second = (np.where(distance <= seen_px, distance, np.nan) for distance in distances)
    return {
        "FirstClosestDistance": first,
        "SecondClosestDistance": second,
        "AngleBetweenNeighbors": np.where(apart & np.isfinite(second), angle, np.nan),
    }


def _sight_px(objects: Objects) -> NDArray[np.float64]:
    """(n,) the distance within which no centre is missed.

    That of an object beyond the part of the field that is seen, or cut by its sides, is farther away.
    """
    box = objects.moments.bbox[objects.present]
    largest = float(np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]).max(initial=0.0))
    return objects.clearance_px - largest


def closest_two(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, n, 2) vectors from each of (n, 2) centres to the closest and the second closest other; NaN where none is.

    Of equally close ones the first in the list is taken.
    """
    from scipy.spatial import cKDTree

    n = len(centres)
    vectors = np.full((2, n, 2), np.nan)
    if n < 2:
        return vectors
    looked_at = min(n, TIED)
    near = cKDTree(centres).query(centres, looked_at)[1]
    found = _first_two(centres, np.arange(n), np.sort(near, axis=1))
    if looked_at < n:
        # Where as many as were looked at may be equally close, look at all.
        last = np.linalg.norm(centres[near[:, -1]] - centres, axis=1)
        second = np.linalg.norm(centres[found[1]] - centres, axis=1)
        for i in np.flatnonzero(last <= second * (1 + 1e-12)):
            found[:, i] = _first_two(centres, np.array([i]), np.arange(n)[None])[:, 0]
    kept = min(n - 1, 2)
    vectors[:kept] = centres[found[:kept]] - centres
    return vectors


def _first_two(centres: NDArray[np.float64], own: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.intp]:
    """(2, m) the closest two to (m,) centres among (m, k) others, which ascend; a centre itself counts as far away."""
    away = ((centres[others] - centres[own, None]) ** 2).sum(axis=2)
    away[others == own[:, None]] = np.inf
    order = np.argsort(away, axis=1, kind="stable")[:, : min(2, others.shape[1])]
    found = np.take_along_axis(others, order, axis=1)
    return np.asarray(found[:, [0, -1]].T)
