"""Pairs of label images that disagree in every way."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Labels = NDArray[np.int32]


@st.composite
def label_pairs(draw: st.DrawFn, largest: int = 14) -> tuple[Labels, Labels]:
    """Two small label images: rectangles, of which the second has some cut, some merged, some moved, some dropped.

    Labels are not consecutive, and blocks of equal halves are common, so that an IoU of exactly 0.5 occurs.
    """
    shape = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    truth, prediction = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for image in (truth, prediction):
        for _ in range(draw(st.integers(0, 6))):
            y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
            image[y : y + draw(st.integers(1, 6)), x : x + draw(st.integers(1, 6))] = draw(st.integers(1, 9))
    if draw(st.booleans()):
        prediction = np.where(truth % 2 == 0, truth, truth // 2 + 1)  # neighbours become one
    return (truth, prediction) if draw(st.booleans()) else (prediction, truth)


def scene(seed: int, size_px: int = 160, cells: int = 30) -> tuple[Labels, Labels]:
    """A field of discs, and the same moved by a pixel or two with one in eight dropped, cut or joined to another."""
    rng = np.random.default_rng(seed)
    truth, prediction = np.zeros((size_px, size_px), np.int32), np.zeros((size_px, size_px), np.int32)
    y, x = np.mgrid[:size_px, :size_px]
    for label in range(1, cells + 1):
        (cy, cx), radius = rng.uniform(0, size_px, 2), rng.uniform(4, 11)
        truth[((y - cy) ** 2 + (x - cx) ** 2 <= radius**2) & (truth == 0)] = label
    for label in rng.permutation(np.unique(truth[truth > 0])):
        moved = np.roll(truth == label, tuple(rng.integers(-2, 3, 2)), (0, 1))
        kind = rng.integers(8)
        if kind:
            prediction[moved & (prediction == 0)] = label
        if kind == 1:
            prediction[moved & (y > y[moved].mean())] = cells + label
        if kind == 2:
            prediction[moved] = rng.integers(1, cells)
    return truth, prediction
