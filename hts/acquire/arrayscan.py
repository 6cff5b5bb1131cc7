"""Cellomics ArrayScan and CellInsight (Thermo Fisher), exported to TIFF.

Layout: ``<plate>_<well>f<field>d<detector>.TIF`` in any case, anywhere below the folder, such as
``AS_09125_050116030001_D03f00d1.TIF`` or ``MFGTMP_141029170001_A01f00d0.TIF``; fields count from 0, detectors from 0
or 1. The plate's part is what the instrument's database calls the plate, so it is taken for the barcode too.

Left out: overlays (``…f00o1.TIF``, outlines that the instrument drew) and files in Cellomics' own format (``.C01``,
``.DIB``): a plane that exists only as one of these is listed as missing. The layout was seen in CellProfiler's
ExampleHuman (three real files) and in public scripts that read such names; whole plates are those hts synth writes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from hts.acquire.build import PlateFacts, Sighting, absent, build_source, header_pixel_size, left_out_note
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import natural, well_of
from hts.acquire.table import Acquisition, Source
from hts.errors import SourceError
from hts.locations import relative_name
from hts.model import Channel, WellId

_NAME = re.compile(
    r"(?P<plate>.+)_(?P<well>[A-Z]{1,2}\d{1,2})f(?P<field>\d{1,4})(?P<detector>d\d{1,2})\.(?P<kind>tiff?|c01|dib)",
    re.IGNORECASE,
)
_OWN_FORMATS = (".c01", ".dib")


class Name(NamedTuple):
    """What a file's name says."""

    plate: str
    well: WellId
    field: int
    detector: str


class ArrayScanReader:
    """Reads folders of TIFF files with the names of a Cellomics ArrayScan."""

    name = "arrayscan"

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files with a name of this layout."""
        return sum(1 for _ in _named(listing)) / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no name is of this layout, or several plates lie in one folder."""
        found = list(_named(listing))
        if not found:
            raise SourceError(
                f"names such as PLATE_D03f00d1.TIF in {listing.root}", found=", ".join(listing.examples) or "no image"
            )
        plates = Counter(name.plate for name, _ in found)
        plate = plates.most_common(1)[0][0]
        own = list(_only_in_own_format(listing, {name for name, _ in found}))
        taken = {image.name for _, image in found}
        channels = sorted({name.detector for name, _ in (*found, *own)}, key=natural)
        facts = PlateFacts(
            reader=self.name,
            plate_name=plate,
            channels=tuple(Channel(channel) for channel in channels),
            pixel_size=header_pixel_size([image for _, image in found]),
            notes=(
                *_plates_note(plates),
                *left_out_note(
                    [image.name for image in listing.images if image.name not in taken],
                    "their names are not <plate>_<well>f<field>d<detector>.TIF",
                ),
            ),
            acquisition=Acquisition(barcode=plate),
        )
        sightings = [Sighting(name.well, name.field, name.detector, 0, 0, image) for name, image in (*found, *own)]
        return build_source(listing, sightings, facts)


def parse_name(text: str) -> Name | None:
    """What a file's name without folders says, or None where it is of another layout."""
    match = _NAME.fullmatch(text)
    well = well_of(match["well"]) if match else None
    if match is None or well is None:
        return None
    return Name(match["plate"], well, int(match["field"]), match["detector"].lower())


def _named(listing: Listing) -> Iterator[tuple[Name, ImageFile]]:
    for image in listing.images:
        name = parse_name(image.name.rpartition("/")[2])
        if name is not None:
            yield name, image


def _only_in_own_format(listing: Listing, known: set[Name]) -> Iterator[tuple[Name, ImageFile]]:
    """Planes of which there is a file in Cellomics' own format and no TIFF."""
    for path in listing.files:
        name = parse_name(path.name) if path.suffix.lower() in _OWN_FORMATS else None
        if name is not None and name not in known:
            own = relative_name(path, listing.root)
            yield (
                name,
                absent("", f"only {own} is there, in Cellomics' own format that is not read: export TIFF"),
            )


def _plates_note(plates: Counter[str]) -> tuple[str, ...]:
    if len(plates) < 2:
        return ()
    some = ", ".join(f"{name} ({count} files)" for name, count in plates.most_common(4))
    return (f"the files carry {len(plates)} plate names: {some}",)
