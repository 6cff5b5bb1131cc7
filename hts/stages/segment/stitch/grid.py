"""Blocks of a field: the part each owns, and the larger part it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hts.errors import UsageError


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows from ``y0`` to before ``y1``, columns from ``x0`` to before ``x1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def is_empty(self) -> bool:
        """Whether it has no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    def slices(self, origin: Box | None = None) -> tuple[slice, slice]:
        """Index of the box in an array that begins at `origin`, or at (0, 0)."""
        y, x = (origin.y0, origin.x0) if origin else (0, 0)
        return slice(self.y0 - y, self.y1 - y), slice(self.x0 - x, self.x1 - x)

    def __and__(self, other: Box) -> Box:
        return Box(max(self.y0, other.y0), max(self.x0, other.x0), min(self.y1, other.y1), min(self.x1, other.x1))


@dataclass(frozen=True)
class Block:
    """One block: its place in the grid, what it owns (``core``) and what it reads (``tile``)."""

    row: int
    column: int
    core: Box
    tile: Box


@dataclass(frozen=True)
class BlockGrid:
    """A field cut into blocks. Cores cover it once; tiles reach half the overlap (rounded up) beyond them."""

    shape: tuple[int, int]
    block_px: int
    overlap_px: int

    @property
    def halo_px(self) -> int:
        """How far a tile reaches beyond its core."""
        return -(-self.overlap_px // 2)

    @property
    def counts(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-self.shape[0] // self.block_px), -(-self.shape[1] // self.block_px)

    def __len__(self) -> int:
        return self.counts[0] * self.counts[1]

    def __iter__(self) -> Iterator[Block]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Block:
        """The block of a number; they are numbered row by row."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        row, column = divmod(number, self.counts[1])
        y, x, edge, halo = row * self.block_px, column * self.block_px, self.block_px, self.halo_px
        field = Box(0, 0, *self.shape)
        core = Box(y, x, y + edge, x + edge) & field
        return Block(row, column, core, Box(y - halo, x - halo, y + edge + halo, x + edge + halo) & field)

    def neighbours(self, number: int) -> list[int]:
        """Numbers of the up to eight blocks whose tiles share pixels with this one's, in ascending order."""
        row, column = divmod(number, self.counts[1])
        rows = range(max(0, row - 1), min(self.counts[0], row + 2))
        columns = range(max(0, column - 1), min(self.counts[1], column + 2))
        return [y * self.counts[1] + x for y in rows for x in columns if (y, x) != (row, column)]

    def private(self, number: int) -> Box:
        """The part of a tile that no other tile sees; empty for small blocks."""
        block = self[number]
        rows, columns, halo = *self.counts, self.halo_px
        box = Box(
            block.core.y0 + halo * (block.row > 0),
            block.core.x0 + halo * (block.column > 0),
            block.core.y1 - halo * (block.row < rows - 1),
            block.core.x1 - halo * (block.column < columns - 1),
        )
        return box if not box.is_empty else Box(block.tile.y0, block.tile.x0, block.tile.y0, block.tile.x0)


def block_grid(shape: tuple[int, int], block_px: int, overlap_px: int) -> BlockGrid:
    """Cut a field into blocks.

    Parameters
    ----------
    shape : (Y, X) of the field.
    block_px : edge of what a block owns; the last ones own less.
    overlap_px : width of the strip that two neighbouring tiles both see; an object that is not wider is whole in
        at least one of them.

    Raises
    ------
    UsageError
        when a number is not positive, or blocks are smaller than the overlap: three would see one pixel in a row.
    """
    if min(*shape, block_px, overlap_px) < 1:
        raise UsageError("a field, blocks and an overlap of at least 1 px", found=f"{shape}, {block_px}, {overlap_px}")
    if block_px < 2 * -(-overlap_px // 2):
        raise UsageError(
            "blocks that are at least as wide as their overlap",
            found=f"blocks of {block_px} px with an overlap of {overlap_px} px",
            fix="use larger blocks or a smaller overlap; the overlap needs to be as wide as the largest object",
        )
    return BlockGrid((shape[0], shape[1]), block_px, overlap_px)
