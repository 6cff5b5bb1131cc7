"""What is on disk, listed once: every reader looks at the same :class:`Listing`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hts.errors import NotFoundError, SourceError

IMAGE_SUFFIXES = (".tif", ".tiff")
_OWN_FOLDERS = (".zarr", ".hts")
_THUMBNAIL = "_thumb"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image; ``name`` is relative to the root with ``/``, ``problem`` says why it is no readable file."""

    path: Path
    name: str
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """All files below ``root``, sorted by name, and those of them that are images.

    ``images`` are TIFF files by extension, without hidden files and ``_thumb`` thumbnails. Hidden folders and our own
    results (``*.zarr``, ``*.hts``) are not entered. ``notes`` name what could not be listed.
    """

    root: Path
    files: tuple[Path, ...]
    images: tuple[ImageFile, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Path) -> Listing:
        """List a folder.

        Raises
        ------
        NotFoundError
            when there is no such folder.
        SourceError
            when it is a file, or may not be listed.
        """
        root = Path(os.path.abspath(root.expanduser()))
        if not root.exists():
            raise NotFoundError(f"a folder of images at {root}", found="nothing there", fix="check the path")
        if not root.is_dir():
            raise SourceError(f"{root} is a file", fix="give the folder that holds the plate's images")
        notes: list[str] = []
        found = sorted(_walk(root, notes), key=lambda image: image.name)
        if notes and not found:
            raise SourceError(notes[0], fix="ask for the right to read the folder")
        images = tuple(image for image in found if _is_image(image.path.name))
        return cls(root, tuple(image.path for image in found), images, tuple(notes))

    @cached_property
    def examples(self) -> tuple[str, ...]:
        """Up to three image names: the first, the middle one and the last."""
        return example_names([image.name for image in self.images])


def example_names(names: list[str]) -> tuple[str, ...]:
    """Up to three of the names: the first, the middle one and the last."""
    if len(names) <= 3:
        return tuple(names)
    return names[0], names[len(names) // 2], names[-1]


def _is_image(name: str) -> bool:
    lowered = name.lower()
    return lowered.endswith(IMAGE_SUFFIXES) and not lowered.startswith(".") and _THUMBNAIL not in lowered


def _walk(root: Path, notes: list[str]) -> Iterator[ImageFile]:
    stack = [(str(root), "")]
    seen = {_identity(os.stat(root))}
    while stack:
        folder, prefix = stack.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_dir() or _is_image(entry.name):
                        yield _image_file(entry, prefix)
                    elif _enter(entry.name) and (identity := _identity(entry.stat())) not in seen:
                        # A linked folder is followed, once: a link to a parent would never end.
                        seen.add(identity)
                        stack.append((entry.path, f"{prefix}{entry.name}/"))
        except OSError as error:
            notes.append(f"folder {folder} cannot be listed ({error.strerror}); its files count as missing")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _enter(folder_name: str) -> bool:
    return not folder_name.startswith(".") and not folder_name.lower().endswith(_OWN_FOLDERS)


def _image_file(entry: os.DirEntry[str], prefix: str) -> ImageFile:
    return ImageFile(Path(entry.path), prefix + entry.name, _problem(entry) if _is_image(entry.name) else "")


def _problem(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "is a folder with the name of an image"
        return "" if entry.stat().st_size else "file is empty (0 bytes)"
    except OSError as error:
        return f"file cannot be looked at ({error.strerror})"
