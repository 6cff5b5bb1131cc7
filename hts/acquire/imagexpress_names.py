"""What the path of an ImageXpress image says: the names of exported plates and of the database's own folders.

Exported: ``[TimePoint_<t>/][ZStep_<z>/]<plate>_<well>[_s<site>][_w<wave>].TIF``. In the database the name ends in a
GUID that is glued to the site or wave, below folders of the day and the number of the acquisition:
``<date>/<id>/[TimePoint_<t>/][ZStep_<z>/]<plate>_<well>[_s<site>][_w<wave>]<GUID>.tif``. Case does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import is_on_a_plate
from hts.errors import SourceError
from hts.model import WellId, row_index

# The plate's name is the shortest that leaves a well: in P_B02_s1_w1 the well is B02, not S01. B02_s1_w1 has no plate:
# it is another layout, not well S01 of a plate named B02. A GUID has a fixed length, so that w1 and a GUID that begins
# with digits come apart.
_NAME = re.compile(
    r"(?![A-Z]{1,2}\d{1,2}_[sw]\d+(?:_w\d+)?\.tiff?$)"
    r"(?P<plate>.+?)_(?P<row>[A-Z]{1,2})(?P<column>\d{1,2})(?:_s(?P<site>\d+))?(?:_w(?P<wave>\d+))?"
    r"(?P<guid>[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?\.tiff?",
    re.IGNORECASE,
)
_TIME = re.compile(r"(?:^|/)TimePoint_(\d+)/", re.IGNORECASE)
_STEP = re.compile(r"(?:^|/)ZStep_(\d+)/", re.IGNORECASE)
_LEVEL = re.compile(r"(?<![^/])(?:TimePoint|ZStep)_\d+/", re.IGNORECASE)


class Shot(NamedTuple):
    """An image as its path says: ``step`` is 0 for a projection and where there is no z folder.

    ``certain`` is False where nothing but the well follows the plate's name, which names of other layouts do too.
    """

    plate: str
    well: WellId
    site: int
    wave: int
    step: int
    time: int
    file: ImageFile
    certain: bool = True


def parse_shot(image: ImageFile) -> Shot | None:
    """What an image's path says, or None where it is of another layout. Site, wave and time are 1 where unsaid."""
    folders, _, name = image.name.rpartition("/")
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    plate, row, column, site, wave, guid = match.groups()
    well = _well(row, column)
    if well is None:
        return None
    time, step = _levels(folders)
    certain = bool(site or wave or guid)
    return Shot(plate, well, int(site or 1), int(wave or 1), step, time, image, certain)


def parse_shots(listing: Listing) -> list[Shot]:
    """All images that are of this layout."""
    return [shot for image in listing.images if (shot := parse_shot(image)) is not None]


def without_levels(folder: str) -> str:
    """A folder (ending in ``/``) without its TimePoint and ZStep levels: the folder of the acquisition."""
    return _LEVEL.sub("", folder)


def refuse_several_acquisitions(listing: Listing, shots: Sequence[Shot]) -> None:
    """Files of different plates in different folders: wells of one would fill gaps of another.

    Raises
    ------
    SourceError
        naming the folders.
    """
    plates: dict[str, set[str]] = {}
    for folder, plate in {(shot.file.name.rpartition("/")[0], shot.plate) for shot in shots}:
        plates.setdefault(without_levels(f"{folder}/".removeprefix("/")), set()).add(plate)
    every = set().union(*plates.values())
    if len(plates) > 1 and len(every) == sum(map(len, plates.values())):
        some = "; ".join(
            f"{', '.join(sorted(names))} in {folder or '.'}" for folder, names in sorted(plates.items())[:4]
        )
        raise SourceError(
            f"one plate in {listing.root}",
            found=f"{len(plates)} folders, each with a plate of its own: {some}",
            fix="open one plate's folder at a time",
        )


@lru_cache(maxsize=4096)
def _well(row: str, column: str) -> WellId | None:
    well = WellId(row_index(row), int(column) - 1)
    return well if is_on_a_plate(well) else None


@lru_cache(maxsize=4096)
def _levels(folders: str) -> tuple[int, int]:
    """Time point (1 where unsaid) and z step (0 where unsaid)."""
    time, step = _TIME.search(f"{folders}/"), _STEP.search(f"{folders}/")
    return int(time[1]) if time else 1, int(step[1]) if step else 0
