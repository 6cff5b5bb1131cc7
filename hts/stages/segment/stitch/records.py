"""What a block tells the others: its objects at the border, and the pixels that other tiles see too."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.segment.stitch.grid import Block, BlockGrid, Box

AREA, Y0, X0, Y1, X1, SUM_Y, SUM_X, SUM_YY, SUM_XY, SUM_XX = range(10)
"""Columns of :attr:`BorderRecords.sums`."""
RUN_ROW, RUN_BEGIN, RUN_END, RUN_LABEL = range(4)
"""Columns of runs."""


@dataclass(frozen=True)
class BorderRecords:
    """The objects of one block that other tiles see, too. Rows and columns are those of the field.

    ``n_objects`` counts all objects of the tile, numbered 1…n in raster order of their first pixel. ``labels`` (m,)
    int32 are those with records, ascending; ``sums`` (m, 10) int64 is their full visible area, bounding box and sums
    of coordinates; ``is_cut`` (m,) says which touch an edge of the tile that is not the field's. ``runs`` (k, 4) int32
    holds (row, begin, end, label) of all labelled pixels that other tiles see, in raster order.
    """

    n_objects: int
    labels: NDArray[np.int32]
    sums: NDArray[np.int64]
    is_cut: NDArray[np.bool_]
    runs: NDArray[np.int32]

    def to_bytes(self) -> bytes:
        """A compressed ``.npz``: the same records give the same bytes."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, n_objects=np.int64(self.n_objects), **_arrays(self))
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> BorderRecords:
        """Read what :meth:`to_bytes` made."""
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        return cls(int(found.pop("n_objects")), **found)


def _arrays(records: BorderRecords) -> dict[str, NDArray[Any]]:
    return {name: value for name, value in vars(records).items() if name != "n_objects"}


def number_objects(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Number the objects of a label image (Y, X) 1…n in raster order of their first pixel.

    Returns
    -------
    A renumbered copy, and the new number of every old label (largest label + 1 long, 0 for labels without pixels).

    Raises
    ------
    StageError
        when labels are negative, or so large that they were no numbers of objects.
    """
    from hts.stages.segment.stitch._kernels_stitch import number_in_raster_order

    largest = int(labels.max(initial=0))
    if labels.size and (labels.min() < 0 or largest > 100 * labels.size + 100_000):
        raise StageError("labels that count objects from 1", found=f"{labels.min()} to {largest} in {labels.size} px")
    numbers = np.zeros(largest + 1, np.int32)
    result = np.array(labels, dtype=np.int32, order="C")
    number_in_raster_order(result, numbers)
    return result, numbers


def border_records(labels: NDArray[np.int32], grid: BlockGrid, number: int) -> BorderRecords:
    """The border records of one block.

    Parameters
    ----------
    labels : (Y, X) int32 of the block's tile, numbered 1…n in raster order: see :func:`number_objects`.
    grid, number : which block.

    Raises
    ------
    StageError
        when the labels have another shape than the tile.
    """
    from hts.stages.segment.stitch._kernels_stitch import object_sums

    block = grid[number]
    if labels.shape != block.tile.shape:
        raise StageError(f"labels of the block's tile, {block.tile.shape}", found=str(labels.shape))
    runs = shared_runs(labels, grid, number)
    count = int(labels.max(initial=0))
    sums = np.zeros((count, 10), np.int64)
    sums[:, (Y0, X0)] = max(labels.shape) + 1
    object_sums(np.ascontiguousarray(labels), sums)
    at_border = np.unique(runs[:, RUN_LABEL])
    kept = _in_field(sums[at_border - 1], block.tile)
    return BorderRecords(count, at_border, kept, _is_cut(kept, block, grid.shape), runs)


def shared_runs(labels: NDArray[np.int32], grid: BlockGrid, number: int) -> NDArray[np.int32]:
    """Runs (k, 4) of the labelled pixels of a tile that other tiles see, with rows and columns of the field."""
    from hts.stages.segment.stitch._kernels_stitch import border_runs

    tile, private = grid[number].tile, grid.private(number)
    inner = (private.y0 - tile.y0, private.x0 - tile.x0, private.y1 - tile.y0, private.x1 - tile.x0)
    plane = np.ascontiguousarray(labels)
    runs = np.empty((border_runs(plane, inner, np.empty((0, 4), np.int32)), 4), np.int32)
    border_runs(plane, inner, runs)
    runs[:, RUN_ROW] += tile.y0
    runs[:, RUN_BEGIN : RUN_END + 1] += tile.x0
    return runs


def _in_field(sums: NDArray[np.int64], tile: Box) -> NDArray[np.int64]:
    """Sums over coordinates of the tile as sums over those of the field."""
    moved = sums.copy()
    y, x, area = tile.y0, tile.x0, sums[:, AREA]
    moved[:, (Y0, Y1)] += y
    moved[:, (X0, X1)] += x
    moved[:, SUM_Y] += y * area
    moved[:, SUM_X] += x * area
    moved[:, SUM_YY] += 2 * y * sums[:, SUM_Y] + y * y * area
    moved[:, SUM_XX] += 2 * x * sums[:, SUM_X] + x * x * area
    moved[:, SUM_XY] += y * sums[:, SUM_X] + x * sums[:, SUM_Y] + y * x * area
    return moved


def _is_cut(sums: NDArray[np.int64], block: Block, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Objects that touch an edge of the tile beyond which the field goes on."""
    tile = block.tile
    cut: NDArray[np.bool_] = (sums[:, Y0] == tile.y0) & (tile.y0 > 0)
    cut |= (sums[:, X0] == tile.x0) & (tile.x0 > 0)
    cut |= (sums[:, Y1] == tile.y1) & (tile.y1 < shape[0])
    cut |= (sums[:, X1] == tile.x1) & (tile.x1 < shape[1])
    return cut
