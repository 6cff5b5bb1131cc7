"""Any folder of images with a CSV file that says which plane every image is: see :mod:`hts.acquire.manifest_table`.

``hts convert load_data.csv plate.ome.zarr`` names the manifest; a folder does when it holds exactly one and nobody
knows its images' names. Paths are relative to the manifest's folder. Where a whole folder of the manifest is not
there (it was written on another machine), its files are looked for below the folder that was opened: in the one that
holds files of these names and ends most alike, and in others only as far as none of their names is there twice. Only
images below the folder are ever opened: a path that leads outside is a row with its reason.

Columns were taken from CellProfiler's documentation of LoadData and from real load_data tables of JUMP Cell Painting.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Sequence

from hts.acquire.axes import Axis
from hts.acquire.build import (
    PlateFacts,
    Sighting,
    absent,
    build_source,
    header_pixel_size,
    left_out_note,
)
from hts.acquire.indexed import folder_of, with_z_step
from hts.acquire.listing import ImageFile, Listing, is_image
from hts.acquire.manifest_table import Entry, Manifest, is_manifest, parse_manifest
from hts.acquire.metadata import head_of, is_absolute, points_outside, read_text
from hts.acquire.table import Source
from hts.errors import SourceError
from hts.locations import Location, relative_name
from hts.model import Channel

_SUFFIXES = (".csv", ".tsv", ".txt")
_LOOKED_AT = 50
_HEAD_BYTES = 1 << 16
_CHOSEN = 2.0
_ALONE = 0.5
_ONE_OF_SEVERAL = 0.01
_NOTES_SHOWN = 5


class ManifestReader:
    """Reads folders whose images a CSV file lists."""

    name = "manifest"

    def sniff(self, listing: Listing) -> float:
        """2 for a CSV file that was asked for by name; 0.5, the least that counts, for the only one in a folder."""
        if _is_table(listing.chosen):
            return _CHOSEN
        count = len(_manifests(listing)) if listing.images else 0
        return 0.0 if count == 0 else _ALONE if count == 1 else _ONE_OF_SEVERAL

    def read(self, listing: Listing) -> Source:
        """The plate.

        Raises
        ------
        SourceError
            when there is no manifest or several of them, or one that lists several plates or no image that is there.
        """
        path = _the_manifest(listing)
        manifest = _parsed(path)
        _refuse_several_plates(manifest, path)
        finder = _Finder(listing, path)
        files = finder.find(manifest.entries)
        sightings = [
            Sighting(entry.well, entry.field, entry.channel, entry.z, entry.t, file, entry.page, entry.stage)
            for entry, file in zip(manifest.entries, files, strict=True)
        ]
        found = {file.name: file for file in files if file.name}
        if not found:
            problems = (*(file.problem for file in files), *manifest.notes)
            raise SourceError(
                f"images that {path} lists, in the same folder or below",
                found=f"none of {len(manifest.entries)}" + "".join(f"; {text}" for text in problems[:1]),
                fix="put the manifest into the folder of the images, or write paths relative to it",
            )
        others = [image.name for image in listing.images if image.name not in found]
        facts = PlateFacts(
            reader=self.name,
            plate_name=manifest.plates[0] if manifest.plates else path.stem,
            channels=tuple(Channel(channel) for channel in manifest.channels),
            pixel_size=with_z_step(
                manifest.pixel_size or header_pixel_size(list(found.values())), _by_place(sightings)
            ),
            vendor_files=(path,),
            notes=(
                *manifest.notes,
                *finder.notes,
                *_shared_files(manifest.entries, files),
                *left_out_note(others, "the manifest does not list them"),
            ),
            acquisition=manifest.acquisition,
            complete=True,
        )
        return build_source(listing, sightings, facts)


def _by_place(sightings: Sequence[Sighting]) -> list[Sighting]:
    """With z as the plane's place in the stack: the numbers of a table may be anything."""
    index = Axis.of("z", {one.z for one in sightings}, fill=False).index
    return [one._replace(z=index[one.z]) for one in sightings]


def _is_table(path: Location | None) -> bool:
    return path is not None and path.suffix.lower() in _SUFFIXES


def _manifests(listing: Listing) -> list[Location]:
    """Tables of a folder that are manifests by their header; of very many tables only the first are looked at."""
    tables = [path for path in listing.files if path.suffix.lower() in _SUFFIXES[:2]]
    return [path for path in tables[:_LOOKED_AT] if is_manifest(_head(path))]


def _head(path: Location) -> str:
    try:
        return head_of(path, _HEAD_BYTES).partition("\n")[0]
    except SourceError:
        return ""


def _the_manifest(listing: Listing) -> Location:
    if listing.chosen is not None and _is_table(listing.chosen):
        return listing.chosen
    found = _manifests(listing)
    if len(found) == 1:
        return found[0]
    names = ", ".join(relative_name(path, listing.root) for path in found[:5])
    raise SourceError(
        f"one manifest in {listing.root}: a CSV file with columns for wells and files",
        found=f"{len(found)}: {names}" if found else "none",
        fix="name the CSV file instead of the folder",
    )


def _parsed(path: Location) -> Manifest:
    try:
        return parse_manifest(read_text(path))
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error


def _refuse_several_plates(manifest: Manifest, path: Location) -> None:
    if len(manifest.plates) < 2:
        return
    some = ", ".join(manifest.plates[:6]) + (", …" if len(manifest.plates) > 6 else "")
    raise SourceError(
        f"one plate in {path}",
        found=f"{len(manifest.plates)} plates: {some}",
        fix="write the rows of one plate into a manifest of their own",
    )


def _shared_files(entries: Sequence[Entry], files: Sequence[ImageFile]) -> list[str]:
    """Notes on images that are listed for several planes: one of them is a mistake, nobody can tell which."""
    pages = Counter((file.name, entry.page) for entry, file in zip(entries, files, strict=True) if file.name)
    used: dict[tuple[str, int | None], list[Entry]] = defaultdict(list)
    for entry, file in zip(entries, files, strict=True):
        if pages[file.name, entry.page] > 1:
            used[file.name, entry.page].append(entry)
    shared = [(name, group) for (name, _), group in used.items() if len({one.plane for one in group}) > 1]
    if not shared:
        return []
    name, group = shared[0]
    lines = ", ".join(str(entry.line) for entry in group[:4])
    return [f"{len(shared)} images are listed for several planes, such as {name} in lines {lines} of the manifest"]


class _Finder:
    """Files of a listing by what a manifest calls them; ``notes`` tell of folders that were found elsewhere."""

    def __init__(self, listing: Listing, manifest: Location) -> None:
        self._images = listing.images_by_name
        self._root = listing.root.as_posix().rstrip("/") + "/"
        self._home = folder_of(manifest, listing)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name in self._images:
            self._by_base[name.rpartition("/")[2]].append(name)
        self.notes: list[str] = []

    def find(self, entries: Sequence[Entry]) -> list[ImageFile]:
        """The file of every entry, or one with a reason and no name."""
        paths = [_joined(entry.folder, entry.file) for entry in entries]
        exact = [self._exact(path) for path in paths]
        known = {posixpath.dirname(path) for path, name in zip(paths, exact, strict=True) if name}
        elsewhere: dict[str, set[str]] = defaultdict(set)
        for path in paths:
            folder, base = posixpath.split(path)
            if folder not in known and (is_absolute(path) or not points_outside(path)):
                elsewhere[folder].add(base)
        moved = {folder: self._moved(folder, bases) for folder, bases in elsewhere.items()}
        if len(self.notes) > _NOTES_SHOWN:
            self.notes[_NOTES_SHOWN:] = [f"and {len(self.notes) - _NOTES_SHOWN} more folders were found elsewhere"]
        return [self._file(entry, path, name, moved) for entry, path, name in zip(entries, paths, exact, strict=True)]

    def _file(self, entry: Entry, path: str, name: str, moved: dict[str, dict[str, str]]) -> ImageFile:
        folder, base = posixpath.split(path)
        name = name or moved.get(folder, {}).get(base, "")
        if name in self._images:
            return self._images[name]
        return absent("", f"line {entry.line} of the manifest: {_reason(entry, path, name)}")

    def _exact(self, path: str) -> str:
        """Name in the listing of a path that is inside the folder as it stands, else nothing."""
        if path.startswith(self._root):
            name = path.removeprefix(self._root)
        elif points_outside(path):
            return ""
        else:
            name = self._home + path
        name = posixpath.normpath(name)
        return name if name in self._images else ""

    def _moved(self, folder: str, bases: set[str]) -> dict[str, str]:
        """Names in the listing of the files of a folder that is not there; ``?`` where two are equally good."""
        local: dict[str, dict[str, str]] = defaultdict(dict)
        for base in sorted(bases & self._by_base.keys()):
            for name in self._by_base[base]:
                local[name.rpartition("/")[0]][base] = name
        ranked = sorted(local, key=lambda here: (-_alike(folder, here), -len(local[here]), here))
        taken: dict[str, str] = {}
        used: list[str] = []
        for here in ranked:
            twice = taken.keys() & local[here].keys()
            if not twice:
                taken |= local[here]
                used.append(here)
            elif _alike(folder, here) == _alike(folder, used[0]):
                taken |= dict.fromkeys(twice, "?")
        if used:
            listed = f"in {folder}" if folder else "without a folder"
            places = ", ".join(here or "the folder itself" for here in used[:3])
            self.notes.append(f"{len(taken)} files that the manifest lists {listed} are taken from {places}")
        return taken


def _joined(folder: str, file: str) -> str:
    """Path that a row means, with ``/``; a file that is a path from a root, or an address, stands for itself."""
    folder, file = folder.replace("\\", "/").rstrip("/"), file.replace("\\", "/")
    file = file.removeprefix("file://").removeprefix("file:")
    joined = file if is_absolute(file) or not folder else f"{folder}/{file}"
    return joined.removeprefix("./")


def _alike(first: str, second: str) -> int:
    """How many folders two paths end with in common."""
    count = 0
    for left, right in zip(reversed(first.split("/")), reversed(second.split("/")), strict=False):
        if left.lower() != right.lower():
            break
        count += 1
    return count


def _reason(entry: Entry, path: str, name: str) -> str:
    if not entry.file:
        return f"no file is given for {entry.channel}"
    if name == "?":
        return f"{path}: several files below the folder have this name"
    if is_absolute(path):
        return f"{path} lies outside the manifest's folder and is not opened; nothing inside has its name"
    if points_outside(path):
        return f"{path} leads out of the manifest's folder and is not opened"
    if not is_image(path.rpartition("/")[2]):
        return f"{path} is no image of a format that is read"
    return f"{path} is not there"
