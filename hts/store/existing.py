"""What is there already: whether a place is OME-Zarr, and how an image of ours makes room for a new one."""

from __future__ import annotations

import shutil
from pathlib import Path

from hts.locations import Location
from hts.model import FieldKey
from hts.store.files import forget_listing, read_if_there, storage_errors
from hts.store.groups import METADATA
from hts.store.write import field_path
from hts.store.zipped import is_zip


def looks_like_zarr(place: Location) -> bool:
    """Whether the metadata of a Zarr group of either version are at ``place``, or it is a zip file."""
    return is_zip(place) or any(read_if_there(place / name) is not None for name in METADATA.values())


def clear_field(plate: Location, key: FieldKey) -> None:
    """Remove what is left of an image: what an undisturbed conversion would not have made must not show through.

    Labels stay: whether they still belong to the pixels is what the hash of the pixels decides.
    """
    folder = field_path(plate, key)
    with storage_errors(folder):
        if isinstance(folder, Path):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name != "labels":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            return
        forget_listing(folder)
        found = folder.fs.find(folder.path)
        kept = folder.joinpath("labels").path.strip("/") + "/"
        if old := [file for file in found if not file.strip("/").startswith(kept)]:
            folder.fs.rm(old)
