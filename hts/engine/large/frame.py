"""Objects of a large field at its frame: found in the tiles, dropped when it is known which objects stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.engine.large.places import families
from hts.engine.stages import segmenter_steps
from hts.recipe import Recipe
from hts.stages.segment import border_drops, without
from hts.stages.segment.stitch import BlockGrid, Resolution

Labels = dict[str, NDArray[np.int32]]


def touching_field(labels: NDArray[np.int32], grid: BlockGrid, block: int) -> NDArray[np.int32]:
    """Numbers of the objects of a tile (Y, X) with a pixel at the frame of the field, ascending."""
    tile, (rows, columns) = grid[block].tile, grid.shape
    sides = [
        labels[:1] if tile.y0 == 0 else labels[:0],
        labels[-1:] if tile.y1 == rows else labels[:0],
        labels[:, :1] if tile.x0 == 0 else labels[:, :0],
        labels[:, -1:] if tile.x1 == columns else labels[:, :0],
    ]
    found: NDArray[np.int32] = np.unique(np.concatenate([side.ravel() for side in sides]))
    return found[found > 0]


def at_frame(
    recipe: Recipe, resolutions: Mapping[str, Resolution], borders: Sequence[Mapping[str, NDArray[Any]]]
) -> dict[str, dict[str, Any]]:
    """By object set how many objects touch the frame of the field, and the numbers of those that the recipe drops.

    Whether an object touches it is asked of the tile that stands for it, which sees all of it.
    """
    touching, present = {}, {}
    for root, names in families(recipe).items():
        numbers = [resolutions[root].numbers(n, int(each[f"{root}/n_objects"])) for n, each in enumerate(borders)]
        for name in names:
            touching[name] = _standing(numbers, [each[f"{name}/touching"] for each in borders])
            present[name] = _standing(numbers, [each[f"{name}/present"] for each in borders])
    drops = border_drops(touching, segmenter_steps(recipe))
    return {
        "touching": {name: ids.size for name, ids in touching.items()},
        "dropped": {name: np.intersect1d(np.concatenate(ids), present[name]).tolist() for name, ids in drops.items()},
    }


def _standing(numbers: Sequence[NDArray[np.int32]], labels: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Numbers in the field of labels of its blocks, ascending; those of objects that do not stand are left out."""
    found = np.unique(np.concatenate([table[local] for table, local in zip(numbers, labels, strict=True)]))
    standing: NDArray[np.int32] = found[found > 0]
    return standing


def drop(labels: Labels, numbers: Mapping[str, Sequence[int]]) -> Labels:
    """The object sets without those numbers."""
    return {
        name: without(plane, np.array(numbers[name], np.int32)) if numbers.get(name) else plane
        for name, plane in labels.items()
    }
