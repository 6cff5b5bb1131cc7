"""z planes and time points: from the numbers that vendors give them to indices, and the steps between them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

_SHOWN = 6


@dataclass(frozen=True)
class Axis:
    """Numbers of an axis with their index; ``gaps`` are indices of numbers that nobody has.

    ``stride`` is the distance of the numbers of neighbouring indices, 1 where it is not the same everywhere. ``note``
    says what became of numbers that do not follow one another, and is empty where they do.
    """

    index: Mapping[int, int]
    gaps: tuple[int, ...] = ()
    stride: int = 1
    note: str = ""

    @classmethod
    def of(cls, name: str, numbers: Collection[int], fill: bool) -> Axis:
        """The axis of these numbers, at least one, of which the lowest gets the index 0.

        With ``fill`` the numbers between others that their common step leads to get an index too, unless there were
        more gaps than numbers: then, and without it, the numbers that are there follow one another.
        """
        known = sorted(set(numbers))
        step = math.gcd(*(later - earlier for earlier, later in pairwise(known))) or 1
        n_gaps = (known[-1] - known[0]) // step + 1 - len(known)
        if fill and 0 < n_gaps <= len(known):
            every = {number: place for place, number in enumerate(range(known[0], known[-1] + 1, step))}
            lacking = sorted(every.keys() - set(known))
            note = f"no file has {name} number {_listed(lacking)}: such planes are expected and listed as missing"
            return cls(every, tuple(every[number] for number in lacking), step, note)
        index = {number: place for place, number in enumerate(known)}
        if not n_gaps and step == 1:
            return cls(index)
        note = f"{name} is numbered {_listed(known)}: these are the indices 0 to {len(known) - 1}, with none between"
        return cls(index, (), 1 if n_gaps else step, note)


def _listed(numbers: Collection[int]) -> str:
    shown = list(map(str, numbers))
    return ", ".join(shown if len(shown) <= _SHOWN else [*shown[: _SHOWN - 1], "…", shown[-1]])


def typical_step(series: Iterable[Mapping[int, float]]) -> float | None:
    """The step from a number to the next in the middle of those of all series, to 0.001; None unless above zero."""
    steps = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for values in series
        for earlier, later in pairwise(sorted(values.items()))
    ]
    # Seconds since 1970 carry 2e-7 of noise: first that goes, or a half would be rounded either way.
    step = round(round(median(steps), 6), 3) if steps else 0.0
    return step if step > 0 else None
