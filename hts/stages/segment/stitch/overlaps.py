"""Which objects of neighbouring tiles lie on one another, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hts.stages.segment.stitch.grid import BlockGrid, Box
from hts.stages.segment.stitch.records import AREA, RUN_BEGIN, RUN_END, RUN_LABEL, RUN_ROW, BorderRecords


@dataclass(frozen=True)
class Overlaps:
    """Sparse pairs of objects of different tiles that share pixels, one row each.

    ``first`` and ``second`` are places in the list of all records; ``shared`` counts the pixels they share.
    ``visible_first`` and ``visible_second`` are the areas to compare that with: of each object the part that the other
    one's tile sees, or all of it when the other object is whole: then there was nothing more to see.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    shared: NDArray[np.int64]
    visible_first: NDArray[np.int64]
    visible_second: NDArray[np.int64]

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Intersection over union in the pixels that both could see."""
        either: NDArray[np.int64] = self.visible_first + self.visible_second - self.shared
        agreement: NDArray[np.float64] = self.shared / either
        return agreement


def find_overlaps(grid: BlockGrid, records: Sequence[BorderRecords]) -> Overlaps:
    """All overlaps between the tiles of a grid, each pair of tiles once, in the order of the blocks."""
    offsets = np.concatenate([[0], np.cumsum([len(each.labels) for each in records])])
    tables = [np.empty((0, 5), np.int64)]
    for number, one in enumerate(records):
        for other in grid.neighbours(number):
            if other > number:
                table = _of_pair(one, records[other], grid[number].tile & grid[other].tile)
                table[:, 0] += offsets[number]
                table[:, 1] += offsets[other]
                tables.append(table)
    return Overlaps(*np.concatenate(tables).T)


def _of_pair(one: BorderRecords, other: BorderRecords, both: Box) -> NDArray[np.int64]:
    """(row in `one`, row in `other`, shared, visible of one, visible of other) of the pairs of two tiles."""
    from hts.stages.segment.stitch._kernels_stitch import run_overlaps

    first, second = clipped(one.runs, both), clipped(other.runs, both)
    found = np.empty((len(first) + len(second), 3), np.int64)
    found = found[: run_overlaps(first, second, found)]
    key, place = np.unique(found[:, 0] * (other.n_objects + 1) + found[:, 1], return_inverse=True)
    shared = np.bincount(place, found[:, 2], len(key)).astype(np.int64)
    i = np.searchsorted(one.labels, key // (other.n_objects + 1))
    j = np.searchsorted(other.labels, key % (other.n_objects + 1))
    seen_one, seen_other = _visible(first, one), _visible(second, other)
    visible_one = np.where(other.is_cut[j], seen_one[i], one.sums[i, AREA])
    visible_other = np.where(one.is_cut[i], seen_other[j], other.sums[j, AREA])
    table: NDArray[np.int64] = np.stack([i, j, shared, visible_one, visible_other], axis=1).astype(np.int64)
    return table


def clipped(runs: NDArray[np.int32], box: Box) -> NDArray[np.int32]:
    """The parts of runs that lie in a box, in the same order."""
    begin, end = np.searchsorted(runs[:, RUN_ROW], (box.y0, box.y1))
    inside = runs[begin:end].copy()
    np.maximum(inside[:, RUN_BEGIN], box.x0, out=inside[:, RUN_BEGIN])
    np.minimum(inside[:, RUN_END], box.x1, out=inside[:, RUN_END])
    return inside[inside[:, RUN_BEGIN] < inside[:, RUN_END]]


def _visible(runs: NDArray[np.int32], records: BorderRecords) -> NDArray[np.int64]:
    """Pixels of each object of the records in clipped runs."""
    lengths = runs[:, RUN_END] - runs[:, RUN_BEGIN]
    rows = np.searchsorted(records.labels, runs[:, RUN_LABEL])
    return np.bincount(rows, lengths, len(records.labels)).astype(np.int64)
