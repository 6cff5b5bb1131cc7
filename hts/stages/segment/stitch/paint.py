"""Pixels of the stitched labels: each block paints its own tile, from its labels and its neighbours' runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.segment.stitch.grid import BlockGrid
from hts.stages.segment.stitch.overlaps import clipped
from hts.stages.segment.stitch.records import AREA, RUN_LABEL, BorderRecords
from hts.stages.segment.stitch.resolve import Resolution

Runs = Mapping[int, NDArray[np.int32]]


@dataclass(frozen=True)
class Painter:
    """All that is needed to paint one block: the grid, its number, what stands, its records and its neighbours'."""

    grid: BlockGrid
    number: int
    resolution: Resolution
    records: Mapping[int, BorderRecords]

    def owned(self) -> tuple[int, int]:
        """Numbers of the objects that this block stands for: from the first to before the second."""
        before, number = self.resolution.before, self.number
        return before[number] + 1, (*before, self.resolution.total)[number + 1] + 1

    def paint(self, labels: NDArray[np.int32], runs: Runs | None = None) -> NDArray[np.int32]:
        """The stitched labels (Y, X) int32 of the block's tile, with their numbers in the field.

        Every pixel of the tile is as every other block whose tile has it paints it. Where objects of different tiles
        claim one pixel the smaller one has it, so that an object that another tile drew too large covers no neighbour.

        Parameters
        ----------
        labels : (Y, X) int32 of the tile, numbered as the records are; or of an object set with the same numbers.
        runs : the shared runs of that object set by block; those of the records when None.
        """
        from hts.stages.segment.stitch._kernels_stitch import paint_runs

        tile, private = self.grid[self.number].tile, self.grid.private(self.number)
        n_objects = self.records[self.number].n_objects
        canvas = np.zeros(tile.shape, np.int32)
        inner = private.slices(tile)
        canvas[inner] = self.resolution.numbers(self.number, n_objects)[labels[inner]]
        paint_runs(self._claims(runs), canvas)
        return canvas

    def _claims(self, runs: Runs | None) -> NDArray[np.int32]:
        """All runs in this tile of objects that stand, the largest object first, with rows and columns of the tile."""
        tile = self.grid[self.number].tile
        claims, areas = [], []
        for number in (self.number, *self.grid.neighbours(self.number)):
            records = self.records[number]
            found = clipped(records.runs if runs is None else runs[number], tile)
            label = found[:, RUN_LABEL].copy()
            found[:, RUN_LABEL] = self.resolution.numbers(number, records.n_objects)[label]
            claims.append(found)
            areas.append(_areas(records, label))
        every, area = np.concatenate(claims), np.concatenate(areas)
        stands = every[:, RUN_LABEL] > 0
        every, area = every[stands], area[stands]
        every = every[np.lexsort((every[:, RUN_LABEL], -area))]
        every[:, 0] -= tile.y0
        every[:, 1:3] -= tile.x0
        return np.ascontiguousarray(every)


def _areas(records: BorderRecords, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Full visible area of objects of a block.

    Raises
    ------
    StageError
        when one has no record.
    """
    place = np.minimum(np.searchsorted(records.labels, labels), max(len(records.labels) - 1, 0))
    if labels.size and not (records.labels.size and np.array_equal(records.labels[place], labels)):
        raise StageError(
            "object sets of the same numbers that do not lie over one another's objects, in fields cut into blocks",
            found="an object at a border of blocks that other numbers cover in another set",
            fix="raise blocks.limit_px, or link each set to the first one only",
        )
    areas: NDArray[np.int64] = records.sums[place, AREA]
    return areas


def stitch(grid: BlockGrid, tiles: list[NDArray[np.int32]]) -> tuple[NDArray[np.int32], Resolution]:
    """Stitch tiles that are all in memory.

    Parameters
    ----------
    grid : the blocks.
    tiles : the label image (Y, X) of every block's tile, in the order of the grid.

    Returns
    -------
    The label image of the field, int32, numbered 1…n, and what was decided.
    """
    from hts.stages.segment.stitch.records import border_records, number_objects
    from hts.stages.segment.stitch.resolve import resolve

    numbered = [number_objects(tile)[0] for tile in tiles]
    records = {number: border_records(tile, grid, number) for number, tile in enumerate(numbered)}
    resolution = resolve(grid, list(records.values()))
    field = np.zeros(grid.shape, np.int32)
    for number, tile in enumerate(numbered):
        core = grid[number].core
        painted = Painter(grid, number, resolution, records).paint(tile)
        field[core.slices()] = painted[core.slices(grid[number].tile)]
    return field, resolution
