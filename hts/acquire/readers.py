"""Which reader understands a folder: readers are plug-ins of the entry point group ``hts.readers``."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections import Counter
from collections.abc import Iterable
from typing import Protocol, cast, runtime_checkable

from hts.acquire.collector import collector_paused
from hts.acquire.listing import IMAGE_SUFFIXES, Listing
from hts.acquire.table import Source
from hts.errors import NotFoundError, SourceError, UsageError
from hts.locations import Location, location

__all__ = ["Listing", "Reader", "ReaderOnDemand", "ReaderWithPresets", "open_source"]

GROUP = "hts.readers"
PATTERN = "pattern"
_RECOGNISED_FROM = 0.5
_PATTERN_EXAMPLE = r"--pattern '(?P<well>[A-P]\d\d)_s(?P<field>\d+)_(?P<channel>\w+)\.tif'"


class Reader(Protocol):
    """A vendor's layout. A plug-in is a class of this shape that needs no arguments."""

    name: str

    def sniff(self, listing: Listing) -> float:
        """Fraction (0 to 1) of the image files whose names this reader understands."""
        ...

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when the folder cannot be one."""
        ...


@runtime_checkable
class ReaderWithPresets(Protocol):
    """A reader that tries several layouts and can say how many files each recognised, for the error message."""

    def recognised(self, listing: Listing) -> dict[str, int]: ...


@runtime_checkable
class ReaderOnDemand(Protocol):
    """A reader that makes more of a folder when a user insists on it than when it only claims it."""

    def read_forced(self, listing: Listing) -> Source: ...


@collector_paused()
def open_source(root: str | Location, reader: str | None = None, pattern: str | None = None) -> Source:
    """Look at a microscope's folder and place every file by its name; no pixels are loaded.

    Parameters
    ----------
    root : the folder, its subfolders are looked into; or one file of many planes, or one that names the images.
    reader : name of the reader; by default the one that recognises most files.
    pattern : a preset of the pattern reader or a regular expression with named groups over the path relative to
        ``root`` (``/`` between folders): ``well``, or ``row`` and ``column``; ``field``, ``channel``, ``z``, ``t``.

    Raises
    ------
    NotFoundError
        when there is no such folder or reader.
    UsageError
        when the pattern is not valid, or given to a reader that has none.
    SourceError
        when the folder holds no images, or nobody recognises them.
    """
    if pattern is not None and reader not in (None, PATTERN):
        raise UsageError(
            "a pattern belongs to the reader 'pattern'", found=f"reader {reader!r}", fix="leave one of the two out"
        )
    known = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    if pattern is not None:
        chosen = _load(known, PATTERN, pattern)
        return _read_forced(chosen, Listing.of(location(root)), f"the pattern {pattern!r}")
    if reader is not None:
        chosen = _load(known, reader)
        return _read_forced(chosen, Listing.of(location(root)), f"the reader {reader!r}")
    listing = Listing.of(location(root))
    return _best([_load(known, name) for name in sorted(known)], listing).read(listing)


def _load(known: dict[str, importlib.metadata.EntryPoint], name: str, *arguments: str) -> Reader:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise NotFoundError(
            f"a reader: one of {', '.join(sorted(known)) or 'none, hts is not installed'}",
            found=repr(name),
            fix=f"did you mean {near[0]}?" if near else "leave the reader out and let the names decide",
        )
    try:
        made = known[name].load()(*arguments)
    except (ImportError, AttributeError) as error:
        raise SourceError(
            f"the reader plug-in {name!r} ({known[name].value}) to load",
            found=f"{type(error).__name__}: {error}",
            fix="repair or uninstall that package, or force another reader",
        ) from error
    return cast(Reader, made)


def _read_forced(reader: Reader, listing: Listing, what: str) -> Source:
    if isinstance(reader, ReaderOnDemand):
        return reader.read_forced(listing)
    if reader.sniff(listing) == 0:
        _require_images(listing)
        raise _nobody([reader], listing, f"{what} to recognise image files in {listing.root}")
    return reader.read(listing)


def _best(readers: Iterable[Reader], listing: Listing) -> Reader:
    """The reader with the best fraction; of equal ones a vendor's wins over the general pattern.

    A reader that ``looks_inside`` the files wins over those that know names only: ``P_B03_s1.tif`` may be a plane or a
    stack.
    """
    tried = [
        (reader.sniff(listing), reader.name != PATTERN, bool(getattr(reader, "looks_inside", False)), reader)
        for reader in readers
    ]
    fraction, *_, best = max(tried, key=lambda one: one[:3], default=(0.0, False, False, None))
    if best is None or fraction < _RECOGNISED_FROM:
        _require_images(listing)
        raise _nobody([reader for *_, reader in tried], listing, f"a known microscope layout in {listing.root}")
    return best


def _require_images(listing: Listing) -> None:
    if listing.images:
        return
    suffixes = sorted({path.suffix.lower() or path.name for path in listing.files})
    raise SourceError(
        f"images ({', '.join(IMAGE_SUFFIXES)}) in {listing.root}",
        found=f"{len(listing.files)} other files ({', '.join(suffixes[:5])})" if listing.files else "an empty folder",
        cause="another folder is meant, or the images are in a format that no reader knows",
        fix="give the folder that holds the plate's images",
    )


def _nobody(readers: Iterable[Reader], listing: Listing, expected: str) -> SourceError:
    counts: dict[str, int] = {}
    for reader in readers:
        if isinstance(reader, ReaderWithPresets):
            counts.update(reader.recognised(listing))
        else:
            counts[reader.name] = round(reader.sniff(listing) * len(listing.images))
    tried = "; ".join(f"{name} {count} of {len(listing.images)}" for name, count in counts.items())
    examples = f"{_count(listing)} such as {', '.join(listing.examples)}"
    return SourceError(
        expected,
        found=f"{examples}. Recognised by {tried or 'nobody'}",
        cause="the names follow another scheme than the readers and presets know",
        fix=f"name the parts of the path, for example {_PATTERN_EXAMPLE}, or force a reader with --reader NAME",
    )


def _count(listing: Listing) -> str:
    """``3 images (2 .tif, 1 .nd2)``."""
    suffixes = Counter(image.path.suffix.lower() for image in listing.images)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(3))
    return f"{len(listing.images)} images ({kinds})"
