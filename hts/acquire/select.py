"""A part of a plate: some wells, channels or fields of a source."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hts.acquire.table import Plane, PlaneIssue, Source
from hts.errors import NotFoundError, UsageError
from hts.model import WellId

_RANGE = re.compile(r"0*(\d{1,6})\s*(?:-\s*0*(\d{1,6}))?")
_EXPECTED = "fields as numbers up to 999,999 and ranges from low to high, such as 1,3-5"
_Row = TypeVar("_Row", Plane, PlaneIssue)


@dataclass(frozen=True)
class Part:
    """Which wells, fields (the vendor's numbers) and channels; None takes all of them."""

    wells: frozenset[WellId] | None = None
    fields: frozenset[int] | None = None
    channels: tuple[str, ...] | None = None


EVERYTHING = Part()


def parse_fields(text: str) -> frozenset[int]:
    """Field numbers from ``"1,3-5"``.

    Raises
    ------
    UsageError
        when a part is neither a number up to 999,999 nor a range from the lower to the higher of two.
    """
    numbers: set[int] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UsageError(_EXPECTED, found=repr(part))
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(_EXPECTED, found=repr(part), fix=f"did you mean {last}-{first}?")
        numbers.update(range(first, last + 1))
    if not numbers:
        raise UsageError(_EXPECTED, found=repr(text))
    return frozenset(numbers)


def select(source: Source, part: Part) -> Source:
    """The source with these wells, fields and channels only; channels keep the order of the plate.

    Raises
    ------
    NotFoundError
        naming what the plate has not, and what it has; or a well that has none of the fields and channels.
    """
    if part == EVERYTHING:
        return source
    every = {number for well in source.wells for number in source.fields(well)}
    names = [channel.name for channel in source.channels]
    _require([well.name for well in sorted(part.wells or ())], [well.name for well in source.wells], "well")
    _require([str(number) for number in sorted(part.fields or ())], [str(number) for number in sorted(every)], "field")
    _require(part.channels or (), names, "channel")
    kept = names if part.channels is None else [name for name in names if name in part.channels]
    planes, issues = _rows(source.planes, part, kept), _rows(source.issues, part, kept)
    left = {plane.well for plane in planes} | {issue.well for issue in issues}
    if empty := sorted((part.wells or frozenset()) - left):
        raise NotFoundError("wells that have these fields and channels", found=f"none of them in {empty[0].name}")
    if not left:
        raise NotFoundError("planes of these wells, fields and channels", found="none")
    return replace(
        source,
        channels=tuple(channel for channel in source.channels if channel.name in kept),
        planes=tuple(planes),
        issues=tuple(issues),
    )


def _rows(rows: Iterable[_Row], part: Part, channels: Collection[str]) -> list[_Row]:
    return [
        row
        for row in rows
        if (part.wells is None or row.well in part.wells)
        and (part.fields is None or row.field in part.fields)
        and row.channel in channels
    ]


def _require(wanted: Sequence[str], known: Sequence[str], noun: str) -> None:
    lacking = [name for name in wanted if name not in set(known)]
    if lacking:
        shown = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
        raise NotFoundError(f"a {noun} of the plate: {shown}", found=", ".join(lacking), fix="hts inspect lists them")
