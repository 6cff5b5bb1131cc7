"""Fields with many cells, tiles of them, and what goes wrong in tiles that were segmented on their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import expand_labels

from hts.stages.segment.stitch import BlockGrid, number_objects

Ints = NDArray[np.int32]


def cells(side_px: int, count: int, seed: int = 0, reach: float = 0.75) -> Ints:
    """Touching cells (Y, X): nearest of seeds on a jittered grid, up to `reach` times their spacing."""
    rng = np.random.default_rng(seed)
    spacing, edge = side_px / np.sqrt(count), int(np.ceil(np.sqrt(count)))
    nodes = (np.indices((edge, edge)).reshape(2, -1).T + 0.5) * (side_px / edge)
    nodes = nodes[rng.permutation(len(nodes))[:count]] + rng.uniform(-0.35, 0.35, (count, 2)) * spacing
    y, x = nodes.clip(0, side_px - 1).astype(int).T
    seeds = np.zeros((side_px, side_px), np.int32)
    seeds[y, x] = np.arange(1, count + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    labels: Ints = seeds[tuple(nearest)]
    labels[distance > reach * spacing] = 0
    return labels


def cut(grid: BlockGrid, labels: Ints) -> list[Ints]:
    """The tiles of a label image, each numbered on its own."""
    return [number_objects(labels[block.tile.slices()])[0] for block in grid]


@dataclass(frozen=True)
class Damage:
    """What happens to objects that other tiles see too: edges move by up to ``moved_px``, and by these chances they are
    dropped, split along a straight line, or joined with a neighbour."""

    moved_px: int = 2
    dropped: float = 0.02
    split: float = 0.02
    joined: float = 0.0


def damaged(grid: BlockGrid, labels: Ints, damage: Damage, seed: int = 1) -> list[Ints]:
    """The tiles of a label image as a segmenter that is sometimes wrong would give them."""
    rng = np.random.default_rng(seed)
    tiles = []
    for number, tile in enumerate(cut(grid, labels)):
        shared = np.ones(tile.shape, bool)
        shared[grid.private(number).slices(grid[number].tile)] = False
        tiles.append(_move_edges(_spoil(tile, shared, damage, rng), damage.moved_px, rng))
    return tiles


def _spoil(tile: Ints, shared: NDArray[np.bool_], damage: Damage, rng: np.random.Generator) -> Ints:
    result, boxes, spoilt = tile.copy(), ndimage.find_objects(tile), set()
    chances = np.cumsum([damage.dropped, damage.split, damage.joined])
    actions: list[Callable[..., object]] = [_drop, _split, _join]
    for label in np.unique(tile[shared & (tile > 0)]).tolist():
        event = int(np.searchsorted(chances, rng.random(), side="right"))
        if event < len(actions) and label not in spoilt:
            actions[event](result, (label, boxes), spoilt, rng)
    return result


def _drop(result: Ints, which: tuple[int, list[tuple[slice, ...]]], spoilt: set[int], rng: np.random.Generator) -> None:
    label, boxes = which
    inside = result[boxes[label - 1]]
    inside[inside == label] = 0


def _split(
    result: Ints, which: tuple[int, list[tuple[slice, ...]]], spoilt: set[int], rng: np.random.Generator
) -> None:
    label, boxes = which
    inside = result[boxes[label - 1]]
    y, x = np.nonzero(inside == label)
    angle = rng.uniform(0, np.pi)
    side = (y - y.mean()) * np.cos(angle) + (x - x.mean()) * np.sin(angle) > 0
    inside[y[side], x[side]] = result.max() + 1


def _join(result: Ints, which: tuple[int, list[tuple[slice, ...]]], spoilt: set[int], rng: np.random.Generator) -> None:
    label, boxes = which
    box = tuple(slice(max(0, part.start - 3), part.stop + 3) for part in boxes[label - 1])
    near = ndimage.binary_dilation(result[box] == label, iterations=2)
    others = sorted(set(np.unique(result[box][near]).tolist()) - {0, label} - spoilt)
    others = [other for other in others if other <= len(boxes)]
    if others:
        other = int(rng.choice(others))
        inside = result[boxes[other - 1]]
        inside[inside == other] = label
        spoilt.update((label, other))


def _move_edges(labels: Ints, moved_px: int, rng: np.random.Generator) -> Ints:
    """Each object loses or gains up to `moved_px` at its outline; the frame of the tile is no outline."""
    if not moved_px:
        return labels
    by = rng.integers(-moved_px, moved_px + 1, int(labels.max()) + 1)
    padded = np.pad(labels, 1, mode="edge")
    rows, columns = labels.shape
    inside = np.ones(labels.shape, bool)
    for dy, dx in ((0, 1), (1, 0), (1, 2), (2, 1)):
        inside &= padded[dy : dy + rows, dx : dx + columns] == labels
    depth = ndimage.distance_transform_edt(np.pad(inside, 1, constant_values=True))[1:-1, 1:-1]
    eroded = np.where(depth < np.maximum(0, -by[labels]), 0, labels)
    grown = expand_labels(eroded, moved_px)
    near = ndimage.distance_transform_edt(eroded == 0) <= np.maximum(0, by[grown])
    result: Ints = np.where((eroded == 0) & near, grown, eroded).astype(np.int32)
    return result


@dataclass(frozen=True)
class Score:
    """Objects of the truth by what became of them.

    ``lost``: nothing found has an IoU of 0.5 with it; ``split``: at least two found objects lie mostly in it and cover
    a fifth of it each; ``merged``: found objects that cover most of at least two.
    """

    true: int
    found: int
    lost: int
    split: int
    merged: int


def score(truth: Ints, found: Ints) -> Score:
    """Compare stitched labels with the truth."""
    width = int(found.max()) + 1
    pair, shared = np.unique(truth.astype(np.int64) * width + found, return_counts=True)
    t, f = pair // width, pair % width
    area_t, area_f = np.bincount(truth.ravel()), np.bincount(found.ravel())
    real = (t > 0) & (f > 0)
    t, f, shared = t[real], f[real], shared[real]
    there = area_t > 0
    there[0] = False
    hit = np.zeros(len(area_t), bool)
    hit[t[shared >= 0.5 * (area_t[t] + area_f[f] - shared)]] = True
    pieces = (shared >= 0.5 * area_f[f]) & (shared >= 0.2 * area_t[t])
    merged = np.bincount(f[shared >= 0.5 * area_t[t]], minlength=1) >= 2
    split = np.bincount(t[pieces], minlength=1) >= 2
    return Score(
        int(there.sum()), int((area_f[1:] > 0).sum()), int((there & ~hit).sum()), int(split.sum()), int(merged.sum())
    )
