"""What people name: a folder, an address or a zip file, and its first look."""

from __future__ import annotations

import sys
import zipfile
import zlib
from itertools import islice
from typing import Any

from hts.errors import NotFoundError, StoreError
from hts.locations import Location, location
from hts.store.validate.findings import Check
from hts.store.zipped import GROUP_FILES, SUFFIXES, root_in_zip

_MICROSCOPE = (".tif", ".tiff", ".htd", ".mlf", ".mrf", ".mes", ".nd2", ".czi", ".xml", ".lif", ".oir")
_LOOK_AT = 200


def storage_failures() -> tuple[type[Exception], ...]:
    """Errors of reading from disks, zip files and object stores; S3's own count once its library is loaded."""
    botocore = sys.modules.get("botocore.exceptions")
    remote = (botocore.BotoCoreError,) if botocore else ()
    return (OSError, zipfile.BadZipFile, zlib.error, *remote)


def read(place: Location) -> bytes | None:
    """The bytes of a file, None when there is none.

    Raises
    ------
    StoreError
        when it is there, or may be, and cannot be read.
    """
    try:
        return place.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except storage_failures() as error:
        raise StoreError(f"{place} can be read", found=f"{type(error).__name__}: {error}") from error


def open_place(where: str | Location, check: Check) -> Location | None:
    """The top folder of what `where` names; None after reporting that it is a file, or a zip file that is damaged.

    Raises
    ------
    NotFoundError
        when there is nothing.
    StoreError
        when the storage cannot be asked.
    """
    place = location(where)
    try:
        if not place.exists():
            raise NotFoundError(f"a plate at {where}", found="nothing", fix="check the path or address")
        is_file = place.is_file()
    except storage_failures() as error:
        raise StoreError(f"{where} can be looked at", found=f"{type(error).__name__}: {error}") from error
    if not is_file:
        return place
    if not place.name.lower().endswith(SUFFIXES):
        check.error("file", "", _file_text(place))
        return None
    try:
        return root_in_zip(place)
    except StoreError as error:
        reason = error.__cause__ or error
        text = f"A zip file is expected, found one that cannot be opened ({reason}). Copy or download it again."
        check.error("zip", "", text)
        return None


def _file_text(place: Location) -> str:
    if place.name in GROUP_FILES:
        return "A folder is expected, found one of its metadata files. Name the folder that holds it."
    return "A plate (a folder, or a .zip or .ozx file) is expected, found another file. OME-Zarr is a folder."


def describe_other(place: Location, check: Check) -> None:
    """Say what a folder without a Zarr group is, as far as its first names tell."""
    children: Any = place.iterdir()
    try:
        names = [child.name for child in islice(children, _LOOK_AT)]
    except storage_failures() as error:
        check.error("unreadable", "", f"The folder is expected to be readable, found {type(error).__name__}: {error}.")
        return
    plates = [name for name in names if name.lower().rstrip("/").endswith((".zarr", *SUFFIXES))]
    if not names:
        check.error("empty", "", "An OME-Zarr plate is expected, found an empty folder.")
    elif plates:
        check.error("parent", "", f"An OME-Zarr plate is expected, found a folder that holds one: name {plates[0]!r}.")
    elif any(name.lower().endswith(_MICROSCOPE) for name in names):
        text = "An OME-Zarr plate is expected, found a folder of image files."
        check.error("microscope", "", f"{text} Make a plate of it: hts convert {place} <name>.ome.zarr")
    else:
        text = "An OME-Zarr plate is expected, found a folder without zarr.json (0.5) or .zgroup (0.4)."
        check.error("group", "", f"{text} Name the folder that holds that file, or convert again.")
