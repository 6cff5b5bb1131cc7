"""The reverse of segmentation: from labels to the flows a network is trained to give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError


def flows_of_labels(labels: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Unit flows towards the centres of the objects, and where there are objects.

    Heat spreads inside each object from the pixel nearest its centroid; the flow is the direction in which it gets
    warmer (Stringer et al., "Cellpose: a generalist algorithm for cellular segmentation", Nature Methods 2021). The
    values are those of cellpose 3's ``labels_to_flows`` on a CPU; a network is trained on five times the flows.

    Parameters
    ----------
    labels : integers (Y, X), 0 outside; the numbers need not be consecutive.

    Returns
    -------
    flows : float32 (2, Y, X), (dy, dx); of length 1, and 0 outside, in objects of one pixel, and in pieces of an
        object that hang together with its centre nowhere.
    inside : bool (Y, X).

    Raises
    ------
    UsageError
        when `labels` is not a plane of integers, or has negative numbers.
    """
    from hts.stages.segment.flows._kernels_heat import flows_of_objects

    numbered = _numbered(labels)
    flows = np.zeros((2, *numbered.shape), np.float32)
    boxes = boxes_of(numbered)
    flows_of_objects(numbered, boxes, heat_buffers(boxes), flows)
    return flows, numbered > 0


def boxes_of(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Table (n + 1, 7) of the objects 0…n of a label image (Y, X): see the columns in ``_kernels_heat``."""
    from hts.stages.segment.flows._kernels_heat import object_boxes

    boxes = np.empty((int(labels.max(initial=0)) + 1, 7), np.int64)
    object_boxes(labels, boxes)
    return boxes


def heat_buffers(boxes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Memory in which the heat of any object of `boxes` spreads."""
    from hts.stages.segment.flows._kernels_heat import AREA, BOTTOM, LEFT, RIGHT, TOP

    there = boxes[boxes[:, AREA] > 0]
    framed = (there[:, BOTTOM] - there[:, TOP] + 2) * (there[:, RIGHT] - there[:, LEFT] + 2)
    size = int(framed.max(initial=0)) + 2
    return np.empty(size), np.empty(size), np.empty(size)


def _numbered(labels: NDArray[Any]) -> NDArray[np.int32]:
    """`labels` with numbers that a table by number has room for."""
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise UsageError("labels are a plane (Y, X) of integers", found=f"{labels.dtype}, shape {labels.shape}")
    if labels.min(initial=0) < 0:
        raise UsageError("labels are 0 outside and positive in objects", found=f"{labels.min()}")
    if labels.max(initial=0) > labels.size:
        present = np.unique(labels)
        return np.searchsorted(present[present > 0], labels, side="right").astype(np.int32)
    return np.ascontiguousarray(labels, np.int32)
