"""Segmentation: images of fields in, one label image per object set out.

See :mod:`hts.stages.segment.protocol` for what a segmenter is.
"""

from __future__ import annotations

import numpy as np

from hts.stages.segment.fields import border_drops, fields_in_flight, segment_field, segment_fields, working_bytes
from hts.stages.segment.objects import link, object_areas, touching_frame, without
from hts.stages.segment.options import SegmentStage, StepOptions
from hts.stages.segment.protocol import FieldWork, Found, Images, Labels, Segmenter, StepContext, Steps

__all__ = [
    "FieldWork",
    "Found",
    "Images",
    "Labels",
    "SegmentStage",
    "Segmenter",
    "StepContext",
    "StepOptions",
    "Steps",
    "border_drops",
    "fields_in_flight",
    "link",
    "object_areas",
    "segment_field",
    "segment_fields",
    "touching_frame",
    "warm_up",
    "without",
    "working_bytes",
]


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, before any clock runs."""
    from hts.stages.segment import normalize
    from hts.stages.segment._kernels_propagate import propagate
    from hts.stages.segment.flows import masks
    from hts.stages.segment.propagate import heap_buffers
    from hts.stages.segment.stitch import block_grid, stitch

    normalize.warm_up()
    labels = np.zeros((4, 4), np.int32)
    labels[1, 1] = 1
    propagate(np.zeros((4, 4), np.float32), labels, np.ones((4, 4), np.bool_), 0.1, heap_buffers(labels.shape))
    masks.warm_up()
    stitch(block_grid((4, 4), 2, 2), [np.ones((3, 3), np.int32)] * 4)
