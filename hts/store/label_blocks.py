"""Label images of large fields: written block by block by several tasks, each of which writes whole files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hts.store.arrays import ArraySpec, Stored, create, open_read, read_part, write_block
from hts.store.field import Field
from hts.store.folders import Folders
from hts.store.labels import level_specs, write_label_group, write_levels
from hts.store.pyramid import halve_labels

SMALLEST_BLOCK_PX = 256
"""Levels whose blocks would be smaller are written by one task, when all blocks are there."""


@dataclass(frozen=True)
class LabelBlocks:
    """Label images of one field, by name, that several tasks write: (Y, X) in pixels, and the edge of a block.

    One task calls :meth:`begin`, each block is written once by :meth:`write`, and one task calls :meth:`end`; every
    step can be done again with the same pixels.
    """

    field: Field
    names: tuple[str, ...]
    shape: tuple[int, int]
    block_px: int

    def _specs(self) -> tuple[list[ArraySpec], list[ArraySpec]]:
        """Arrays of the levels that are written in blocks, and of those that are written whole."""
        every = level_specs(self.field, self.shape)
        edges = [self.block_px]
        while edges[-1] % 2 == 0 and edges[-1] // 2 >= SMALLEST_BLOCK_PX:
            edges.append(edges[-1] // 2)
        return [replace(spec, block_px=edge) for spec, edge in zip(every, edges, strict=False)], every[len(edges) :]

    def begin(self) -> None:
        """Write the documents of the arrays that come in blocks."""
        folders = Folders(self.field.location)
        for name in self.names:
            for level, spec in enumerate(self._specs()[0]):
                create(self.field.location / "labels" / name / str(level), spec, folders)

    def write(self, cell: tuple[int, int], labels: Mapping[str, NDArray[np.int32]]) -> None:
        """Write one block of every label image.

        Parameters
        ----------
        cell : row and column of the block.
        labels : (Y, X) of the block by name; at the end of the field it is smaller.

        Raises
        ------
        UsageError
            when the labels are not those of a whole block.
        StoreError
            when they cannot be written.
        """
        folders = Folders(self.field.location)
        for name, part in labels.items():
            level_part: NDArray[np.uint32] = part.astype(np.uint32)
            for level, spec in enumerate(self._specs()[0]):
                place = self.field.location / "labels" / name / str(level)
                write_block(place, spec, (*(0,) * (len(spec.shape) - 2), *cell), level_part, folders)
                level_part = halve_labels(level_part)

    def end(self) -> None:
        """Write the smaller levels, from the last that came in blocks, and say that the label images are there."""
        blocks, rest = self._specs()
        folders = Folders(self.field.location)
        for name in self.names:
            if rest:
                place = self.field.location / "labels" / name / str(len(blocks) - 1)
                array = open_read(place, self.field.version)
                last = read_part(Stored(place, array, complete=True), (0,) * (array.ndim - 2)).astype(np.uint32)
                write_levels(self.field, name, (len(blocks), rest), halve_labels(last), folders)
            write_label_group(self.field, name, self.shape)
