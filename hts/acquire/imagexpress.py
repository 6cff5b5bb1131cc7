"""Molecular Devices ImageXpress, exported by MetaXpress, with and without the ``.HTD`` file.

Layout: ``[TimePoint_<t>/][ZStep_<z>/]<plate>_<well>[_s<site>][_w<wave>].TIF`` in any case, anywhere below the folder.
Every file is placed by its name alone; the HTD only adds names and what should have been there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from hts.acquire.build import PlateFacts, Sighting, Stage, build_source, left_out_note
from hts.acquire.descriptions import ImageFacts
from hts.acquire.htd import Htd, read_htd
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.planes import read_header
from hts.acquire.table import Source
from hts.acquire.zsteps import Shot, place_z, time_copies
from hts.errors import SourceError
from hts.locations import Location, relative_name
from hts.model import Channel, FieldKey, PixelSize, WellId

# The plate's name is the shortest that leaves a well: in P_B02_s1_w1 the well is B02, not S01. B02_s1_w1 has no plate:
# it is another layout, not well S01 of a plate named B02.
_NAME = re.compile(
    r"(?![A-Z]{1,2}\d{1,2}_[sw]\d+(?:_w\d+)?\.tiff?$)"
    r"(?P<plate>.+?)_(?P<row>[A-Z]{1,2})(?P<column>\d{1,2})(?:_s(?P<site>\d+))?(?:_w(?P<wave>\d+))?\.tiff?",
    re.IGNORECASE,
)
_TIME = re.compile(r"(?:^|/)TimePoint_(\d+)/", re.IGNORECASE)
_STEP = re.compile(r"(?:^|/)ZStep_(\d+)/", re.IGNORECASE)
_LEVEL = re.compile(r"(?<![^/])(?:TimePoint|ZStep)_\d+/", re.IGNORECASE)
_MAX_ROWS, _MAX_COLUMNS = 32, 48
_POSITIONS_UP_TO_FIELDS = 10_000
_HEADER_THREADS = 4


class ImageXpressReader:
    """Reads folders exported by MetaXpress."""

    name = "imagexpress"

    def sniff(self, listing: Listing) -> float:
        """Fraction of the image files with a name of this layout."""
        return len(_shots(listing)) / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no name is of this layout, or several plates lie in one folder."""
        shots = _shots(listing)
        if not shots:
            raise SourceError(
                f"names such as PLATE_B03_s1_w1.TIF in {listing.root}", found=", ".join(listing.examples) or "no image"
            )
        plates = Counter(shot.plate for shot in shots)
        plate = plates.most_common(1)[0][0]
        vendor_files = _htd_files(listing)
        htd = _choose_htd(vendor_files, plate)
        channels, headers, channel_notes = _channels(shots, htd)
        placed, z_notes = place_z(shots, {wave: channel.name for wave, channel in channels.items()})
        sightings = [_sighting(shot, z, channels) for shot, z in placed]
        sightings, position_notes = _with_positions(sightings)
        taken = {shot.file for shot in shots}
        others = [image.name for image in listing.images if image not in taken]
        facts = PlateFacts(
            reader=self.name,
            plate_name=plate,
            channels=tuple(channels.values()),
            announced=htd.wells if htd else frozenset(),
            pixel_size=_pixel_size(headers, sightings),
            vendor_files=vendor_files,
            notes=(
                *(_htd_notes(htd, sightings, channels) if htd else ()),
                *channel_notes,
                *z_notes,
                *time_copies(placed, {wave: channel.name for wave, channel in channels.items()}),
                *position_notes,
                *_plate_name_notes(plates),
                *left_out_note(others, "their names are not <plate>_<well>[_s<site>][_w<wave>].TIF"),
            ),
        )
        return build_source(listing, sightings, facts)


def parse_shot(image: ImageFile) -> Shot | None:
    """What an image's path says, or None where it is of another layout. Site, wave and time are 1 where unsaid."""
    folders, _, name = image.name.rpartition("/")
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    well = WellId.parse(match["row"] + match["column"]) if int(match["column"]) else None
    if well is None or well.row >= _MAX_ROWS or well.column >= _MAX_COLUMNS:
        return None
    time, step = _TIME.search(f"{folders}/"), _STEP.search(f"{folders}/")
    return Shot(
        plate=match["plate"],
        well=well,
        site=int(match["site"] or 1),
        wave=int(match["wave"] or 1),
        step=int(step[1]) if step else 0,
        time=int(time[1]) if time else 1,
        file=image,
    )


def _shots(listing: Listing) -> list[Shot]:
    return [shot for image in listing.images if (shot := parse_shot(image)) is not None]


def _sighting(shot: Shot, z: int, channels: dict[int, Channel]) -> Sighting:
    return Sighting(shot.well, shot.site, channels[shot.wave].name, z, shot.time, shot.file)


def _htd_files(listing: Listing) -> tuple[Location, ...]:
    """The top-most HTD files: MetaXpress copies them into every subfolder of a plate.

    Raises
    ------
    SourceError
        when they belong to several plates: files of one would hide those of another.
    """
    files = [path for path in listing.files if path.suffix.lower() == ".htd" and path.is_file()]
    folders = (relative_name(path, listing.root).removesuffix(path.name) for path in files)
    plates = sorted({_LEVEL.sub("", folder) or "the folder itself" for folder in folders})
    if len(plates) > 1:
        raise SourceError(
            f"one plate in {listing.root}",
            found=f"HTD files of {len(plates)}: {', '.join(plates[:5])}",
            fix="open one plate's folder at a time",
        )
    top = min((len(path.parts) for path in files), default=0)
    return tuple(path for path in files if len(path.parts) == top)


def _plate_name_notes(plates: Counter[str]) -> tuple[str, ...]:
    if len(plates) < 2:
        return ()
    return ("the files carry several plate names: " + ", ".join(f"{name} ({n} files)" for name, n in plates.items()),)


def _choose_htd(files: Sequence[Location], plate: str) -> Htd | None:
    own = [path for path in files if path.stem.lower() == plate.lower()]
    return next((read_htd(path) for path in (*own, *files)), None)


class _Headers(NamedTuple):
    """Headers of one file a wave."""

    facts: dict[int, ImageFacts]
    notes: tuple[str, ...]


def _read_headers(shots: Sequence[Shot]) -> _Headers:
    facts: dict[int, ImageFacts] = {}
    notes: list[str] = []
    for shot in shots:
        if shot.wave in facts or shot.file.problem:
            continue
        try:
            facts[shot.wave] = read_header(shot.file.path).image
        except SourceError:
            # A broken file is listed when its plane is read; here another one of the wave will do.
            continue
        if facts[shot.wave].problem:
            notes.append(f"{shot.file.name}: {facts[shot.wave].problem}; nothing else is known from it")
    return _Headers(facts, tuple(notes))


def _channels(shots: Sequence[Shot], htd: Htd | None) -> tuple[dict[int, Channel], _Headers, tuple[str, ...]]:
    """Channels by wave number, named by the HTD, else by the header, else ``w<n>``; names are made unique."""
    headers = _read_headers(shots)
    names: dict[int, str] = {}
    for wave in sorted({shot.wave for shot in shots}):
        announced = htd.waves.get(wave, "") if htd else ""
        header = headers.facts.get(wave, ImageFacts())
        name = announced or header.channel or f"w{wave}"
        names[wave] = name if name not in names.values() else f"{name} w{wave}"
    channels = {
        wave: Channel(name, wavelength_nm=headers.facts.get(wave, ImageFacts()).wavelength_nm)
        for wave, name in names.items()
    }
    return channels, headers, headers.notes


def _with_positions(sightings: Sequence[Sighting]) -> tuple[list[Sighting], tuple[str, ...]]:
    """Stage positions by field, from one header a field: 0.2 ms each on a local disk, in threads for slow ones.

    The position in z holds for the file it was read from only.
    """
    chosen: dict[FieldKey, Sighting] = {}
    for one in sorted(sightings, key=lambda one: (one.t, one.z)):
        if not one.file.problem:
            chosen.setdefault(FieldKey(one.well, one.field), one)
    if len(chosen) > _POSITIONS_UP_TO_FIELDS:
        note = f"stage positions of {len(chosen)} fields were not read: more than {_POSITIONS_UP_TO_FIELDS}"
        return list(sightings), (note,)
    with ThreadPoolExecutor(_HEADER_THREADS) as pool:
        found = dict(zip(chosen, pool.map(_stage, [one.file for one in chosen.values()]), strict=True))
    placed = []
    for one in sightings:
        key = FieldKey(one.well, one.field)
        stage = found.get(key, Stage())
        placed.append(one._replace(stage=stage if chosen.get(key) == one else stage._replace(z_um=None)))
    return placed, ()


def _stage(file: ImageFile) -> Stage:
    try:
        facts = read_header(file.path).image
    except SourceError:
        return Stage()
    return Stage(facts.y_um, facts.x_um, facts.z_um) if None not in (facts.y_um, facts.x_um) else Stage()


def _pixel_size(headers: _Headers, sightings: Sequence[Sighting]) -> PixelSize | None:
    sizes = [facts.pixel_size for _, facts in sorted(headers.facts.items()) if facts.pixel_size]
    return PixelSize(sizes[0].y_um, sizes[0].x_um, _z_distance_um(sightings)) if sizes else None


def _z_distance_um(sightings: Iterable[Sighting]) -> float | None:
    """Distance of the first two planes of the first stack whose headers can be read."""
    stacks: dict[tuple[WellId, int, str, int], list[Sighting]] = {}
    for one in sorted(sightings, key=lambda one: (one.well, one.field, one.t, one.channel, one.z)):
        stacks.setdefault((one.well, one.field, one.channel, one.t), []).append(one)
    for stack in [stack for stack in stacks.values() if len(stack) > 1][:3]:
        first, second = (_stage(one.file) for one in stack[:2])
        if first.z_um is not None and second.z_um is not None and first.z_um != second.z_um:
            steps = stack[1].z - stack[0].z
            return round(abs(second.z_um - first.z_um) / steps, 4) if steps else None
    return None


def _htd_notes(htd: Htd, sightings: Sequence[Sighting], channels: dict[int, Channel]) -> tuple[str, ...]:
    """What the HTD announces and the disk has not, or the other way round."""
    notes = [
        f"HTD announces wave {wave} ({name}), no file has it"
        for wave, name in sorted(htd.waves.items())
        if wave not in channels
    ]
    for announced, found, what in (
        (htd.n_t, len({one.t for one in sightings}), "time points"),
        (htd.n_z, len({one.z for one in sightings}), "z steps"),
        (htd.n_sites, len({one.field for one in sightings}), "sites a well"),
    ):
        if announced is not None and announced != found:
            notes.append(f"HTD announces {announced} {what}, the files have {found}")
    wells = {one.well for one in sightings}
    if htd.wells - wells:
        names = ", ".join(well.name for well in sorted(htd.wells - wells)[:6])
        notes.append(f"HTD selects {len(htd.wells)} wells, {len(htd.wells - wells)} have no file: {names}")
    if wells - htd.wells and htd.wells:
        notes.append(f"{len(wells - htd.wells)} wells have files though the HTD does not select them")
    return tuple(notes)
