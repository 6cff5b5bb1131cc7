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
    touching = {}
    for root, names in families(recipe).items():
        for name in names:
            found: set[int] = set()
            for block, each in enumerate(borders):
                numbers = resolutions[root].numbers(block, int(each[f"{root}/n_objects"]))
                found |= set(numbers[each[f"{name}/touching"]].tolist()) - {0}
            touching[name] = np.array(sorted(found), np.int32)
    drops = border_drops(touching, segmenter_steps(recipe))
    return {
        "touching": {name: ids.size for name, ids in touching.items()},
        "dropped": {name: sorted(set(np.concatenate(ids).tolist())) for name, ids in drops.items()},
    }


def drop(labels: Labels, numbers: Mapping[str, Sequence[int]]) -> Labels:
    """The object sets without those numbers."""
    return {
        name: without(plane, np.array(numbers[name], np.int32)) if numbers.get(name) else plane
        for name, plane in labels.items()
    }
