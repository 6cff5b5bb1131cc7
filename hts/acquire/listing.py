"""What is there, listed once: every reader looks at the same :class:`Listing`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from hts.acquire.opened import file_problems
from hts.errors import NotFoundError, SourceError
from hts.locations import Location, expanded, printable

if TYPE_CHECKING:
    from upath import UPath

IMAGE_SUFFIXES = (".tif", ".tiff", ".nd2", ".czi")
_OWN_FOLDERS = (".zarr", ".hts")
_THUMBNAIL = "_thumb"
_SPECIAL = "is no regular file"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image; ``name`` is relative to the root with ``/``, ``problem`` says why it is no readable file.

    A name with bytes that are no UTF-8 has them escaped (:func:`hts.locations.printable`); ``path`` has them raw.
    """

    path: Location
    name: str
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """All files below ``root``, sorted by name, and those of them that are images.

    ``images`` are files of microscopes by their extension, without hidden files and ``_thumb`` thumbnails. Hidden
    folders and our own results (``*.zarr``, ``*.hts``) are not entered. ``notes`` name what could not be listed.
    ``chosen`` is the one file that was asked for, where it was a file: an image, or metadata that name the images.
    """

    root: Location
    files: tuple[Location, ...]
    images: tuple[ImageFile, ...]
    notes: tuple[str, ...] = ()
    chosen: Location | None = None

    @classmethod
    def of(cls, where: Location) -> Listing:
        """List a folder; a single image stands for itself, another file for the folder that it is in.

        Raises
        ------
        NotFoundError
            when there is nothing of that name.
        SourceError
            when it may not be listed, or is neither a folder nor a file.
        StoreError
            when it lies in a store that cannot be reached.
        """
        notes: list[str] = []
        if isinstance(where, Path):
            where = Path(os.path.abspath(expanded(where)))
        with file_problems(where):
            if not where.exists():
                raise NotFoundError(f"a folder of images at {where}", found="nothing there", fix="check the path")
            chosen = None if where.is_dir() else where
        if isinstance(chosen, Path) and not chosen.is_file():
            raise SourceError(f"a folder of images at {where}", found=f"what {_SPECIAL}", fix="check the path")
        root = where if chosen is None else chosen.parent
        found = sorted(_files(root, notes), key=lambda image: image.name)
        if notes and not found:
            raise SourceError(notes[0], fix="ask for the right to read the folder")
        if chosen is not None and is_image(chosen.name):
            found = [image for image in found if image.name == chosen.name]
        images = tuple(image for image in found if is_image(image.path.name))
        return cls(root, tuple(image.path for image in found), images, tuple(notes), chosen)

    @cached_property
    def examples(self) -> tuple[str, ...]:
        """Up to three image names: the first, the middle one and the last."""
        return example_names([image.name for image in self.images])

    def once(self, what: str, make: Callable[[Listing], _T]) -> _T:
        """``make(self)``, kept under the name ``what``: what sniffing found out, reading need not find out again."""
        if what not in self._made:
            self._made[what] = make(self)
        return cast(_T, self._made[what])

    @cached_property
    def _made(self) -> dict[str, object]:
        return {}

    @cached_property
    def images_by_name(self) -> dict[str, ImageFile]:
        """Images by their name relative to the root."""
        return {image.name: image for image in self.images}

    def with_suffix(self, *suffixes: str) -> tuple[ImageFile, ...]:
        """Images whose names end so, in any case."""
        return tuple(image for image in self.images if image.name.lower().endswith(suffixes))


def example_names(names: list[str]) -> tuple[str, ...]:
    """Up to three of the names: the first, the middle one and the last."""
    if len(names) <= 3:
        return tuple(names)
    return names[0], names[len(names) // 2], names[-1]


def is_image(name: str) -> bool:
    """Whether a file of this name counts as an image."""
    lowered = name.lower()
    return lowered.endswith(IMAGE_SUFFIXES) and not lowered.startswith(".") and _THUMBNAIL not in lowered


def _files(root: Location, notes: list[str]) -> Iterator[ImageFile]:
    return _walk(root, notes) if isinstance(root, Path) else _find(root)


def _find(root: UPath) -> Iterator[ImageFile]:
    """Files below an address, by one listing of everything: object stores have no folders to walk."""
    with file_problems(root):
        known = root.fs.find(root.path, detail=True)
    prefix = root.fs._strip_protocol(root.path).rstrip("/") + "/"
    for key, facts in known.items():
        *folders, name = key.removeprefix(prefix).split("/")
        if all(_enter(folder) for folder in folders):
            problem = "file is empty (0 bytes)" if is_image(name) and not facts.get("size") else ""
            yield ImageFile(root.joinpath(*folders, name), "/".join((*folders, name)), problem)


def _walk(root: Path, notes: list[str]) -> Iterator[ImageFile]:
    stack = [(str(root), "")]
    seen = {_identity(os.stat(root))}
    while stack:
        folder, prefix = stack.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_image(entry.name):
                        yield ImageFile(Path(entry.path), printable(prefix + entry.name), _problem(entry))
                    elif problem := _no_file_or_folder(entry):
                        notes.append(printable(f"{prefix}{entry.name} {problem}: it is left out"))
                    elif entry.is_file():
                        yield ImageFile(Path(entry.path), printable(prefix + entry.name))
                    elif _enter(entry.name) and (identity := _identity(entry.stat())) not in seen:
                        # A linked folder is followed, once: a link to a parent would never end.
                        seen.add(identity)
                        stack.append((entry.path, f"{prefix}{entry.name}/"))
        except OSError as error:
            notes.append(printable(f"folder {folder} cannot be listed ({error.strerror}); its files count as missing"))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _no_file_or_folder(entry: os.DirEntry[str]) -> str:
    """Why an entry is neither, such as a link to itself or a pipe, which would never end when it is read."""
    try:
        return "" if entry.is_file() or entry.is_dir() else _SPECIAL
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"


def _enter(folder_name: str) -> bool:
    return not folder_name.startswith(".") and not folder_name.lower().endswith(_OWN_FOLDERS)


def _problem(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "is a folder with the name of an image"
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return _SPECIAL
        return "" if status.st_size else "file is empty (0 bytes)"
    except OSError as error:
        return f"file cannot be looked at ({error.strerror})"
