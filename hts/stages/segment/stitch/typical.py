"""What the objects of a field look like, to tell one object from two where tiles disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hts.stages.segment.stitch.records import AREA, SUM_X, SUM_XX, SUM_XY, SUM_Y, SUM_YY

FEWEST = 30
"""Objects from which on their distribution says anything."""
_NARROWEST = np.array([0.15, 0.08, 0.02])
"""Least spread of each feature: tiles differ by that much about one object."""
_FARTHEST = 4.0
"""Deviations count up to here: an odd shape must not outweigh everything else."""


@dataclass(frozen=True)
class Typical:
    """Median and spread (1.48 × median absolute deviation) of the features of whole objects; None of too few."""

    centre: NDArray[np.float64] | None
    spread: NDArray[np.float64] | None

    @classmethod
    def of(cls, sums: NDArray[np.int64]) -> Typical:
        """From the sums (m, 10) of objects that are whole."""
        if len(sums) < FEWEST:
            return cls(None, None)
        found = features(sums)
        centre = np.median(found, axis=0)
        spread = 1.4826 * np.median(np.abs(found - centre), axis=0)
        return cls(centre, np.maximum(spread, _NARROWEST))

    @property
    def area_px(self) -> float:
        """Median area; 0 when it is not known."""
        return float(np.exp(self.centre[0])) if self.centre is not None else 0.0

    def oddity(self, sums: NDArray[np.int64]) -> NDArray[np.float64]:
        """Half the sum of squared deviations of each object (m, 10): a negative log-likelihood; 0 if unknown."""
        if self.centre is None or self.spread is None:
            return np.zeros(len(sums))
        deviations = np.minimum(np.abs(features(sums) - self.centre) / self.spread, _FARTHEST)
        odd: NDArray[np.float64] = (deviations**2).sum(axis=1) / 2
        return odd

    def oddity_of_area(self, area_px: int) -> float:
        """The same of an object of which only the area is known."""
        if self.centre is None or self.spread is None:
            return 0.0
        return float(min(abs(np.log(area_px) - self.centre[0]) / self.spread[0], _FARTHEST) ** 2 / 2)


def features(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m, 3): logarithms of the area, of the ratio of the axes, and of the area relative to that of the ellipse with
    the same second moments: 0 for ellipses, below it for shapes with a waist."""
    area = np.maximum(sums[:, AREA], 1).astype(np.float64)
    y, x = sums[:, SUM_Y] / area, sums[:, SUM_X] / area
    # A pixel is a square, whose own second moment is 1/12.
    yy = sums[:, SUM_YY] / area - y * y + 1 / 12
    xx = sums[:, SUM_XX] / area - x * x + 1 / 12
    xy = sums[:, SUM_XY] / area - y * x
    half, root = np.maximum((yy + xx) / 2, 1 / 12), np.sqrt(((yy - xx) / 2) ** 2 + xy * xy)
    small = np.maximum(half - root, 1 / 24)
    ellipse = 4 * np.pi * np.sqrt((half + root) * small)
    return np.stack([np.log(area), np.log((half + root) / small) / 2, np.log(area / ellipse)], axis=1)
