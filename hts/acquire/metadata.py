"""Metadata that microscopes write beside the pixels: text in any encoding, XML that cannot do harm, numbers.

It comes from outside: a file that cannot be understood costs what it says, never the plate, so everything wrong with
one is a :class:`SourceError` in one line that a reader can turn into a note.
"""

from __future__ import annotations

import math
import posixpath
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import cast

from hts.acquire.opened import file_problems
from hts.errors import SourceError, UsageError
from hts.locations import Location
from hts.model import WellId

_FORBIDDEN = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_MICROMETRES = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0}
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:|[A-Za-z][\w+.-]*://")
_MAX_ROWS, _MAX_COLUMNS = 32, 48
_MICROMETRES |= {"\\u00b5m": 1.0, "nm": 1e-3, "pm": 1e-6}
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}
_MAX_DIGITS = 9
_PIECE_CHARACTERS = 1 << 13
"""Fed to the parser at a time: with few elements in flight the collector of garbage has little to walk through."""


def read_text(path: Location) -> str:
    """A text file: UTF-8 with or without byte-order mark, UTF-16 with one, else Latin-1, which takes any byte.

    Raises
    ------
    SourceError
        when the file cannot be read.
    StoreError
        when it lies in a store that cannot be reached.
    """
    with file_problems(path):
        return decode(path.read_bytes())


def head_of(path: Location, n_bytes: int) -> str:
    """The first bytes of a text file; errors as :func:`read_text`."""
    with file_problems(path), path.open("rb") as file:
        return decode(file.read(n_bytes))


def decode(raw: bytes) -> str:
    """Text of bytes, as :func:`read_text` decides."""
    if raw[:2] in _UTF16:
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_xml(path: Location) -> ElementTree.Element:
    """Root element of an XML file.

    Raises
    ------
    SourceError
        in one line with file and reason, as :func:`parse_xml`.
    """
    try:
        return parse_xml(read_text(path))
    except SourceError as error:
        reason = str(error)
        raise SourceError(reason if reason.startswith(str(path)) else f"{path}: {reason}") from error


def parse_xml(text: str) -> ElementTree.Element:
    """Root element of XML text; a document type or entities are refused, for they can grow without bounds.

    Raises
    ------
    SourceError
        with the reason.
    """
    _refuse_entities(text)
    try:
        # The text is decoded already: an encoding that its declaration names no longer holds.
        return ElementTree.fromstring(_DECLARATION.sub("", text.strip("\ufeff\x00 \t\r\n"), count=1))
    except (ElementTree.ParseError, ValueError) as error:
        raise SourceError(f"is not valid XML ({error})") from error


def iter_xml(path: Location, names: Collection[str]) -> Iterator[ElementTree.Element]:
    """Elements of these local names of an XML file too large for a tree, each when it is complete and then emptied.

    A damaged file gives the elements before the damage, and then the error.

    Raises
    ------
    SourceError
        in one line with file and reason, as :func:`read_xml`.
    """
    text = read_text(path)
    parser: ElementTree.XMLPullParser[ElementTree.Element] = ElementTree.XMLPullParser(("end",))
    wanted: dict[str, bool] = {}
    try:
        _refuse_entities(text)
        text = _DECLARATION.sub("", text.strip("\ufeff\x00 \t\r\n"), count=1)
        for start in range(0, len(text), _PIECE_CHARACTERS):
            parser.feed(text[start : start + _PIECE_CHARACTERS])
            for event in parser.read_events():
                _, node = cast("tuple[str, ElementTree.Element]", event)
                tag = str(node.tag)
                if tag not in wanted:
                    wanted[tag] = local_name(node) in names
                if wanted[tag]:
                    yield node
                    node.clear()
        parser.close()
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise SourceError(f"{path}: is not valid XML ({error})") from error


def children(node: ElementTree.Element) -> dict[str, ElementTree.Element]:
    """Child elements by local name; of several of one name the last."""
    return {_local(child.tag): child for child in node}


@lru_cache(maxsize=1024)
def _local(name: str) -> str:
    return name.rpartition("}")[2]


def attributes(node: ElementTree.Element) -> dict[str, str]:
    """Attributes by local name."""
    return {_local(key): value for key, value in node.attrib.items()}


def local_name(node: ElementTree.Element) -> str:
    """Tag without its namespace."""
    return _local(str(node.tag))


def _refuse_entities(text: str) -> None:
    if _FORBIDDEN.search(text):
        raise SourceError("declares XML entities or a document type, which are not read")


def whole(text: str | None) -> int | None:
    """A whole number from 0 of nine digits at most, or None."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdecimal() and stripped.isascii() and len(stripped) <= _MAX_DIGITS else None


def iso_time(text: str | None) -> str:
    """A date with a time in ISO 8601 (``20240709 13:13:03.006`` is understood too); empty where it is none.

    Years up to 1900 stand for an unknown time.
    """
    # Microscopes write seven digits of a second or more, Python reads six.
    shortened = _LONG_FRACTION.sub(r"\1", (text or "").strip())
    try:
        found = datetime.fromisoformat(shortened)
    except ValueError:
        return ""
    exact = found.microsecond % 1000 or not found.microsecond
    return found.isoformat(timespec="auto" if exact else "milliseconds") if found.year > 1900 else ""


def number(text: str | None) -> float | None:
    """A finite number, or None."""
    try:
        value = float((text or "").strip())
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def positive(text: str | None) -> float | None:
    """A number above zero, or None."""
    value = number(text)
    return value if value is not None and value > 0 else None


def length_um(text: str | None, unit: str | None) -> float | None:
    """A length in µm from its number and unit (m, mm, µm, nm, pm in any usual spelling); None for other units."""
    value = number(text)
    factor = _MICROMETRES.get((unit or "").strip().lower())
    # 15 digits: 0.0018 m is 1800 µm, not 1799.9999999999998.
    return None if value is None or factor is None else float(f"{value * factor:.15g}")


def seconds(node: ElementTree.Element, name: str) -> float | None:
    """A duration in s from an attribute and its unit, as OME-XML has them; seconds where no unit is named."""
    value, factor = number(node.get(name)), _SECONDS.get(node.get(f"{name}Unit", "s"))
    return None if value is None or factor is None else value * factor


def later(started: str, after_s: float) -> str:
    """The time in ISO 8601 so many seconds after another one; empty where that is unknown, or out of all bounds."""
    if not started:
        return ""
    try:
        return (datetime.fromisoformat(started) + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return ""


def is_on_a_plate(well: WellId) -> bool:
    """Whether the largest plate (32 × 48) has this well."""
    return 0 <= well.row < _MAX_ROWS and 0 <= well.column < _MAX_COLUMNS


@lru_cache(maxsize=4096)
def well_of(text: str) -> WellId | None:
    """A well of the largest plate by its name, such as B03; None for everything else."""
    try:
        well = WellId.parse(text)
    except UsageError:
        return None
    return well if is_on_a_plate(well) else None


def is_absolute(name: str) -> bool:
    """Whether metadata name a file from a root, a drive or an address on, of this machine or another."""
    return bool(_ABSOLUTE.match(name))


def points_outside(name: str) -> bool:
    """Whether metadata name a file by an absolute path, or by one that climbs out of the folder it starts in."""
    return is_absolute(name) or posixpath.normpath(name.replace("\\", "/")).startswith("../")


def base_name(name: str) -> str:
    """Last part of a path that metadata name, with ``/`` or ``\\`` between folders."""
    return name.replace("\\", "/").rpartition("/")[2]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key with Channel2 before Channel10."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def even_step_s(times_s: list[float]) -> float | None:
    """Seconds between time points that are evenly spaced (to 1 %); None for one, or for uneven ones."""
    steps = [later - earlier for earlier, later in pairwise(times_s)]
    if not steps or min(steps) <= 0 or max(steps) - min(steps) > 0.01 * max(steps):
        return None
    return round(sum(steps) / len(steps), 3)
