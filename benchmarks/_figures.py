"""Figures of several rounds, for machines and for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Spread = tuple[float, float, float]
"""Median, lowest and highest."""


def spread(values: Sequence[float]) -> Spread:
    """To four digits."""
    middle, low, high = (float(f"{value:.4g}") for value in (statistics.median(values), min(values), max(values)))
    return middle, low, high


def ratios(slower: Sequence[float], faster: Sequence[float]) -> Spread:
    """Of the rounds, each by itself."""
    return spread([a / b for a, b in zip(slower, faster, strict=True)])


def text(figure: Spread) -> str:
    """Median (lowest to highest)."""
    middle, low, high = map(_number, figure)
    return f"{middle} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
