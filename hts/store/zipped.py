"""Plates in zip files (``.zip``, ``.ozx``): read where they are, never written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from hts.errors import NotFoundError, StoreError
from hts.locations import Location, is_local
from hts.store.files import address, file_errors

if TYPE_CHECKING:
    from upath import UPath

SUFFIXES = (".zip", ".ozx")
GROUP_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
"""Documents that make a folder a part of a plate, whole or damaged."""


def is_zip(place: Location) -> bool:
    """Whether a name says that it is a zip file; a folder of such a name is none."""
    return place.name.lower().endswith(SUFFIXES) and not (is_local(place) and place.is_dir())


def root_in_zip(place: Location) -> UPath:
    """The root of the plate inside a zip file: the file's own root, or the one folder at its top.

    Reads of several threads take turns on the file, as Python's ``zipfile`` sees to.

    Raises
    ------
    NotFoundError
        when there is no such file.
    StoreError
        when it is no zip file or cannot be read.
    """
    from upath import UPath

    options = {} if isinstance(place, Path) else dict(place.storage_options)
    try:
        root: UPath = UPath("zip://", protocol="zip", fo=address(place), target_options=options)
        tops = sorted(root.iterdir(), key=str)
        # What systems and people put beside a plate is hidden, or a file.
        folders = [top for top in tops if not top.name.startswith(("__", ".")) and top.is_dir()]
    except FileNotFoundError as error:
        raise NotFoundError(f"a plate at {place}", found="nothing", fix="check the path") from error
    except file_errors(zipfile.BadZipFile) as error:
        raise StoreError(
            f"{place} is a zip file that can be read",
            found=f"{type(error).__name__}: {error}",
            cause="it is not whole, or no zip file",
        ) from error
    return root if len(folders) != 1 or any(top.name in GROUP_FILES for top in tops) else folders[0]
