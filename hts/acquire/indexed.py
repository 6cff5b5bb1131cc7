"""What readers share whose vendor writes an index: which file is which plane, and where and when it was taken.

The index places its files; a file whose name alone tells its plane fills the place of one that the index names and
that is not where it says, or is one more file of that plane.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from hts.acquire.axes import typical_step
from hts.acquire.build import Sighting, Stage, absent, is_absent
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import is_absolute, is_on_a_plate, read_text, whole
from hts.errors import SourceError
from hts.locations import Location, relative_name
from hts.model import PixelSize, WellId

_SERIES_LOOKED_AT = 1000


def numbered_well(row: str | None, column: str | None) -> WellId | None:
    """The well of a row and a column that count from 1; None where no plate has it."""
    row_number, column_number = whole(row), whole(column)
    if row_number is None or column_number is None:
        return None
    well = WellId(row_number - 1, column_number - 1)
    return well if is_on_a_plate(well) else None


def find_index(listing: Listing, names: Sequence[str]) -> Location | None:
    """The vendor's index, by its name in any case; of several in a folder the name that comes first in ``names``.

    Raises
    ------
    SourceError
        when several folders have one and they differ: files of one plate would hide those of another.
    """
    order = {name.lower(): place for place, name in enumerate(names)}
    if listing.chosen is not None and listing.chosen.name.lower() in order:
        return listing.chosen
    best: dict[str, Location] = {}
    found = [path for path in listing.files if path.name.lower() in order]
    for path in sorted(found, key=lambda path: order[path.name.lower()]):
        best.setdefault(folder_of(path, listing), path)
    if len(best) > 1 and not _equal(best.values()):
        raise SourceError(
            f"one plate in {listing.root}",
            found=f"{names[0]} and the like in {len(best)} folders: "
            + ", ".join(sorted(folder or "the folder itself" for folder in best)[:5]),
            fix="open one plate's folder at a time",
        )
    # Of equal copies the deepest is taken: file names in it are relative to it.
    return best[max(best, key=len)] if best else None


def folder_of(path: Location, listing: Listing) -> str:
    """The folder of a file relative to the root, empty or with ``/`` at its end."""
    head, slash, _ = relative_name(path, listing.root).rpartition("/")
    return head + slash


def file_of(stated: str, folder: str, listing: Listing) -> ImageFile:
    """The image that an index in ``folder`` names; absent where it is not there or lies outside of the root."""
    name = stated.strip().replace("\\", "/")
    if not name:
        return absent("", "the index names no file for it")
    joined = posixpath.normpath(folder + name)
    if is_absolute(name) or joined.split("/", 1)[0] == "..":
        return absent("", f"the index names {name}, outside of the plate's folder: it is not opened")
    found = listing.images_by_name.get(joined)
    return found or absent("", f"the index lists {joined}, no such file")


def settle(listed: Sequence[Sighting]) -> tuple[list[Sighting], tuple[str, ...]]:
    """Planes of an index without repeated entries; a file that it gives to several planes is none of them."""
    once = list({(plane_of(one), one.file.name, one.page): one for one in listed}.values())
    uses = Counter((one.file.name, one.page) for one in once if not is_absent(one.file))
    for place, one in enumerate(once):
        n_planes = uses[one.file.name, one.page]
        if n_planes > 1:
            problem = one.file.problem or f"the index names this file for {n_planes} planes"
            once[place] = one._replace(file=replace(one.file, problem=problem))
    repeated = len(listed) - len(once)
    return once, ((f"{repeated} entries of the index are repeated",) if repeated else ())


def merge(listed: Sequence[Sighting], by_name: Iterable[Sighting]) -> list[Sighting]:
    """Planes of the index, and files of the same layout that it does not name."""
    merged = list(listed)
    places = {plane_of(one): place for place, one in enumerate(listed)}
    for extra in by_name:
        place = places.get(plane_of(extra))
        if place is not None and is_absent(merged[place].file):
            merged[place] = merged[place]._replace(file=extra.file, page=None)
        else:
            merged.append(extra)
    return merged


def plane_of(one: Sighting) -> tuple[Hashable, ...]:
    """What makes two sightings the same plane."""
    return one[:5]


def never_listed(
    wells: Collection[WellId], listed: Sequence[Sighting], missing_reason: str
) -> tuple[list[Sighting], tuple[str, ...]]:
    """All planes of wells that were selected and of which the index lists none; and a note on them."""
    lost = sorted(set(wells) - {one.well for one in listed})
    if not lost or not listed:
        return [], ()
    file = absent("", missing_reason)
    examples = {plane_of(one)[1:]: one for one in listed}.values()
    added = [one._replace(well=well, file=file, page=None, stage=Stage()) for well in lost for one in examples]
    names = ", ".join(well.name for well in lost[:6]) + (", …" if len(lost) > 6 else "")
    return added, (f"{len(lost)} of {len(set(wells))} selected wells have no plane in the index: {names}",)


def contradiction_note(files: Sequence[str]) -> tuple[str, ...]:
    """A note on files whose names tell another plane than the index, which is believed."""
    if not files:
        return ()
    return (f"{len(files)} files are placed by the index though their names say another plane: {files[0]}",)


def unlisted_note(listed: Sequence[Sighting], by_name: Iterable[Sighting]) -> tuple[str, ...]:
    """A note on files of planes that the index, where there is one, does not list."""
    known = {plane_of(one) for one in listed}
    unknown = [one.file.name for one in by_name if plane_of(one) not in known]
    if not unknown or not listed:
        return ()
    return (f"{len(unknown)} images show planes that the index does not list: {unknown[0]}",)


def nothing_placed(listing: Listing, example: str, problem: str) -> SourceError:
    """The error of a reader that can place no plane; ``problem`` is that of the index, if any."""
    return SourceError(
        f"names such as {example} in {listing.root}, or an index that lists its images",
        found=", ".join(listing.examples) or "no image",
        cause=problem,
        fix="force another reader with --reader NAME, or name the parts of the path with --pattern",
    )


def pixel_size(
    sizes_um: Iterable[tuple[float | None, float | None]], sightings: Iterable[Sighting]
) -> tuple[PixelSize | None, tuple[str, ...]]:
    """The plate's pixel size from those (y, x) of its channels, the first that is known; a note where they differ."""
    known = list(dict.fromkeys((y_um, x_um) for y_um, x_um in sizes_um if y_um and x_um))
    if not known:
        return None, ()
    notes: tuple[str, ...] = ()
    if len(known) > 1:
        text = ", ".join(f"{y_um:.4g} × {x_um:.4g} µm" for y_um, x_um in known)
        notes = (f"the channels have pixels of different size ({text}): the first holds for the plate",)
    return PixelSize(*known[0], z_step_um(sightings)), notes


def z_step_um(sightings: Iterable[Sighting]) -> float | None:
    """The distance of neighbouring planes that most stacks have; None where no two planes tell their height."""
    stacks: dict[Hashable, dict[int, float]] = {}
    for one in sightings:
        key = (one.well, one.field, one.channel, one.t)
        if one.stage.z_um is not None and (key in stacks or len(stacks) < _SERIES_LOOKED_AT):
            stacks.setdefault(key, {})[one.z] = one.stage.z_um
    steps: Counter[float] = Counter()
    for stack in stacks.values():
        for (low, z_low), (high, z_high) in pairwise(sorted(stack.items())):
            steps[round(abs(z_high - z_low) / (high - low), 4)] += 1
    step = steps.most_common(1)[0][0] if steps else 0.0
    return step or None


def with_z_step(size: PixelSize | None, sightings: Iterable[Sighting]) -> PixelSize | None:
    """The pixel size with the distance of planes, where only the heights of the stage tell it."""
    return size if size is None or size.z_um is not None else replace(size, z_um=z_step_um(sightings))


def time_step_s(sightings: Iterable[Sighting]) -> float | None:
    """The interval of two time points in the middle of those measured, in seconds; None without two times."""
    series: dict[Hashable, dict[int, float]] = {}
    for one in sightings:
        key = (one.well, one.field, one.channel, one.z)
        if one.stage.acquired and (key in series or len(series) < _SERIES_LOOKED_AT):
            series.setdefault(key, {})[one.t] = _seconds(one.stage.acquired)
    return typical_step(series.values())


def _seconds(text: str) -> float:
    # A time without a zone is not that of this machine, whose clock may jump in summer.
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _equal(paths: Iterable[Location]) -> bool:
    try:
        return len({read_text(path) for path in paths}) == 1
    except SourceError:
        return False
