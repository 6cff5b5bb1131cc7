"""Overlapping blocks of a field for a network, and its outputs blended back without a seam.

The blocks of a field have one size, so that those of many fields make full batches. Each output counts by a weight
that falls to nothing towards the edges of its block; where blocks overlap the weights together are one, so flows of the
whole field come out, and they become objects once, for the whole field.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError

if TYPE_CHECKING:
    import torch

Starts = tuple[int, ...]


@dataclass(frozen=True)
class BlockGrid:
    """Blocks of `block` (height, width) pixels at the origins `starts` cover a field of `shape` (Y, X).

    A field that is smaller than a block is padded by zeros at its lower and right edge.
    """

    shape: tuple[int, int]
    block: tuple[int, int]
    starts: tuple[Starts, Starts]

    def __len__(self) -> int:
        return len(self.starts[0]) * len(self.starts[1])

    def origins(self) -> Iterator[tuple[int, int]]:
        """First row and column of each block, row by row."""
        return ((y, x) for y in self.starts[0] for x in self.starts[1])

    @property
    def padded(self) -> tuple[int, int]:
        """Shape of the field with its padding; all blocks lie inside."""
        return (max(self.shape[0], self.block[0]), max(self.shape[1], self.block[1]))


def block_grid(
    shape: tuple[int, int], block_px: int, overlap_px: int, multiple: int = 8, fixed: bool = False
) -> BlockGrid:
    """The grid with the fewest blocks of at most `block_px`, overlapping by `overlap_px` at least.

    Parameters
    ----------
    shape : Y and X of the field, at the scale of the network.
    block_px : largest edge of a block; blocks are made smaller where as many smaller ones suffice.
    overlap_px : least overlap of neighbours; at most half a block is used.
    multiple : edges of blocks are multiples of this.
    fixed : every block has exactly the edge `block_px` (a network with position embeddings takes no other).

    Raises
    ------
    UsageError
        for a block that is smaller than `multiple`, or a negative overlap.
    """
    if block_px < multiple or overlap_px < 0:
        raise UsageError(
            f"blocks of {multiple} px at least that overlap by 0 px or more", found=f"{block_px} and {overlap_px} px"
        )
    edge = block_px if fixed else block_px // multiple * multiple
    overlap = min(overlap_px, edge // 2)
    rows, columns = (_along(length, edge, overlap, multiple, fixed) for length in shape)
    return BlockGrid((shape[0], shape[1]), (rows[0], columns[0]), (rows[1], columns[1]))


def _along(length: int, edge: int, overlap: int, multiple: int, fixed: bool) -> tuple[int, Starts]:
    """Edge and starts of the blocks along one axis."""
    count = 1 if length <= edge else math.ceil((length - overlap) / (edge - overlap))
    if not fixed:
        needed = math.ceil((length + (count - 1) * overlap) / count)
        edge = max(multiple, math.ceil(needed / multiple) * multiple)
    if count == 1:
        return edge, (0,)
    last = length - edge
    return edge, tuple(round(last * n / (count - 1)) for n in range(count))


@functools.lru_cache(maxsize=64)
def _ramp(grid: BlockGrid, axis: int) -> tuple[NDArray[np.float32], ...]:
    """Weights along one axis for every block: squared sines over the overlaps, one elsewhere; together they are one."""
    edge, starts = grid.block[axis], grid.starts[axis]
    ramps = []
    for n, start in enumerate(starts):
        weight = np.ones(edge)
        if n > 0:
            shared = starts[n - 1] + edge - start
            weight[:shared] *= _rise(shared)
        if n + 1 < len(starts):
            shared = start + edge - starts[n + 1]
            weight[edge - shared :] *= _rise(shared)[::-1]
        ramps.append(weight)
    total = np.zeros(grid.padded[axis])
    for start, weight in zip(starts, ramps, strict=True):
        total[start : start + edge] += weight
    # With overlaps of up to half a block at most two blocks meet, and the sum is one already; rounded starts can make
    # three meet in a few pixels.
    return tuple(
        (weight / total[start : start + edge]).astype(np.float32) for start, weight in zip(starts, ramps, strict=True)
    )


def _rise(length: int) -> NDArray[np.float64]:
    rise: NDArray[np.float64] = np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(length, 1)) ** 2
    return rise


def weights_of(grid: BlockGrid, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights along y and along x of the block with this number; its weight is their outer product."""
    row, column = divmod(number, len(grid.starts[1]))
    return _ramp(grid, 0)[row], _ramp(grid, 1)[column]


def pad_to_grid(image: torch.Tensor, grid: BlockGrid) -> torch.Tensor:
    """`image` (channels, Y, X), padded by zeros to ``grid.padded``; itself when nothing is to be added.

    Zeros, the dark of a normalised image, are what the networks saw beyond the frame in training. A reflection makes
    one object of an object at the frame and its mirror image, and its pixels flow out of the field.
    """
    import torch

    below, right = (wanted - there for wanted, there in zip(grid.padded, image.shape[1:], strict=True))
    return torch.nn.functional.pad(image, (0, right, 0, below)) if below or right else image


class Blend:
    """The outputs of a field's blocks, added up by their weights as they come, in any order."""

    def __init__(self, grid: BlockGrid, channels: int, device: torch.device | str = "cpu") -> None:
        import torch

        self.grid = grid
        self._missing = len(grid)
        self._sum = torch.zeros((channels, *grid.padded), dtype=torch.float32, device=device)

    @property
    def is_complete(self) -> bool:
        """Whether every block was added."""
        return self._missing == 0

    def add(self, number: int, output: torch.Tensor) -> None:
        """Add the output (channels, height, width) of the block with this number."""
        import torch

        down, across = (torch.from_numpy(ramp).to(self._sum.device) for ramp in weights_of(self.grid, number))
        row, column = divmod(number, len(self.grid.starts[1]))
        y, x = self.grid.starts[0][row], self.grid.starts[1][column]
        height, width = self.grid.block
        self._sum[:, y : y + height, x : x + width] += output.float() * down[:, None] * across[None, :]
        self._missing -= 1

    def result(self) -> torch.Tensor:
        """The outputs (channels, Y, X) of the field, without padding."""
        return self._sum[:, : self.grid.shape[0], : self.grid.shape[1]]
