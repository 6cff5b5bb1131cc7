"""How well an assay tells its controls apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def z_prime(negative: ArrayLike, positive: ArrayLike) -> float | None:
    """Z′ = 1 − 3 (σₚ + σₙ) / |μₚ − μₙ| with sample SDs (Zhang, Chung & Oldenburg 1999).

    None when either group has fewer than two values or the means are equal.
    """
    groups = _moments(negative), _moments(positive)
    if groups[0] is None or groups[1] is None:
        return None
    (mean_n, sd_n), (mean_p, sd_p) = groups[0], groups[1]
    if mean_p == mean_n:
        return None
    return float(1 - 3 * (sd_p + sd_n) / abs(mean_p - mean_n))


def ssmd(negative: ArrayLike, positive: ArrayLike) -> float | None:
    """Strictly standardised mean difference (μₚ − μₙ) / √(σₚ² + σₙ²), independent groups (Zhang 2007).

    None when either group has fewer than two values or neither varies.
    """
    groups = _moments(negative), _moments(positive)
    if groups[0] is None or groups[1] is None:
        return None
    (mean_n, sd_n), (mean_p, sd_p) = groups[0], groups[1]
    spread = float(np.hypot(sd_n, sd_p))
    return float((mean_p - mean_n) / spread) if spread > 0 else None


def _moments(values: ArrayLike) -> tuple[float, float] | None:
    """Mean and sample SD of the finite values; None when there are fewer than two."""
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    if finite.size < 2:
        return None
    return float(finite.mean()), float(finite.std(ddof=1))
