"""Where label images come from: files, folders of files, OME-Zarr plates and images."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hts.acquire.opened import reading, refused
from hts.acquire.planes import read_pixels
from hts.errors import HtsError, NotFoundError, SourceError, StoreError, UsageError
from hts.evaluate.pairing import MASK_ENDING
from hts.locations import Location, location, printable
from hts.model import FieldKey, WellId
from hts.store import Field, Plate, exists, is_zip, looks_like_zarr, storage_errors
from hts.store.files import read_if_there
from hts.store.groups import METADATA

SUFFIXES = (".png", ".tif", ".tiff")
_PNG_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
"""One number a pixel; the colours of a palette (P) are numbers of objects."""
_PNG_ERRORS = (UnidentifiedImageError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises on damaged bytes."""
_FINGERPRINT = re.compile(r"-[0-9a-f]{8}$")

Read = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class NamedImages:
    """Images by name, each read when it is called, and what is to be said of them."""

    where: str
    read: Mapping[str, Read]
    notes: tuple[str, ...] = ()


def open_labels(where: str | Location, labels: str | None = None) -> NamedImages:
    """Find label images.

    Parameters
    ----------
    where : a PNG or TIFF file, a folder of them, a folder with a name in which one ``*`` stands for what names the
        image (``seg/man_seg*.tif``), an OME-Zarr plate or image. Files are named by their stems or by what the star
        stands for, fields of plates ``B03_s1``.
    labels : name of the label image in an OME-Zarr, with or without its fingerprint; needed where there are several.

    Raises
    ------
    NotFoundError
        when there is nothing, or no label image.
    UsageError
        when files share a name, or a plate has several label images and none was chosen.
    """
    place = location(where)
    if looks_like_zarr(place):
        return _zarr(place, labels)
    files, notes = _files(place, masks=True)
    return NamedImages(printable(place), {name: partial(read_file, path) for name, path in files.items()}, notes)


def open_pictures(where: str | Location) -> NamedImages:
    """Find images to draw on: as :func:`open_labels` finds label images, colour pictures too.

    They are read as float32 (Y, X): of colours the mean, of the channels of a plate the first.
    """
    place = location(where)
    if looks_like_zarr(place):
        fields, notes = _fields(place)
        return NamedImages(printable(place), {n: partial(_first_channel, field) for n, field in fields.items()}, notes)
    files, notes = _files(place, masks=False)
    return NamedImages(printable(place), {name: partial(_read_picture, path) for name, path in files.items()}, notes)


def _files(place: Location, masks: bool) -> tuple[dict[str, Location], tuple[str, ...]]:
    """Files by name, and what was left out: in a folder with both, what is called masks or what is not."""
    if "*" in place.name:
        return _unique(place, _matching(place)), ()
    if not exists(place):
        raise NotFoundError(f"images at {printable(place)}", found="nothing", fix="check the path")
    if place.is_file():
        return {printable(place.stem): place}, ()
    files = _listed(place)
    kept = {path: path.stem for path in files if bool(MASK_ENDING.search(path.stem)) is masks}
    if not 0 < len(kept) < len(files):
        return _unique(place, {path: path.stem for path in files}), ()
    kind = "called masks" if masks else "not called masks"
    note = (
        f"{printable(place)}: {len(files) - len(kept)} files were left out, because {len(kept)} others are {kind},"
        f" such as {printable(next(iter(kept)).name)}"
    )
    return _unique(place, kept), (note,)


def _listed(folder: Location) -> list[Location]:
    with storage_errors(folder, "listed"):
        files = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[:1] != ".")
        return sorted(files, key=lambda path: path.name)


def _matching(pattern: Location) -> dict[Location, str]:
    before, _, after = pattern.name.partition("*")
    if "*" in after:
        raise UsageError("one * in the name of the files", found=printable(pattern))
    files = _listed(pattern.parent) if exists(pattern.parent) else []
    names = {path: path.name if after else path.stem for path in files}
    least = len(before) + len(after)
    return {
        path: name[len(before) : len(name) - len(after)]
        for path, name in names.items()
        if name.startswith(before) and name.endswith(after) and len(name) >= least
    }


def _unique(where: Location, names: Mapping[Location, str]) -> dict[str, Location]:
    if not names:
        raise NotFoundError(
            f"images at {printable(where)}", found="no .png or .tif file", fix="name the folder that has them"
        )
    by_name: dict[str, Location] = {}
    for path, name in names.items():
        before = by_name.setdefault(printable(name), path)
        if before is not path:
            raise UsageError(
                "one image of a name",
                found=f"{printable(before)} and {printable(path.name)}",
                fix="name those that count with a star, such as seg/*.png",
            )
    return by_name


def read_file(path: Location) -> NDArray[Any]:
    """A label image (Y, X) as it lies in a PNG or TIFF file, in its own type.

    Raises
    ------
    SourceError
        in one line with file and reason: missing, damaged, a colour picture, several planes.
    """
    if path.suffix.lower() != ".png":
        return read_pixels(path)
    with reading(path, "a PNG file", _PNG_ERRORS), path.open("rb") as file, Image.open(file, formats=["png"]) as png:
        if png.mode not in _PNG_MODES:
            raise refused(path, f"is a colour picture ({png.mode}), one label a pixel is expected")
        return np.asarray(png)


def _read_picture(path: Location) -> NDArray[np.float32]:
    if path.suffix.lower() != ".png":
        return read_pixels(path).astype(np.float32)
    with reading(path, "a PNG file", _PNG_ERRORS), path.open("rb") as file, Image.open(file, formats=["png"]) as png:
        is_plane = png.mode in _PNG_MODES and png.mode != "P"
        values = np.asarray(png if is_plane else png.convert("RGB"), np.float32)
    return values if is_plane else values.mean(axis=-1)


def _first_channel(field: Field) -> NDArray[np.float32]:
    return field.read_plane(field.channels[0]).astype(np.float32)


def _zarr(place: Location, labels: str | None) -> NamedImages:
    if place.parent.name == "labels":
        place, labels = place.parent.parent, labels or place.name
    fields, notes = _fields(place)
    listed = {name: _label_names(field) for name, field in fields.items()}
    chosen = _choose(place, [name for names in listed.values() for name in names or ()], labels)
    read = {
        name: partial(_read_labels, fields[name], chosen)
        for name, names in listed.items()
        # A field that cannot tell its labels says so when it is read.
        if names is None or _stored(fields[name], chosen) is not None
    }
    if not read:
        raise NotFoundError(f"label images {chosen} in {printable(place)}", found="none", fix="choose with --labels")
    return NamedImages(f"{printable(place)}: {chosen}", read, notes)


def _fields(place: Location) -> tuple[dict[str, Field], tuple[str, ...]]:
    """The fields of a plate by name, or the one image that is there; and what could not be read."""
    for version, document in METADATA.items():
        if not is_zip(place) and read_if_there(place / document) is not None:
            image = Field(place, FieldKey(WellId(0, 0), 1), version, place.name)
            with contextlib.suppress(SourceError):
                if image.attributes:
                    return {printable(place.name).partition(".")[0]: image}, ()
    plate = Plate.open(place)
    fields: dict[str, Field] = {}
    notes = []
    for well in plate.wells:
        try:
            fields |= {f"{well.name}_s{field.key.field}": field for field in plate[well].fields}
        except StoreError as error:
            notes.append(f"well {well.name} of {printable(place)} could not be read: {one_line(error)}")
    return fields, tuple(notes)


def one_line(error: HtsError) -> str:
    """An error in one line of a table."""
    return " ".join(str(error).split())


def _label_names(field: Field) -> tuple[str, ...] | None:
    try:
        return field.label_names()
    except StoreError:
        return None


def _choose(place: Location, names: list[str], labels: str | None) -> str:
    if labels is not None:
        return labels
    sets = sorted({_FINGERPRINT.sub("", name) for name in names})
    if not sets:
        raise NotFoundError(f"label images in {printable(place)}", found="none", fix="hts run makes them")
    if len(sets) > 1:
        raise UsageError(
            f"one set of label images in {printable(place)}",
            found=", ".join(sets),
            fix="choose with --labels and --truth-labels",
        )
    return sets[0]


def _stored(field: Field, labels: str) -> str | None:
    """Name on disk: as given, else the first that is listed and was made by a recipe of ours for this set."""
    if field.has_labels(labels):
        return labels
    return next((name for name in field.label_names() if _FINGERPRINT.sub("", name) == labels), None)


def _read_labels(field: Field, labels: str) -> NDArray[Any]:
    name = _stored(field, labels)
    if name is None:
        raise SourceError(f"{field.location}: has no label image {labels}")
    return field.read_labels(name)
