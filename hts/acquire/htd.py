"""MetaXpress' ``.HTD`` file: what was asked of the microscope, which is not always what came to the disk."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hts.acquire.metadata import read_text, whole
from hts.locations import Location
from hts.model import WellId

_LINE = re.compile(r'\s*"(?P<key>\w+)"\s*,\s*(?P<value>.*?)\s*$')
_NUMBERED = re.compile(r"(?P<name>wellsselection|wavename|wavecollect|siteselection)(?P<number>\d{1,3})")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Htd:
    """An HTD file: counts are None where it says nothing; ``waves`` are the collected ones, by number."""

    path: Location
    n_t: int | None = None
    n_z: int | None = None
    n_sites: int | None = None
    wells: frozenset[WellId] = frozenset()
    waves: dict[int, str] = field(default_factory=dict)


def read_htd(path: Location) -> Htd:
    """Read an HTD file of any encoding; lines that are not understood are passed over.

    Raises
    ------
    SourceError
        when the file cannot be read from the disk.
    """
    return parse_htd(path, read_text(path))


def parse_htd(path: Location, text: str) -> Htd:
    """Facts of an HTD file's text: one ``"Key", value, …`` a line, keys in any case."""
    single: dict[str, list[str]] = {}
    numbered: dict[str, dict[int, list[str]]] = {}
    for line in _LINE_END.split(text):
        match = _LINE.match(line)
        if match is None:
            continue
        key, values = match["key"].lower(), [value.strip().strip('"').strip() for value in match["value"].split(",")]
        single[key] = values
        part = _NUMBERED.fullmatch(key)
        if part is not None:
            numbered.setdefault(part["name"], {})[int(part["number"])] = values
    z_series = _is_true(single.get("zseries", [""])[0])
    return Htd(
        path,
        n_t=_count(single, "timepoints"),
        n_z=_count(single, "zsteps") if z_series else None,
        n_sites=_selected(numbered.get("siteselection", {})),
        wells=_wells(numbered.get("wellsselection", {})),
        waves=_waves(numbered.get("wavename", {}), numbered.get("wavecollect", {})),
    )


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1")


def _count(single: dict[str, list[str]], key: str) -> int | None:
    return whole(single.get(key, [""])[0])


def _selected(rows: dict[int, list[str]]) -> int | None:
    return sum(_is_true(value) for values in rows.values() for value in values) or None


def _wells(rows: dict[int, list[str]]) -> frozenset[WellId]:
    return frozenset(
        WellId(row - 1, column)
        for row, values in rows.items()
        for column, value in enumerate(values)
        if row > 0 and _is_true(value)
    )


def _waves(names: dict[int, list[str]], collected: dict[int, list[str]]) -> dict[int, str]:
    return {number: ", ".join(values) for number, values in names.items() if collected.get(number, ["1"])[0] != "0"}
