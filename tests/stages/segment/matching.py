"""Objects found against objects that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def overlaps(truth: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of every true object (rows) with every found one (columns)."""
    _, true_ids = np.unique(np.append(truth.ravel(), 0), return_inverse=True)
    _, found_ids = np.unique(np.append(found.ravel(), 0), return_inverse=True)
    shared = np.zeros((true_ids.max() + 1, found_ids.max() + 1))
    np.add.at(shared, (true_ids[:-1], found_ids[:-1]), 1)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    return (shared / np.maximum(union, 1))[1:, 1:]


def f1_at_half(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    """2 TP / (true + found) over all (truth, found) fields; above an IoU of 0.5 nothing matches twice."""
    tables = [overlaps(truth, found) for truth, found in pairs]
    hits = sum(int((table > 0.5).sum()) for table in tables)
    return 2 * hits / max(sum(sum(table.shape) for table in tables), 1)
