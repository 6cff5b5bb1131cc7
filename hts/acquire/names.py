"""What the name of a file, a scene or a stage position says, where its microscope leaves the name to people.

``WellB03_Point0002_ChannelDAPI_Seq0004``, ``screen_B03_s2_z1``, ``B03_0001``, ``D6``: the well is the part that can be
nothing else. A name that could say two wells says none, so nothing is ever placed by a guess.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hts.acquire.metadata import is_on_a_plate
from hts.model import WellId

_SAID = re.compile(r"(?<![A-Za-z0-9])well[ _-]?(?P<well>[A-Z]{1,2}\d{1,2})(?![A-Za-z0-9])", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?P<well>[A-Za-z]{1,2}\d{2})(?![A-Za-z0-9])")
_FIRST = re.compile(r"(?P<well>[A-Pa-p]\d{1,2})(?![A-Za-z0-9])")
_FIELD = re.compile(
    r"[_\- ]*(?:(?:point|position|pos|site|field|scene|tile|xy|s|f|p)[_\- ]?)?"
    r"(?:[A-Z]{1,2}\d{2}[_-])?(?P<field>\d+)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"[_\- ](?:channel)?(?P<channel>(?!(?:seq|z|t)\d)[A-Za-z][A-Za-z0-9 ,+]*)", re.IGNORECASE)
_NUMBERS = {part: re.compile(rf"(?:^|[_\- ]){part}[_\- ]?(\d+)(?![A-Za-z0-9])", re.IGNORECASE) for part in "zt"}
_SEQUENCE = re.compile(r"[_\- ]seq(\d+)(?![A-Za-z0-9])", re.IGNORECASE)
_ABOVE_384 = frozenset("QRSTUVWXYZ")
_FIELD_LETTERS = frozenset("CFP")


class Named(NamedTuple):
    """What a name says; None and empty where it says nothing. Numbers are the name's own."""

    well: WellId | None = None
    field: int | None = None
    channel: str = ""
    z: int | None = None
    t: int | None = None
    sequence: int | None = None


def read_name(stem: str) -> Named:
    """Parts of a name without folders and extension."""
    match = _well_match(stem)
    if match is None:
        return Named()
    rest = stem[match.end() :]
    field = _FIELD.match(rest)
    after = rest[field.end() :] if field else rest
    channel = _CHANNEL.match(after)
    z, t = (_first_number(_NUMBERS[part], after) for part in "zt")
    return Named(
        WellId.parse(match["well"]),
        int(field["field"]) if field else None,
        channel["channel"].strip() if channel else "",
        z,
        t,
        _first_number(_SEQUENCE, after),
    )


def _well_match(stem: str) -> re.Match[str] | None:
    said = _wells(_SAID, stem)
    if said:
        return _only(said)
    tokens = _wells(_TOKEN, stem)
    if tokens:
        return _only(tokens)
    first = _FIRST.match(stem)
    return first if first is not None and _is_well(first["well"]) else None


def _wells(pattern: re.Pattern[str], stem: str) -> list[re.Match[str]]:
    return [match for match in pattern.finditer(stem) if _is_well(match["well"])]


def _is_well(text: str) -> bool:
    return text[-1:] != "" and int(re.sub(r"\D", "", text)) > 0 and is_on_a_plate(WellId.parse(text))


def _only(matches: list[re.Match[str]]) -> re.Match[str] | None:
    """The one well among what looks like wells: S01, T01 are sites and times where another part can be the well."""
    usual = [match for match in matches if match["well"][0].upper() not in _ABOVE_384] or matches
    first, *others = usual
    same = all(_equal(match, first) or match["well"][0].upper() in _FIELD_LETTERS for match in others)
    return first if same else None


def _equal(one: re.Match[str], other: re.Match[str]) -> bool:
    return WellId.parse(one["well"]) == WellId.parse(other["well"])


def _first_number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return int(match[1]) if match else None
