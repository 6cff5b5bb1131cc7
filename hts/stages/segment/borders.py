"""Objects at the frame of a field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def touching_border(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers of the objects in the first or last row or column of `labels` (Y, X), ascending."""
    if labels.size == 0:
        return np.zeros(0, np.int32)
    edges = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    found: NDArray[np.int32] = edges[edges > 0]
    return found


def without_border(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """`labels` without the objects that touch the frame; the others keep their order and are numbered 1…n."""
    renumber = np.bincount(labels.ravel(), minlength=1) > 0
    renumber[0] = False
    renumber[touching_border(labels)] = False
    numbers = (np.cumsum(renumber) * renumber).astype(np.int32)
    result: NDArray[np.int32] = numbers[labels]
    return result
