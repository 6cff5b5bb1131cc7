"""Zarr's own documents: groups and arrays of formats 2 and 3, read by exact path."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from hts.errors import StoreError
from hts.locations import Location
from hts.store.validate.findings import Check, join, shown
from hts.store.validate.places import read

FORMAT_OF = {"0.4": 2, "0.5": 3}
VERSION_OF = {2: "0.4", 3: "0.5"}
_CANNOT_OPEN = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError)


@dataclass(frozen=True)
class Group:
    """A Zarr group: its place, Zarr format (2 or 3), attributes and, in format 3, its whole document."""

    place: Location
    format: int
    attributes: dict[str, Any]
    document: dict[str, Any]

    @property
    def version(self) -> str:
        """The version of OME-Zarr whose rules apply: 0.4 stands in Zarr format 2, 0.5 in format 3."""
        return VERSION_OF[self.format]

    @property
    def ome(self) -> dict[str, Any]:
        """The object that holds OME's keys; empty when there is none."""
        holder = self.attributes.get("ome") if self.format == 3 else self.attributes
        return holder if isinstance(holder, dict) else {}


@dataclass(frozen=True)
class ArrayFacts:
    """What the document of an array says. ``names`` are its dimension names, None when it has none."""

    document: bytes
    format: int
    shape: tuple[int, ...]
    dtype: str
    kind: str
    names: tuple[str | None, ...] | None
    separator: str


class _NotJsonError(ValueError):
    """NaN or Infinity in a document."""


def parse(content: bytes, name: str, check: Check) -> dict[str, Any] | None:
    """The JSON object in a document; None after reporting what is wrong with it."""
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        text = f"UTF-8 is expected, found byte {content[error.start]:#04x} at {error.start}. No Zarr tool reads it."
        check.error("json.utf8", name, f"{text} Write the file again.")
        return None
    except _NotJsonError as error:
        text = f"Plain JSON is expected, found {error}. Viewers in a browser refuse the file: use null or a number."
        check.error("json.nan", name, text)
        return None
    except (ValueError, RecursionError) as error:
        found = "an empty file" if not content.strip() else str(error)
        check.error("json", name, f"JSON is expected, found {found}. The file is damaged: write it again.")
        return None
    if isinstance(value, dict):
        return value
    check.error("json", name, f"A JSON object is expected, found {shown(value)}. No Zarr tool reads it.")
    return None


def _refuse(constant: str) -> None:
    raise _NotJsonError(constant)


def read_group(place: Location, zarr_format: int, check: Check, *, required: bool = True) -> Group | None:
    """The group at `place`; None after reporting why there is none (only when it is `required`) or what is broken.

    A required group of the other Zarr format is reported, and given.
    """
    formats = (zarr_format, 5 - zarr_format) if required else (zarr_format,)
    try:
        for wanted in formats:
            is_there, group = (_read_v3 if wanted == 3 else _read_v2)(place, check)
            if is_there:
                if wanted != zarr_format:
                    text = f"Zarr format {zarr_format}, as above it, is expected, found format {wanted}."
                    check.error("format", "", f"{text} Most tools stop at the mix: convert this part again.")
                return group
    except StoreError as error:
        check.error("unreadable", "", f"The group is expected to be readable. {_flat(error)}")
        return None
    if required:
        text = "It is listed, and there is no Zarr group on disk."
        check.error("absent", "", f"{text} Tools show it black or stop: copy it again, or take it off the list.")
    return None


def _flat(error: Exception) -> str:
    return " ".join(str(error).split())


def _read_v3(place: Location, check: Check) -> tuple[bool, Group | None]:
    content = read(place / "zarr.json")
    if content is None:
        return False, None
    document = parse(content, "zarr.json", check)
    if document is None:
        return True, None
    attributes = document.get("attributes", {})
    if document.get("node_type") != "group" or document.get("zarr_format") != 3:
        found = {key: document.get(key) for key in ("node_type", "zarr_format")}
        text = f"A Zarr group of format 3 is expected, found {shown(found)}. Tools cannot go on below it."
        check.error("node", "zarr.json", text)
        return True, None
    if not isinstance(attributes, dict):
        check.error("node", "zarr.json", f"Attributes are expected to be an object, found {shown(attributes)}.")
        return True, None
    return True, Group(place, 3, attributes, document)


def _read_v2(place: Location, check: Check) -> tuple[bool, Group | None]:
    marker, content = read(place / ".zgroup"), read(place / ".zattrs")
    if marker is None:
        if read(place / ".zarray") is not None:
            check.error("node", ".zarray", "A Zarr group is expected, found an array. Name the group that lists it.")
            return True, None
        if content is None:
            return False, None
        text = "The file .zgroup is expected beside .zattrs and is not there. Zarr tools do not see a group"
        check.error("zgroup", ".zgroup", f'{text}: write {{"zarr_format": 2}} into it.')
    else:
        document = parse(marker, ".zgroup", check)
        if document is not None and document.get("zarr_format") != 2:
            text = (
                f"Zarr format 2 is expected, found {shown(document.get('zarr_format'))}. Zarr tools refuse the group."
            )
            check.error("node", ".zgroup", text)
    attributes = parse(content, ".zattrs", check) if content is not None else {}
    return True, None if attributes is None else Group(place, 2, attributes, {})


def read_array(place: Location, zarr_format: int, check: Check) -> ArrayFacts | None:
    """The array at `place`; None after reporting that it is absent, of the other format, or cannot be opened."""
    name = "zarr.json" if zarr_format == 3 else ".zarray"
    try:
        content = read(place / name)
        other = read(place / (".zarray" if zarr_format == 3 else "zarr.json")) if content is None else None
    except StoreError as error:
        check.error("unreadable", "", f"The array is expected to be readable. {_flat(error)}")
        return None
    if content is None:
        _report_no_array(check, zarr_format, other is not None)
        return None
    document = parse(content, name, check)
    if document is None:
        return None
    if zarr_format == 3 and document.get("node_type") != "array":
        text = f"An array is expected, found {shown(document.get('node_type'))}. Tools cannot read this level."
        check.error("node", join("zarr.json", "node_type"), text)
        return None
    try:
        return array_facts(content, zarr_format)
    except _CANNOT_OPEN as error:
        text = f"An array that Zarr can open is expected, found {type(error).__name__}: {_flat(error)}"
        check.error("open", name, f"{text}. This level cannot be read.")
        return None


def _report_no_array(check: Check, zarr_format: int, has_other: bool) -> None:
    if has_other:
        text = f"Zarr format {zarr_format}, as its group, is expected, found an array of format {5 - zarr_format}."
        check.error("format", "", f"{text} Tools do not see it: convert this part again.")
    else:
        text = "The level is listed, and there is no array on disk."
        check.error("absent", "", f"{text} Viewers stop when they zoom: copy it again, or take it off the list.")


@functools.lru_cache(maxsize=512)
def array_facts(document: bytes, zarr_format: int) -> ArrayFacts:
    """What zarr-python makes of a document. The arrays of a plate share a few, so this is asked a few times."""
    array = open_array(document, zarr_format, {})
    names = getattr(array.metadata, "dimension_names", None)
    separator = str(getattr(array.metadata, "dimension_separator", "/"))
    dtype = array.dtype
    named = None if names is None else tuple(names)
    return ArrayFacts(document, zarr_format, tuple(array.shape), str(dtype), dtype.kind, named, separator)


def open_array(document: bytes, zarr_format: int, chunks: dict[str, bytes]) -> Any:
    """An array in memory with this document and these chunk files; Zarr raises what it raises."""
    import zarr
    from zarr.buffer import cpu
    from zarr.storage import MemoryStore

    files = {"zarr.json" if zarr_format == 3 else ".zarray": document, **chunks}
    store = MemoryStore({key: cpu.Buffer.from_bytes(content) for key, content in files.items()}, read_only=True)
    return zarr.open_array(store=store, mode="r", zarr_format=2 if zarr_format == 2 else 3)
