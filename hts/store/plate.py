"""A plate as people use it: ``plate["B03"].fields[0].to_xarray()``. Ours or anybody's, OME-Zarr 0.5 or 0.4."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.locations import Location, is_local, location
from hts.model import FieldKey, PixelSize, PlateLayout, WellId, row_index
from hts.store.field import Field
from hts.store.files import exists, read_if_there
from hts.store.groups import METADATA, read_attributes
from hts.store.ngff import Version
from hts.store.tables import read_table
from hts.store.zipped import is_zip, root_in_zip

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from upath import UPath


@dataclass(frozen=True)
class Plate:
    """An OME-Zarr HCS plate. Open one with :meth:`open`; nothing but one JSON file is read.

    ``path`` is what was opened, ``root`` the group of the plate: the same, but for a plate in a zip file. ``paths`` has
    the folder of each well below the root.
    """

    path: Location
    root: Location
    version: Version
    name: str
    layout: PlateLayout
    paths: dict[WellId, str]
    origin: dict[str, Any]

    @classmethod
    def open(cls, where: str | Path | UPath) -> Plate:
        """Open the plate at a path or an address, or in a zip file (``.zip``, ``.ozx``), which is only read.

        Raises
        ------
        NotFoundError
            when there is nothing.
        StoreError
            when what is there is no OME-Zarr plate, or cannot be read.
        """
        path = location(where)
        root: Location = root_in_zip(path) if is_zip(path) else path
        version = _version(root)
        if version is None:
            raise _no_plate(path, root)
        attributes = read_attributes(root, version, "plate")
        meta = attributes["ome"]["plate"]
        try:
            paths = _well_paths(meta["wells"])
            layout = _layout(len(meta["rows"]), len(meta["columns"]), set(paths))
            name = str(meta.get("name") or path.name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StoreError(
                f"{root / METADATA[version]} lists rows, columns and wells",
                found=f"{type(error).__name__}: {error}",
                cause="the file is damaged",
            ) from error
        return cls(path, root, version, name, layout, paths, attributes["hts"])

    @functools.cached_property
    def wells(self) -> tuple[WellId, ...]:
        """The wells, row by row."""
        return tuple(self.paths)

    def __getitem__(self, name: str | WellId) -> Well:
        well = name if isinstance(name, WellId) else WellId.parse(name)
        if well not in self.paths:
            shown = ", ".join(str(known) for known in self.wells[:4])
            raise NotFoundError(f"a well of {self.name}", found=well.name, fix=f"its wells are {shown} …")
        return Well(self, well)

    @functools.cached_property
    def _first_image(self) -> Field:
        for well in self.wells:
            # A damaged well or field is its own trouble: the next one tells the same of the plate.
            with contextlib.suppress(StoreError):
                for field in self[well].fields:
                    with contextlib.suppress(SourceError):
                        field.array(0)
                        return field
        raise StoreError(f"{self.path} has at least one image", found="none", fix="convert the plate again")

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the c axis."""
        return self._first_image.channels

    @property
    def channel_colors(self) -> dict[str, str]:
        """RRGGBB by channel name."""
        return self._first_image.channel_colors

    @property
    def pixel_size(self) -> PixelSize | None:
        """Micrometres a pixel, or None when the plate does not say."""
        return self._first_image.pixel_size

    @property
    def shape(self) -> dict[str, int]:
        """Length of every axis of a field: t, c, z, y, x."""
        return dict(self._first_image.sizes)

    @property
    def levels(self) -> int:
        """Number of pyramid levels."""
        return self._first_image.levels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return np.dtype(self._first_image.array(0).dtype)

    @property
    def itemsize_bytes(self) -> int:
        """Bytes of one pixel of one channel."""
        return int(self.dtype.itemsize)

    def layout_table(self) -> pd.DataFrame:
        """One row a well with what was put into it; only ``Well`` when no layout was given."""
        import pandas as pd

        found = self._own_table("layout")
        return pd.DataFrame({"Well": [well.name for well in self.wells]}) if found is None else found

    def completeness(self) -> pd.DataFrame:
        """Every expected plane with its status: found, missing, unreadable or duplicate, and why."""
        import pandas as pd

        found = self._own_table("completeness")
        columns = ["Well", "Field", "Channel", "Z", "T", "Status", "Reason", "File"]
        return pd.DataFrame(columns=columns) if found is None else found

    def _own_table(self, name: str) -> pd.DataFrame | None:
        place = self.root / ".hts" / f"{name}.parquet"
        return read_table(place) if exists(place) else None


def _version(root: Location) -> Version | None:
    """The version whose metadata is at `root`; None when there is none of them, or no folder."""
    for version, name in METADATA.items():
        if read_if_there(root / name) is not None:
            return version
    return None


def _no_plate(path: Location, root: Location) -> NotFoundError | StoreError:
    """What to say of a place without metadata."""
    if not exists(path):
        return NotFoundError(f"a plate at {path}", found="nothing", fix="check the path, or make it with hts convert")
    if is_local(root) and root.is_file():
        return NotFoundError(f"a plate at {path}", found="a file", fix="name a folder, such as plate.ome.zarr")
    return StoreError(
        f"{path} is an OME-Zarr plate",
        found=f"a folder without {' or '.join(METADATA.values())}",
        cause="it is a microscope folder, or its conversion has not begun",
        fix=f"hts convert {path} <name>.ome.zarr",
    )


def _well_paths(entries: list[dict[str, Any]]) -> dict[WellId, str]:
    """Folders by well, row by row.

    What people call a well is its row and column by name. Names that are no letters and numbers say nothing, and
    then the indices count, for all wells of the plate alike.
    """
    paths = [str(entry["path"]).strip("/") for entry in entries]
    try:
        wells = [_named_well(path) for path in paths]
    except UsageError:
        wells = [WellId(int(entry["rowIndex"]), int(entry["columnIndex"])) for entry in entries]
    if len(set(wells)) < len(wells):
        twice = next(well for well in wells if wells.count(well) > 1)
        raise ValueError(f"well {twice} is listed twice")
    return dict(sorted(zip(wells, paths, strict=True)))


def _named_well(path: str) -> WellId:
    row, _, column = path.partition("/")
    if not column.isdecimal() or int(column) < 1 or len(row) > 2:
        raise UsageError("a well's folder is <row>/<column>, such as B/03", found=path)
    return WellId(row_index(row), int(column) - 1)


def _layout(rows: int, columns: int, wells: set[WellId]) -> PlateLayout:
    """The plate's own size; the standard plate that holds its wells when only the rows in use are listed."""
    if all(well.row < rows and well.column < columns for well in wells):
        return PlateLayout(rows, columns)
    return PlateLayout.holding(wells)


@dataclass(frozen=True)
class Well:
    """A well of a plate."""

    plate: Plate
    id: WellId

    @property
    def location(self) -> Location:
        """Folder of the well's group."""
        return self.plate.root / self.plate.paths[self.id]

    @functools.cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields in the order of the microscope's numbers; 1, 2, 3 … when the images have other names."""
        version = self.plate.version
        meta = read_attributes(self.location, version, "well")["ome"]["well"]
        try:
            names = [str(image["path"]) for image in meta["images"]]
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"{self.location / METADATA[version]} lists images with their paths",
                found=f"{type(error).__name__}: {error}",
                cause="the file is damaged",
            ) from error
        numbers = list(map(int, names)) if all(name.isdecimal() for name in names) else []
        if len(set(numbers)) < len(names):
            numbers = list(range(1, len(names) + 1))
        return tuple(
            Field(self.location / name, FieldKey(self.id, number), version, name)
            for number, name in sorted(zip(numbers, names, strict=True))
        )

    def field(self, number: int) -> Field:
        """The field with the microscope's number `number`."""
        for field in self.fields:
            if field.key.field == number:
                return field
        known = ", ".join(str(field.key.field) for field in self.fields)
        raise NotFoundError(f"a field of {self.id}", found=str(number), fix=f"its fields are {known}")

    def metadata_digest(self) -> str:
        """Hash of the documents of the well and of its images, absent ones included: cheap, and blind for pixels."""
        digest = hashlib.sha256()
        document = METADATA[self.plate.version]
        for place in (self.location, *(field.location for field in self.fields)):
            content = read_if_there(place / document)
            digest.update(repr((place.name, content)).encode())
        return digest.hexdigest()
