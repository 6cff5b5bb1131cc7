"""Any function from an image to a label image, on a field of any size: block by block, each object exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.segment.stitch import block_grid, stitch


def on_blocks(
    function: Callable[[NDArray[Any]], Any], image: NDArray[Any], block_px: int = 1024, overlap_px: int = 128
) -> NDArray[np.int32]:
    """Label image of `image` by `function`, which is given overlapping tiles of it.

    What a network of another package needs to be a segmenter: it sees tiles of at most ``block_px + overlap_px`` pixels
    a side, and its label images are stitched (:mod:`hts.stages.segment.stitch`).

    Parameters
    ----------
    function : takes a tile (Y, X) or (channel, Y, X), gives integers (Y, X): 0 outside, each object its own number.
    image : (Y, X) or (channel, Y, X).
    overlap_px : at least as wide as the largest object.

    Returns
    -------
    int32 (Y, X), numbered 1…n.

    Raises
    ------
    StageError
        when `function` gives something else than a label image of the tile.
    UsageError
        for blocks that are smaller than their overlap.
    """
    shape = (int(image.shape[-2]), int(image.shape[-1]))
    if 0 in shape:
        return np.zeros(shape, np.int32)
    grid = block_grid(shape, block_px, overlap_px)
    tiles = [_labels(function, image[(..., *block.tile.slices())]) for block in grid]
    return stitch(grid, tiles)[0]


def _labels(function: Callable[[NDArray[Any]], Any], tile: NDArray[Any]) -> NDArray[np.int32]:
    found = np.asarray(function(tile))
    if found.shape != tile.shape[-2:] or found.dtype.kind not in "buif":
        raise StageError(
            f"a label image of shape {tile.shape[-2:]} from {getattr(function, '__name__', function)}",
            found=f"{found.dtype} of shape {found.shape}",
        )
    if found.dtype.kind == "f" and not np.array_equal(found, np.trunc(found)):
        raise StageError("labels that are whole numbers", found=f"{found.dtype} with fractions")
    if found.size and not 0 <= found.min() <= found.max() < 2**31:
        raise StageError("labels from 0 to 2³¹ - 1", found=f"{found.min()} to {found.max()}")
    return found.astype(np.int32)
