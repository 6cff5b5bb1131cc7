"""Plates in files of many planes: what each file says of itself, and one way from there to a plate.

A reader of such a format describes one file (:class:`Contents`); the wells come from the file where it names them, else
from the file's own name; a file that cannot be read costs the planes that its siblings show it to have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hts.acquire.build import PlateFacts, Sighting, Stage, absent, build_source, left_out_note, spread
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.names import Named, read_name
from hts.acquire.table import UNKNOWN, Acquisition, Source
from hts.errors import SourceError
from hts.locations import Location
from hts.model import Channel, PixelSize, WellId

DESCRIBED_FILES = 4000
"""Up to so many files are opened for what they say; of more, these few:"""
SAMPLED_FILES = 9


class Inside(NamedTuple):
    """A plane as its file describes it; ``page`` is its number in the file.

    ``well`` and ``field`` are None where the file does not say them, ``channel`` is the place in the file's channels;
    ``file`` is None for the described file itself. ``z`` and ``t`` are numbers of the file.
    """

    page: int | None
    channel: int
    z: int = 0
    t: int = 0
    well: WellId | None = None
    field: int | None = None
    stage: Stage = Stage()
    file: ImageFile | None = None


@dataclass(frozen=True)
class Contents:
    """What a file says of itself; a channel without a name gets that of the file's name, else a number.

    ``hint`` is told where no well can be found.
    """

    planes: tuple[Inside, ...]
    channels: tuple[Channel, ...]
    pixel_size: PixelSize | None = None
    acquisition: Acquisition = UNKNOWN
    plate_name: str = ""
    notes: tuple[str, ...] = ()
    hint: str = ""


Describe = Callable[[Location], Contents]


@dataclass(frozen=True)
class Container:
    """How a reader's files become a plate.

    ``forced`` is the well of a lone file that says none, None to leave it out; ``vendor_files`` are kept;
    ``complete`` says that the files announce every plane of the plate, as one file of a whole plate always does.
    """

    reader: str
    describe: Describe
    forced: WellId | None = None
    vendor_files: tuple[Location, ...] = ()
    complete: bool = False


def build_containers(listing: Listing, images: Sequence[ImageFile], how: Container) -> Source:
    """The plate of these files.

    Raises
    ------
    SourceError
        when no file can be read, or neither the files nor their names say a well.
    """
    contents, broken, notes = describe_all(images, how.describe)
    if not contents:
        some = "; ".join(list(broken.values())[:3])
        raise SourceError(f"a file that can be read in {listing.root}", found=some or "none")
    return assemble(listing, contents, Gathered(broken, tuple(notes)), how)


@dataclass
class Gathered:
    """Files that cannot be read with their reasons, and what is to be said of the others."""

    broken: Mapping[ImageFile, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def assemble(listing: Listing, contents: Mapping[ImageFile, Contents], gathered: Gathered, how: Container) -> Source:
    """The plate of files that are described already."""
    files = [*contents, *gathered.broken]
    names = _Names(sorted({image.name for image in files}))
    # Several files without wells would all be the same field.
    how = how if len(files) == 1 else replace(how, forced=None)
    sightings: list[Sighting] = []
    lost: list[str] = []
    placed: dict[ImageFile, Contents] = {}
    for image, content in contents.items():
        found = list(_sightings(image, content, names, how.forced))
        sightings += found
        if found:
            placed[image] = content
        if len(found) < len(content.planes):
            lost.append(image.name)
    if not sightings:
        raise _nowhere(listing, contents, how)
    expected, left = _expected_of_broken(gathered.broken, placed, names, how.forced)
    lost += left
    sightings = _without_found(sightings + expected)
    facts = _facts(placed, sightings, how)
    notes = (
        *gathered.notes,
        *facts.notes,
        *_renamed(placed, names),
        *_forced_notes(placed, names, how),
        *left_out_note(sorted(lost), "neither they nor their names say a well"),
        *left_out_note(_others(listing, files, sightings), f"they are no files of the reader {how.reader}"),
    )
    name = facts.plate_name or (stem_of(files[0].name) if len(files) == 1 else listing.root.name)
    facts = replace(facts, plate_name=name, notes=notes, complete=how.complete or len(files) == 1)
    return build_source(listing, sightings, facts)


def _without_found(sightings: list[Sighting]) -> list[Sighting]:
    """Without the absent planes that another file has, or that another one announces too."""
    nowhere = absent("", "").path
    lost = [one for one in sightings if one.file.path == nowhere]
    if not lost:
        return sightings
    kept = {_key(one): one for one in reversed(lost)}
    here = [one for one in sightings if one.file.path != nowhere]
    for one in here:
        kept.pop(_key(one), None)
    return here + list(kept.values())


def _key(one: Sighting) -> tuple[object, ...]:
    return one.well, one.field, one.channel, one.z, one.t


def _others(listing: Listing, files: Sequence[ImageFile], sightings: Sequence[Sighting]) -> list[str]:
    used = {image.name for image in files} | {one.file.name for one in sightings}
    return [image.name for image in listing.images if image.name not in used]


def _renamed(contents: Mapping[ImageFile, Contents], names: _Names) -> Iterator[str]:
    """Notes on files of one well whose names say another one."""
    for image, content in contents.items():
        inside, named = {one.well for one in content.planes}, names.of(image.name).well
        if named is not None and len(inside) == 1 and None not in inside and named not in inside:
            well = next(well.name for well in inside if well is not None)
            yield f"{image.name} is named as well {named.name}, its metadata say {well}: that is taken"


def _forced_notes(contents: Mapping[ImageFile, Contents], names: _Names, how: Container) -> Iterator[str]:
    for image, content in contents.items():
        if how.forced and names.of(image.name).well is None and any(one.well is None for one in content.planes):
            yield f"{image.name} says no well: it is placed in {how.forced.name}, as the reader {how.reader} was forced"


class _Names:
    """What the files' names say; ``Seq`` counts time points where only it tells files apart, alike in every field."""

    def __init__(self, names: Iterable[str]) -> None:
        self._named = {name: read_name(stem_of(name)) for name in names}
        numbers: dict[Named, set[int | None]] = {}
        for named in self._named.values():
            if named.well is not None:
                numbers.setdefault(named._replace(sequence=None), set()).add(named.sequence)
        sets = {frozenset(found) for found in numbers.values()}
        self._times = len(sets) == 1 and len(next(iter(sets))) > 1 and None not in next(iter(sets))

    def of(self, name: str) -> Named:
        """What a name says; ``t`` is set where it can be."""
        named = self._named.get(name) or read_name(stem_of(name))
        return named._replace(t=named.sequence) if self._times and named.t is None else named


def stem_of(name: str) -> str:
    """A file's name without folders and all of its format's extensions: ``B03_s1`` of ``B03_s1.ome.tif``."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return stem[:-4] if stem.lower().endswith(".ome") else stem


def describe_all(
    images: Sequence[ImageFile], describe: Describe, known: Mapping[ImageFile, Contents] | None = None
) -> tuple[dict[ImageFile, Contents], dict[ImageFile, str], list[str]]:
    """What files say, why others cannot be read, and notes; files that others have described are not opened."""
    contents = dict(known or {})
    covered = {name for content in contents.values() for name in _covers(content)}
    broken = {image: image.problem for image in images if image.problem}
    whole = [image for image in images if not image.problem]
    sampled = len(whole) > DESCRIBED_FILES
    for image in spread(whole, SAMPLED_FILES):
        if image.name in covered:
            continue
        try:
            contents[image] = describe(image.path)
        except SourceError as error:
            broken[image] = str(error).partition(": ")[2] or str(error)
            continue
        covered |= _covers(contents[image])
        if sampled and not known and len(contents) == SAMPLED_FILES:
            alike = {_structure(one, read_name(stem_of(image.name))) for image, one in contents.items()}
            if len(alike) == 1:
                return _like_the_sample(whole, contents, broken)
    order = {image: place for place, image in enumerate((*(known or ()), *images))}
    contents = dict(sorted(contents.items(), key=lambda item: order[item[0]]))
    return contents, {image: reason for image, reason in broken.items() if image.name not in covered}, []


def _covers(content: Contents) -> set[str]:
    return {one.file.name for one in content.planes if one.file is not None}


def _structure(content: Contents, named: Named) -> Contents:
    """What files of one acquisition have in common: without the times and places that names say, or nothing says."""
    planes = tuple(
        one._replace(
            stage=Stage(),
            well=None if one.well == named.well else one.well,
            field=None if one.well == named.well and one.field == named.field else one.field,
        )
        for one in content.planes
    )
    return Contents(planes, content.channels, content.pixel_size, replace(content.acquisition, started=""))


def _like_the_sample(
    whole: Sequence[ImageFile], contents: dict[ImageFile, Contents], broken: dict[ImageFile, str]
) -> tuple[dict[ImageFile, Contents], dict[ImageFile, str], list[str]]:
    image, first = next(iter(contents.items()))
    assumed = _structure(first, read_name(stem_of(image.name)))
    note = (
        f"{len(contents)} of {len(whole)} files were opened, all alike: positions and times of the others were not read"
    )
    every = {image: contents.get(image, assumed) for image in whole if image not in broken}
    return every, broken, [note]


def _sightings(image: ImageFile, content: Contents, names: _Names, forced: WellId | None) -> Iterator[Sighting]:
    several_z = len({one.z for one in content.planes}) > 1
    several_t = len({one.t for one in content.planes}) > 1
    said: dict[str, tuple[Named, list[str]]] = {}
    for page, channel, z, t, well, number, stage, other in content.planes:
        file = other or image
        if file.name not in said:
            named = names.of(file.name)
            said[file.name] = named, channel_names(content.channels, named)
        named, labels = said[file.name]
        well = well or named.well or forced
        if well is None:
            continue
        if number is None:
            number = named.field if named.field is not None and named.well == well else 1
        z = z if several_z or named.z is None else named.z
        t = t if several_t or named.t is None else named.t
        yield Sighting(well, number, labels[channel], z, t, file, page, stage)


def channel_names(channels: Sequence[Channel], named: Named) -> list[str]:
    """A name for each channel, all different: the file's own, else that of the file's name, else ``Channel1`` …"""
    names: list[str] = []
    for number, channel in enumerate(channels, 1):
        name = channel.name or (named.channel if len(channels) == 1 else "") or f"Channel{number}"
        names.append(name if name not in names else f"{name} {number}")
    return names


class _Place(NamedTuple):
    """A plane as files of one well have it; ``token`` is what their names say of the channel."""

    field: int
    channel: str
    z: int
    t: int
    token: str


def _expected_of_broken(
    broken: Mapping[ImageFile, str], contents: Mapping[ImageFile, Contents], names: _Names, forced: WellId | None
) -> tuple[list[Sighting], list[str]]:
    """The planes that unreadable files should have, as their siblings of one well each have them."""
    places = {
        _Place(*one[1:5], names.of(image.name).channel)
        for image, content in contents.items()
        if broken and len({inside.well or names.of(image.name).well for inside in content.planes}) == 1
        for one in _sightings(image, content, names, forced)
    }
    found: list[Sighting] = []
    left: list[str] = []
    for image, reason in broken.items():
        named = names.of(image.name)
        well = named.well or forced
        if well is None or not places:
            left.append(f"{image.name} ({reason})")
            continue
        file = replace(image, problem=reason)
        alike = [one for one in places if one.token == named.channel] or places
        keys = {(_or(named.field, one.field), one.channel, _or(named.z, one.z), _or(named.t, one.t)) for one in alike}
        found += [Sighting(well, *key, file) for key in sorted(keys)]
    return found, left


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _facts(placed: Mapping[ImageFile, Contents], sightings: Sequence[Sighting], how: Container) -> PlateFacts:
    every = list(placed.values())
    described = {channel.name: channel for content in every for channel in content.channels if channel.name}
    names = dict.fromkeys(one.channel for one in sightings)
    size, size_notes = _pixel_size(placed)
    return PlateFacts(
        reader=how.reader,
        plate_name=next((content.plate_name for content in every if content.plate_name), ""),
        channels=tuple(described.get(name, Channel(name)) for name in names),
        pixel_size=size,
        vendor_files=how.vendor_files,
        notes=(*dict.fromkeys(note for content in every for note in content.notes), *size_notes),
        acquisition=next((content.acquisition for content in every if content.acquisition != UNKNOWN), UNKNOWN),
    )


def _pixel_size(placed: Mapping[ImageFile, Contents]) -> tuple[PixelSize | None, tuple[str, ...]]:
    """The pixel size of most files, and a note where others say another one."""
    sizes = {image: content.pixel_size for image, content in placed.items() if content.pixel_size}
    if not sizes:
        return None, ()
    (size, _), *others = Counter(sizes.values()).most_common()
    if not others:
        return size, ()
    image, other = next((image, one) for image, one in sizes.items() if one != size)
    said = f"{other.y_um:g} × {other.x_um:g} µm" + (f", {other.z_um:g} µm in z" if other.z_um else "")
    return size, (f"{sum(n for _, n in others)} files have another pixel size than most, such as {image.name}: {said}",)


def _nowhere(listing: Listing, contents: Mapping[ImageFile, Contents], how: Container) -> SourceError:
    hints = [f"{image.name}: {content.hint}" for image, content in contents.items() if content.hint][:2]
    return SourceError(
        f"the wells of the files in {listing.root}, in their metadata or names",
        found=f"{', '.join(listing.examples)}{'. ' + '; '.join(hints) if hints else ''}",
        cause="the acquisition was not set up as a plate, or the files were renamed",
        fix=f"name each file after its well (B03_s1), or open one file with --reader {how.reader}: it becomes well A01",
    )
