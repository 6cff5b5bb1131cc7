"""From border records to numbers: each object of the field exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.segment.stitch.grid import BlockGrid, Box
from hts.stages.segment.stitch.overlaps import find_overlaps
from hts.stages.segment.stitch.records import X0, X1, Y0, Y1, BorderRecords
from hts.stages.segment.stitch.rule import Seen, choose


@dataclass(frozen=True)
class Resolution:
    """What stands of every block, in a few numbers a block.

    ``before[i]`` is the number of objects of the blocks before the i-th, ``dropped[i]`` the labels of its tile that
    another block stands for (or nobody), ascending, ``joins[i]`` (k, 2) pairs of its labels of which the first, one of
    the dropped, is a piece of the second, ``total`` the number of objects of the field. Objects are numbered 1…total,
    block by block, in raster order within a tile: whatever order the blocks were computed in.
    ``findings`` counts decisions: see :func:`resolve`.
    """

    before: tuple[int, ...]
    dropped: tuple[NDArray[np.int32], ...]
    joins: tuple[NDArray[np.int32], ...]
    total: int
    findings: dict[str, int]

    def numbers(self, block: int, n_objects: int) -> NDArray[np.int32]:
        """Number in the field of each label 0…n of a block's tile; 0 for those that do not stand."""
        stands = np.ones(n_objects + 1, np.bool_)
        stands[0] = False
        stands[self.dropped[block]] = False
        numbers: NDArray[np.int32] = np.where(stands, np.cumsum(stands) + self.before[block], 0).astype(np.int32)
        numbers[self.joins[block][:, 0]] = numbers[self.joins[block][:, 1]]
        return numbers

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        lists = {name: [labels.tolist() for labels in getattr(self, name)] for name in ("dropped", "joins")}
        return {"before": list(self.before), **lists, "total": self.total, "findings": self.findings}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Resolution:
        """Read what :meth:`to_json` made."""
        dropped = tuple(np.array(labels, np.int32) for labels in content["dropped"])
        joins = tuple(np.array(pairs, np.int32).reshape(-1, 2) for pairs in content["joins"])
        return cls(tuple(content["before"]), dropped, joins, int(content["total"]), dict(content["findings"]))


def resolve(grid: BlockGrid, records: Sequence[BorderRecords]) -> Resolution:
    """Decide which objects stand, and number them.

    Parameters
    ----------
    grid : the blocks.
    records : the border records of every block, in the order of the grid.

    Returns
    -------
    Its ``findings`` are ``shared`` (objects that several tiles saw and that stand), ``cut`` (among them those that no
    tile saw whole: larger than the overlap, or lost by a tile; their outline ends in a straight line), ``joined``
    (decisions that an object is one although a tile saw parts), ``parted`` (that it is several) and ``slivers``
    (remains at the edge of a tile that were dropped).

    Raises
    ------
    StageError
        when there are not as many records as blocks.
    """
    if len(records) != len(grid):
        raise StageError(f"border records of {len(grid)} blocks", found=str(len(records)))
    seen = _seen(grid, records)
    choice = choose(seen, find_overlaps(grid, records))
    ends = np.cumsum([len(each.labels) for each in records])
    fallen = [~part for part in np.split(choice.stands, ends[:-1])]
    dropped = tuple(each.labels[gone] for each, gone in zip(records, fallen, strict=True))
    counts = [each.n_objects - len(gone) for each, gone in zip(records, dropped, strict=True)]
    findings = {
        "shared": int(choice.stands.sum()),
        "cut": int((choice.stands & seen.is_cut).sum()),
        "joined": choice.joined,
        "parted": choice.parted,
        "slivers": choice.slivers,
    }
    before = tuple(int(n) for n in np.cumsum([0, *counts]))
    return Resolution(before[:-1], dropped, _joins(choice.joins, records), before[-1], findings)


def _joins(joins: dict[int, int], records: Sequence[BorderRecords]) -> tuple[NDArray[np.int32], ...]:
    """Pairs of places in the list of all records, as pairs of labels by block."""
    labels = np.concatenate([each.labels for each in records])
    tile = np.repeat(np.arange(len(records)), [len(each.labels) for each in records])
    pairs = np.array(sorted(joins.items()), np.int64).reshape(-1, 2)
    return tuple(labels[pairs[tile[pairs[:, 0]] == number]] for number in range(len(records)))


def _seen(grid: BlockGrid, records: Sequence[BorderRecords]) -> Seen:
    sums = np.concatenate([each.sums for each in records])
    tile = np.repeat(np.arange(len(records)), [len(each.labels) for each in records])
    is_cut = np.concatenate([each.is_cut for each in records])
    boxes = [grid[number].tile for number in range(len(grid))]
    margins = [_margin(each.sums, box, grid.shape) for each, box in zip(records, boxes, strict=True)]
    return Seen(tile.astype(np.int64), sums, is_cut, np.concatenate(margins))


def _margin(sums: NDArray[np.int64], tile: Box, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Distance of each object from the nearest edge of the tile beyond which the field goes on."""
    margin = np.full(len(sums), max(shape), np.int64)
    edges = (
        (tile.y0 > 0, sums[:, Y0] - tile.y0),
        (tile.x0 > 0, sums[:, X0] - tile.x0),
        (tile.y1 < shape[0], tile.y1 - sums[:, Y1]),
        (tile.x1 < shape[1], tile.x1 - sums[:, X1]),
    )
    for is_inner, distance in edges:
        margin = np.minimum(margin, distance) if is_inner else margin
    return margin
