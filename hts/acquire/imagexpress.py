"""Molecular Devices ImageXpress: folders that MetaXpress exported, with or without ``.HTD`` file, and its database.

Every file is placed by its name alone (:mod:`hts.acquire.imagexpress_names`); the HTD only adds names and what should
have been there, the headers positions, times and optics. Facts are from such folders; nothing is published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hts.acquire.build import PlateFacts, Sighting, build_source, left_out_note
from hts.acquire.descriptions import ImageFacts
from hts.acquire.htd import Htd, read_htd
from hts.acquire.imagexpress_headers import WaveHeaders, acquisition, pixel_size, read_wave_headers, with_stage
from hts.acquire.imagexpress_names import Shot, parse_shots, refuse_several_acquisitions, without_levels
from hts.acquire.indexed import folder_of
from hts.acquire.listing import Listing
from hts.acquire.table import Source
from hts.acquire.zsteps import place_z, time_copies
from hts.errors import SourceError
from hts.locations import Location
from hts.model import Channel

_UNCERTAIN_WEIGHT = 0.5


class ImageXpressReader:
    """Reads folders of ImageXpress microscopes."""

    name = "imagexpress"

    def sniff(self, listing: Listing) -> float:
        """1 with an HTD file, else the fraction of the image files with a name of this layout.

        Names that end with what looks like a well count half: ``field1_c01.tif`` of other layouts does too.
        """
        shots = listing.once("imagexpress", parse_shots)
        if not shots:
            return 0.0
        if listing.once("htd", _all_htd_files):
            return 1.0
        return sum(1.0 if shot.certain else _UNCERTAIN_WEIGHT for shot in shots) / len(listing.images)

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no name is of this layout, or several plates lie in one folder."""
        shots = listing.once("imagexpress", parse_shots)
        if not shots:
            raise SourceError(
                f"names such as PLATE_B03_s1_w1.TIF in {listing.root}", found=", ".join(listing.examples) or "no image"
            )
        vendor_files = _htd_files(listing)
        refuse_several_acquisitions(listing, shots)
        plates = Counter(shot.plate for shot in shots)
        plate = plates.most_common(1)[0][0]
        htd, htd_problems = _choose_htd(vendor_files, plate)
        headers = read_wave_headers(shots)
        channels = _channels(shots, htd, headers)
        names = {wave: channel.name for wave, channel in channels.items()}
        placed, z_notes = place_z(shots, names)
        sightings, position_notes = with_stage(
            [Sighting(shot.well, shot.site, names[shot.wave], z, shot.time, shot.file) for shot, z in placed]
        )
        facts = PlateFacts(
            reader=self.name,
            plate_name=plate,
            channels=tuple(channels.values()),
            announced=htd.wells if htd else frozenset(),
            pixel_size=pixel_size(headers, sightings),
            vendor_files=vendor_files,
            notes=(
                *htd_problems,
                *(_htd_notes(htd, sightings, channels) if htd else ()),
                *headers.notes,
                *z_notes,
                *(_projection_notes(shots, headers, names) if not any(shot.step for shot in shots) else ()),
                *time_copies(placed, names),
                *position_notes,
                *_plate_name_notes(plates),
                *_left_out(listing, shots),
            ),
            acquisition=acquisition(headers, sightings),
            counted=True,
        )
        return build_source(listing, sightings, facts)


def _left_out(listing: Listing, shots: Sequence[Shot]) -> tuple[str, ...]:
    if len(shots) == len(listing.images):
        return ()
    taken = {shot.file.name for shot in shots}
    others = [image.name for image in listing.images if image.name not in taken]
    return left_out_note(others, "their names are not <plate>_<well>[_s<site>][_w<wave>].TIF")


def _all_htd_files(listing: Listing) -> list[Location]:
    return [path for path in listing.files if path.name[-4:].lower() == ".htd"]


def _htd_files(listing: Listing) -> tuple[Location, ...]:
    """The top-most HTD files: MetaXpress copies them into every subfolder of a plate.

    Raises
    ------
    SourceError
        when they belong to several plates: files of one would hide those of another.
    """
    files = [path for path in listing.once("htd", _all_htd_files) if path.is_file()]
    folders = (folder_of(path, listing) for path in files)
    plates = sorted({without_levels(folder) or "the folder itself" for folder in folders})
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


def _choose_htd(files: Sequence[Location], plate: str) -> tuple[Htd | None, list[str]]:
    """The HTD of the plate's name, else any; and why others could not be read."""
    problems: list[str] = []
    for path in sorted(files, key=lambda path: path.stem.lower() != plate.lower()):
        try:
            return read_htd(path), problems
        except SourceError as error:
            problems.append(f"{error}; the plate is known by its file names only")
    return None, problems


def _channels(shots: Sequence[Shot], htd: Htd | None, headers: WaveHeaders) -> dict[int, Channel]:
    """Channels by wave number, named by the HTD, else by the header, else ``w<n>``; names are made unique."""
    channels: dict[int, Channel] = {}
    taken: set[str] = set()
    for wave in sorted({shot.wave for shot in shots}):
        facts = headers.facts.get(wave, ImageFacts())
        name = (htd.waves.get(wave, "") if htd else "") or facts.channel or f"w{wave}"
        name = f"{name} w{wave}" if name in taken else name
        taken.add(name)
        channels[wave] = Channel(name, wavelength_nm=facts.wavelength_nm, exposure_ms=facts.exposure_ms)
    return channels


def _projection_notes(shots: Sequence[Shot], headers: WaveHeaders, names: dict[int, str]) -> list[str]:
    """Without any ZStep folder only the header tells that a plane is the projection of a stack."""
    found = {wave: facts.projection for wave, facts in sorted(headers.facts.items()) if facts.projection}
    return [f"the planes of {names[wave]} are projections ({kind.lower()})" for wave, kind in found.items()]


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
