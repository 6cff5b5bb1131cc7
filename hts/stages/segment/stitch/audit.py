"""The seam audit: whether tiling shows in the labels, in a few numbers.

What is counted along the borders of blocks and tiles is also counted along lines through the middle of the blocks,
where no seam can be: the two agree when tiling does not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.segment.stitch.grid import BlockGrid, Box

Lines = tuple[Sequence[int], Sequence[int]]
STRAIGHT = 0.75
"""An object has a straight edge where it ends along a line for at least this part of the square root of its area."""


@dataclass(frozen=True)
class SeamAudit:
    """Objects along the seams of a field beside those along as many lines without a seam.

    ``…_per_1000_px`` are objects that lines cross, ``…_straight_edges_per_1000_px`` those that end straight along them,
    ``…_area_px`` the median area of those that they cross; ``area_distance`` is the largest difference (0 to 1) of the
    two distributions of areas (Kolmogorov and Smirnov's). NaN where there are no lines or no objects.
    """

    seam_px: int
    seam_objects_per_1000_px: float
    inner_objects_per_1000_px: float
    seam_straight_edges: int
    seam_straight_edges_per_1000_px: float
    inner_straight_edges_per_1000_px: float
    seam_area_px: float
    inner_area_px: float
    area_distance: float

    def to_json(self) -> dict[str, float]:
        """Numbers by name; those that are not defined are left out, for JSON has no NaN."""
        return {name: round(value, 4) for name, value in asdict(self).items() if value == value}


@dataclass(frozen=True)
class AuditPart:
    """What one block has to tell: pixels in its core by object (n, 2), the length of lines in px (seams, inner), and
    (m, 4): whether the line is a seam, object, whether it crosses the line, and px along which it ends there."""

    pixels: NDArray[np.int64]
    length_px: tuple[int, int]
    met: NDArray[np.int64]


def audit_part(labels: NDArray[np.int32], grid: BlockGrid, number: int) -> AuditPart:
    """The part of one block.

    Parameters
    ----------
    labels : (Y, X) the stitched labels of the block's tile.
    grid, number : which block.
    """
    block = grid[number]
    core = block.core
    inside = labels[core.slices(block.tile)]
    count = np.bincount(inside.ravel())
    there = np.flatnonzero(count[1:]) + 1
    met, length = [np.empty((0, 4), np.int64)], [0, 0]
    for across in (0, 1):
        box = core if across == 0 else Box(core.x0, core.y0, core.x1, core.y1)
        tile = block.tile if across == 0 else Box(block.tile.x0, block.tile.y0, block.tile.x1, block.tile.y1)
        plane = labels if across == 0 else labels.T
        for line, is_seam in _lines(grid, grid.shape[across]):
            if max(box.y0, 1) <= line < box.y1:
                columns = slice(box.x0 - tile.x0, box.x1 - tile.x0)
                before, after = plane[line - tile.y0 - 1, columns], plane[line - tile.y0, columns]
                met.append(_along(before, after, is_seam))
                length[not is_seam] += box.x1 - box.x0
    return AuditPart(np.stack([there, count[there]], axis=1), (length[0], length[1]), np.concatenate(met))


def _lines(grid: BlockGrid, size: int) -> list[tuple[int, bool]]:
    """Lines along one axis with whether they are seams: borders of cores and of tiles, and the middles of blocks."""
    edge, halo = grid.block_px, grid.halo_px
    borders = range(edge, size, edge)
    seams = {line for border in borders for line in (border - halo, border, border + halo) if 0 < line < size}
    middles = {line for line in range(edge // 2, size, edge) if borders} - seams - {0}
    return sorted([*((line, True) for line in seams), *((line, False) for line in middles)])


def _along(before: NDArray[np.int32], after: NDArray[np.int32], is_seam: bool) -> NDArray[np.int64]:
    """(seam, object, crosses, px along which it ends) of the objects on both sides of a line."""
    rows = []
    crossing = np.unique(before[(before == after) & (before > 0)])
    for side, other in ((before, after), (after, before)):
        ending = np.where(side != other, side, 0)
        starts = np.flatnonzero(np.diff(ending, prepend=0))
        lengths = np.diff(np.append(starts, len(ending)))
        is_object = ending[starts] > 0
        rows.append(_rows(ending[starts][is_object], lengths[is_object], is_seam, 0))
    return np.concatenate([_rows(crossing, np.zeros(len(crossing), np.int64), is_seam, 1), *rows])


def _rows(objects: NDArray[np.int32], lengths: NDArray[Any], is_seam: bool, crosses: int) -> NDArray[np.int64]:
    same = np.ones(len(objects), np.int64)
    rows: NDArray[np.int64] = np.stack([same * is_seam, objects, same * crosses, lengths], axis=1).astype(np.int64)
    return rows


def audit(parts: Iterable[AuditPart]) -> SeamAudit:
    """Put the parts of all blocks of a field together, in any order."""
    every = list(parts)
    pixels = np.concatenate([part.pixels for part in every])
    area = np.bincount(pixels[:, 0], pixels[:, 1], minlength=1).astype(np.float64)
    met = np.concatenate([part.met for part in every])
    seam_px, inner_px = (sum(part.length_px[k] for part in every) for k in (0, 1))
    is_seam = met[:, 0] == 1
    seam, inner = _count(met[is_seam], area), _count(met[~is_seam], area)
    per_seam, per_inner = 1000 / seam_px if seam_px else np.nan, 1000 / inner_px if inner_px else np.nan
    return SeamAudit(
        seam_px=seam_px,
        seam_objects_per_1000_px=len(seam[0]) * per_seam,
        inner_objects_per_1000_px=len(inner[0]) * per_inner,
        seam_straight_edges=seam[1],
        seam_straight_edges_per_1000_px=seam[1] * per_seam,
        inner_straight_edges_per_1000_px=inner[1] * per_inner,
        seam_area_px=_median(seam[0]),
        inner_area_px=_median(inner[0]),
        area_distance=_distance(seam[0], inner[0]),
    )


def audit_field(labels: NDArray[np.int32], grid: BlockGrid) -> SeamAudit:
    """The audit of a whole label image (Y, X) that is in memory."""
    return audit(audit_part(labels[block.tile.slices()], grid, number) for number, block in enumerate(grid))


def audit_lines(labels: NDArray[np.int32], seams: Lines, inner: Lines) -> SeamAudit:
    """The audit of a whole label image (Y, X) along rows and columns that somebody else names.

    Parameters
    ----------
    seams, inner : rows and columns before which a line runs: those of the blocks, and those where no seam can be.
    """
    count = np.bincount(labels.ravel(), minlength=1)
    there = np.flatnonzero(count[1:]) + 1
    met, length = [np.empty((0, 4), np.int64)], [0, 0]
    for lines, is_seam in ((seams, True), (inner, False)):
        for plane, places in ((labels, lines[0]), (labels.T, lines[1])):
            for line in places:
                if 0 < line < plane.shape[0]:
                    met.append(_along(plane[line - 1], plane[line], is_seam))
                    length[not is_seam] += plane.shape[1]
    pixels = np.stack([there, count[there]], axis=1)
    return audit([AuditPart(pixels, (length[0], length[1]), np.concatenate(met))])


def _count(met: NDArray[np.int64], area: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Areas of the objects that are crossed, once for each line and block, and how many straight edges there are."""
    crossed = met[met[:, 2] == 1, 1]
    ends = met[met[:, 2] == 0]
    return area[crossed], int((ends[:, 3] >= STRAIGHT * np.sqrt(area[ends[:, 1]])).sum())


def _median(areas: NDArray[np.float64]) -> float:
    return float(np.median(areas)) if len(areas) else float("nan")


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if not len(one) or not len(other):
        return float("nan")
    one, other, every = np.sort(one), np.sort(other), np.concatenate([one, other])
    below = [np.searchsorted(areas, every, side="right") / len(areas) for areas in (one, other)]
    return float(np.abs(below[0] - below[1]).max())
