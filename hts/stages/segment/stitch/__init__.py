"""Mask stitching: tiles of a field that were segmented on their own become one label image, each object exactly once.

Every block keeps whole outlines in its tile, which overlaps those of its neighbours. :func:`border_records` says what
a block tells the others, :func:`resolve` decides which objects stand and numbers them, and a :class:`Painter` gives
each block its pixels: only border records leave a block, and each writes only what it owns.
"""

from __future__ import annotations

from hts.stages.segment.stitch.grid import Block, BlockGrid, Box, block_grid
from hts.stages.segment.stitch.paint import Painter, stitch
from hts.stages.segment.stitch.records import BorderRecords, border_records, number_objects, shared_runs
from hts.stages.segment.stitch.resolve import Resolution, resolve

__all__ = [
    "Block",
    "BlockGrid",
    "BorderRecords",
    "Box",
    "Painter",
    "Resolution",
    "block_grid",
    "border_records",
    "number_objects",
    "resolve",
    "shared_runs",
    "stitch",
]
