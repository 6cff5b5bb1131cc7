"""Any folder whose file names say well, field and channel: a regular expression with named groups, or a preset."""

from __future__ import annotations

import difflib
import re
from functools import partial
from typing import NamedTuple

from hts.acquire.build import PlateFacts, Sighting, build_source, header_pixel_size, left_out_note
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import is_on_a_plate, natural
from hts.acquire.table import Source
from hts.errors import SourceError, UsageError
from hts.model import Channel, WellId, row_index

PRESETS = {
    # Channel1-01-A-01.tif: channel, running index, row, column (CellProfiler's SBS examples).
    "cellprofiler-sbs": r"(?i:(?:.*/)?(?P<channel>channel\d+)-\d+-(?P<row>[A-Z]{1,2})-(?P<column>\d{1,2})\.tiff?)",
    # B03_s1_w1.tif, B03-1-DAPI.tif: a channel begins with a letter, a field is digits with or without s.
    "well-site-wave": (
        r"(?i:(?:.*/)?(?P<well>[A-Z]{1,2}\d{1,2})[_-]s?(?P<field>\d+)[_-](?P<channel>[A-Z][\w ]*)\.tiff?)"
    ),
}
"""Named patterns; each matches the whole path relative to the folder."""

GROUPS = ("well", "row", "column", "field", "channel", "z", "t")
DEFAULT_CHANNEL = "Channel1"
_DIGITS = re.compile(r"\d+")
_SUFFIX = re.compile(r"\.tiff?$", re.IGNORECASE)


class Name(NamedTuple):
    """What a file's name says; z and t as numbered in the name."""

    well: WellId
    field: int
    channel: str
    z: int
    t: int


class PatternReader:
    """Reads folders by a pattern; without one, the preset that recognises most files.

    The expression must match the whole path relative to the folder, or the whole file name; the extension may be
    left out. Channels are named by the text of their group, fields by their number.

    Raises
    ------
    UsageError
        when the pattern is no valid expression, has an unknown group or says no well.
    """

    name = "pattern"

    def __init__(self, pattern: str | None = None) -> None:
        wanted = PRESETS if pattern is None else {pattern: PRESETS.get(pattern, pattern)}
        self._patterns = {label: compile_pattern(text) for label, text in wanted.items()}

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files that the pattern, or the best preset, matches."""
        return max(self.recognised(listing).values()) / len(listing.images) if listing.images else 0.0

    def recognised(self, listing: Listing) -> dict[str, int]:
        """Number of image files each pattern matches, as ``pattern:label``."""
        return {f"{self.name}:{label}": len(_matches(one, listing)) for label, one in self._patterns.items()}

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no file matches, UsageError when a group is not the number it should be."""
        counts = self.recognised(listing)
        label, compiled = max(self._patterns.items(), key=lambda item: counts[f"{self.name}:{item[0]}"])
        found = {image: name for image, match in _matches(compiled, listing) if (name := parse_match(match))}
        if not found:
            raise SourceError(f"files in {listing.root} that match {label!r}", found=", ".join(listing.examples))
        channels = sorted({name.channel for name in found.values()}, key=natural)
        others = [image.name for image in listing.images if image not in found]
        facts = PlateFacts(
            reader=self.name,
            plate_name=listing.root.name,
            channels=tuple(Channel(channel) for channel in channels),
            pixel_size=header_pixel_size(list(found)),
            notes=left_out_note(others, f"their names say no well by {label!r}"),
        )
        return build_source(listing, (Sighting(*name, image) for image, name in found.items()), facts)


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern and check its groups.

    Raises
    ------
    UsageError
        with the position of a mistake, the nearest known group, or what is lacking.
    """
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise UsageError(
            "a pattern that is a valid regular expression", found=f"{text!r}: {error.msg} at position {error.pos}"
        ) from error
    groups = set(compiled.groupindex)
    for group in sorted(groups - set(GROUPS)):
        near = difflib.get_close_matches(group, GROUPS, n=1)
        raise UsageError(
            f"a pattern with the groups {', '.join(GROUPS)}",
            found=f"group {group!r} in {text!r}",
            fix=f"did you mean {near[0]!r}?" if near else "rename the group, or write (?:…) instead",
        )
    if ("well" in groups) == bool(groups & {"row", "column"}) or len(groups & {"row", "column"}) == 1:
        near = difflib.get_close_matches(text, PRESETS, n=1)
        raise UsageError(
            "a pattern that says the well once, by (?P<well>…) or by (?P<row>…) and (?P<column>…)",
            found=repr(text),
            fix=f"did you mean the preset {near[0]!r}?" if near else f"presets are {', '.join(PRESETS)}",
        )
    return compiled


def match_name(pattern: re.Pattern[str], name: str) -> re.Match[str] | None:
    """Match a whole path relative to the folder, or else its file name; with or without the extension."""
    bare = _SUFFIX.sub("", name)
    for text in (name, bare, name.rpartition("/")[2], bare.rpartition("/")[2]):
        match = pattern.fullmatch(text)
        if match is not None:
            return match
    return None


def parse_match(match: re.Match[str]) -> Name | None:
    """The plane a name stands for; None where the well would lie outside the largest plate (32 × 48).

    Raises
    ------
    UsageError
        when field, column, z or t is not a number, or a row neither number nor letters.
    """
    groups = {group: text for group, text in match.groupdict().items() if text is not None}
    well = _well(groups, match.string)
    if not is_on_a_plate(well):
        return None
    return Name(
        well,
        _number(groups.get("field", "1"), "field", match.string),
        groups.get("channel", DEFAULT_CHANNEL),
        _number(groups.get("z", "0"), "z", match.string),
        _number(groups.get("t", "0"), "t", match.string),
    )


def _matches(pattern: re.Pattern[str], listing: Listing) -> list[tuple[ImageFile, re.Match[str]]]:
    # The presets match whole paths with their extension, or nothing.
    find = pattern.fullmatch if pattern.pattern in PRESETS.values() else partial(match_name, pattern)

    def look(listing: Listing) -> list[tuple[ImageFile, re.Match[str]]]:
        return [(image, match) for image in listing.images if (match := find(image.name)) is not None]

    return listing.once(f"pattern {pattern.pattern}", look)


def _well(groups: dict[str, str], name: str) -> WellId:
    if "well" in groups:
        try:
            return WellId.parse(groups["well"])
        except UsageError as error:
            raise _bad_group("well", groups["well"], name, "a well such as B03") from error
    row, column = groups.get("row", ""), _number(groups.get("column", ""), "column", name)
    if _DIGITS.fullmatch(row):
        return WellId(int(row) - 1, column - 1)
    try:
        return WellId(row_index(row), column - 1)
    except UsageError as error:
        raise _bad_group("row", row, name, "a row such as B, AF or 2") from error


def _number(text: str, group: str, name: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise _bad_group(group, text, name, "digits only")
    return int(text)


def _bad_group(group: str, text: str, name: str, expected: str) -> UsageError:
    return UsageError(
        f"the pattern's group {group!r} to be {expected}", found=f"{text!r} in {name}", fix="narrow the group"
    )
