"""A plate as people use it: ``plate["B03"].fields[0].to_xarray()``."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.model import FieldKey, PixelSize, PlateLayout, WellId
from hts.store.arrays_v3 import open_read, read_part, refuse_lost
from hts.store.files import read_json
from hts.store.tables import read_table
from hts.store.write import field_path

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_UNITS_UM = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}


def _attributes(group: Path, kind: str) -> dict[str, Any]:
    """Attributes of a Zarr group that has metadata of `kind` (plate, well, multiscales) under ``ome``."""
    document = read_json(group / "zarr.json")
    try:
        attributes: dict[str, Any] = document["attributes"]
        present = attributes["ome"][kind]
    except (KeyError, TypeError):
        present = None
    if not present:
        noun = "image" if kind == "multiscales" else kind
        raise StoreError(f"{group} is an OME-Zarr 0.5 {noun}", found=f"no ome.{kind} in {group / 'zarr.json'}")
    return attributes


@dataclass(frozen=True)
class Plate:
    """An OME-Zarr HCS plate on disk. Open one with :meth:`open`; nothing but one JSON file is read."""

    path: Path
    name: str
    layout: PlateLayout
    wells: tuple[WellId, ...]
    origin: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Plate:
        """Open the plate at `path`.

        Raises
        ------
        NotFoundError
            when there is nothing at `path`.
        StoreError
            when what is there is no OME-Zarr 0.5 plate.
        """
        root = Path(path)
        if not root.exists():
            raise NotFoundError(
                f"a plate at {root}", found="nothing", fix="check the path, or make it with hts convert"
            )
        if root.is_file():
            raise NotFoundError(f"a plate at {root}", found="a file", fix="name a folder, such as plate.ome.zarr")
        if not (root / "zarr.json").exists():
            raise StoreError(
                f"{root} is an OME-Zarr 0.5 plate",
                found="a folder without zarr.json",
                cause="it is a microscope folder, or its conversion has not begun",
                fix=f"hts convert {root} <name>.ome.zarr",
            )
        attributes = _attributes(root, "plate")
        meta = attributes["ome"]["plate"]
        try:
            wells = tuple(sorted(WellId(entry["rowIndex"], entry["columnIndex"]) for entry in meta["wells"]))
            layout = PlateLayout(len(meta["rows"]), len(meta["columns"]))
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"{root / 'zarr.json'} lists rows, columns and wells",
                found=f"{type(error).__name__}: {error}",
                cause="the file is damaged",
            ) from error
        return cls(root, meta.get("name", root.name), layout, wells, attributes.get("hts", {}))

    def __getitem__(self, name: str | WellId) -> Well:
        well = name if isinstance(name, WellId) else WellId.parse(name)
        if well not in self.wells:
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
        shown = self._first_image.attributes["ome"].get("omero", {}).get("channels", [])
        return {name: entry["color"] for name, entry in zip(self.channels, shown, strict=False)}

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
    def itemsize_bytes(self) -> int:
        """Bytes of one pixel of one channel."""
        return int(self._first_image.array(0).dtype.itemsize)

    def layout_table(self) -> pd.DataFrame:
        """One row a well with what was put into it; only ``Well`` when no layout was given."""
        import pandas as pd

        path = self.path / ".hts" / "layout.parquet"
        if path.exists():
            return read_table(path)
        return pd.DataFrame({"Well": [well.name for well in self.wells]})

    def completeness(self) -> pd.DataFrame:
        """Every expected plane with its status: found, missing, unreadable or duplicate, and why."""
        import pandas as pd

        path = self.path / ".hts" / "completeness.parquet"
        if path.exists():
            return read_table(path)
        columns = ["Well", "Field", "Channel", "Z", "T", "Status", "Reason", "File"]
        return pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class Well:
    """A well of a plate."""

    plate: Plate
    id: WellId

    @functools.cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields in the order of the microscope's numbers."""
        folder = self.plate.path / self.id.row_name / self.id.column_name
        meta = _attributes(folder, "well")["ome"]["well"]
        try:
            numbers = sorted(int(image["path"]) for image in meta["images"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{folder / 'zarr.json'} lists images with numbers for names",
                found=f"{type(error).__name__}: {error}",
                cause="the file is damaged, or other software made the plate and names its images otherwise",
            ) from error
        return tuple(Field(self.plate.path, FieldKey(self.id, number)) for number in numbers)

    def field(self, number: int) -> Field:
        """The field with the microscope's number `number`."""
        for field in self.fields:
            if field.key.field == number:
                return field
        known = ", ".join(str(field.key.field) for field in self.fields)
        raise NotFoundError(f"a field of {self.id}", found=str(number), fix=f"its fields are {known}")


@dataclass(frozen=True)
class Field:
    """One field of view: its pixels, pixel size, channels and labels."""

    plate_path: Path
    key: FieldKey

    @property
    def path(self) -> Path:
        """Folder of the image group."""
        return field_path(self.plate_path, self.key)

    @functools.cached_property
    def attributes(self) -> dict[str, Any]:
        """The image's metadata: OME's under ``ome``, ours under ``hts``.

        Raises
        ------
        SourceError
            when they are absent or damaged: that costs this field, not the plate.
        """
        try:
            return _attributes(self.path, "multiscales")
        except StoreError as error:
            raise SourceError(
                f"{self.key} is an image",
                found=" ".join(str(error).split()),
                cause="its conversion was broken off, or the file is damaged",
                fix="convert the plate again; --overwrite when it says that all is done",
            ) from error

    @property
    def _multiscale(self) -> dict[str, Any]:
        multiscale: dict[str, Any] = self.attributes["ome"]["multiscales"][0]
        return multiscale

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes in the order of the array: t, c, z, y, x."""
        return tuple(axis["name"] for axis in self._multiscale["axes"])

    @property
    def levels(self) -> int:
        """Number of pyramid levels."""
        return len(self._multiscale["datasets"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels; numbered ones when the image names none."""
        entries = self.attributes["ome"].get("omero", {}).get("channels", [])
        if entries:
            return tuple(entry.get("label", f"Channel{i + 1}") for i, entry in enumerate(entries))
        return tuple(f"Channel{i + 1}" for i in range(self.sizes.get("c", 1)))

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """Length of every axis."""
        return dict(zip(self.axes, self.array(0).shape, strict=True))

    @property
    def position_um(self) -> dict[str, float] | None:
        """Stage position in µm, when the microscope told it."""
        position: dict[str, float] | None = self.attributes.get("hts", {}).get("position_um")
        return position

    @property
    def pixel_size(self) -> PixelSize | None:
        """Micrometres a pixel, or None when the image does not say."""
        units = {axis["name"]: axis.get("unit") for axis in self._multiscale["axes"]}
        if units.get("x") not in _UNITS_UM:
            return None
        scale = self._scale_um(0)
        return PixelSize(scale["y"], scale["x"], scale["z"] if units.get("z") in _UNITS_UM else None)

    def _scale_um(self, level: int) -> dict[str, float]:
        """Edge lengths of a pixel at `level`, in µm where a unit is known, else in full-size pixels."""
        transform = self._multiscale["datasets"][level]["coordinateTransformations"][0]["scale"]
        units = {axis["name"]: _UNITS_UM.get(axis.get("unit", ""), 1.0) for axis in self._multiscale["axes"]}
        return {name: value * units[name] for name, value in zip(self.axes, transform, strict=True)}

    def array(self, level: int) -> Any:
        """The Zarr array of a pyramid level."""
        if not 0 <= level < self.levels:
            raise UsageError(f"a pyramid level from 0 to {self.levels - 1}", found=str(level))
        return open_read(self.path / self._multiscale["datasets"][level]["path"])

    def read_plane(self, channel: str, *, t: int = 0, z: int = 0, level: int = 0) -> NDArray[Any]:
        """One plane (Y, X) in the type it was acquired.

        Raises
        ------
        NotFoundError
            when the plate has no such channel, time point or z.
        SourceError
            when the plane is not there or cannot be read.
        """
        if channel not in self.channels:
            raise NotFoundError(f"one of the channels {', '.join(self.channels)}", found=channel)
        place = {"t": t, "c": self.channels.index(channel), "z": z}
        for axis in ("t", "z"):
            if not 0 <= place[axis] < self.sizes.get(axis, 1):
                raise NotFoundError(f"{axis} from 0 to {self.sizes.get(axis, 1) - 1}", found=str(place[axis]))
        if z not in self.z_planes(channel, t):
            raise SourceError(
                f"{self.key} has {channel} at t={t}, z={z}",
                found="the plane was not acquired or could not be read when the plate was converted",
                fix="see completeness() of the plate for the reason",
            )
        index = tuple(place.get(axis, slice(None)) for axis in self.axes)
        array = self.array(level)
        black = self.attributes.get("hts", {}).get("black_planes")
        if black is not None and list(place.values()) not in black:
            refuse_lost(array, index)
        return read_part(array, index)

    def z_planes(self, channel: str, t: int = 0) -> tuple[int, ...]:
        """The z planes of a channel that were acquired and could be read; all when the plate does not say."""
        if channel not in self.channels:
            raise NotFoundError(f"one of the channels {', '.join(self.channels)}", found=channel)
        absent = {tuple(place) for place in self.attributes.get("hts", {}).get("absent_planes", [])}
        c = self.channels.index(channel)
        return tuple(z for z in range(self.sizes.get("z", 1)) if (t, c, z) not in absent)

    def label_names(self) -> tuple[str, ...]:
        """Names of the listed label images."""
        path = self.path / "labels" / "zarr.json"
        if not path.exists():
            return ()
        return tuple(read_json(path)["attributes"]["ome"]["labels"])

    def read_labels(self, name: str, level: int = 0) -> NDArray[np.int32]:
        """A label image (Y, X), int32, 0 outside the objects."""
        array = open_read(self.path / "labels" / name / str(level))
        return read_part(array, (0, 0)).astype(np.int32)

    def to_xarray(self, level: int = 0) -> xr.DataArray:
        """The field with named dimensions, channel names and coordinates.

        Coordinates of y, x and z are the centres of the pixels in µm from the corner of the field
        (in full-size pixels when the plate has no pixel size; ``attrs["unit"]`` says which). Planes that were not
        acquired or could not be read are 0 and listed as (t, c, z) in ``attrs["absent_planes"]``.
        """
        import xarray as xr

        array = self.array(level)
        scale = self._scale_um(level)
        coords: dict[str, Any] = {}
        for axis, size in zip(self.axes, array.shape, strict=True):
            if axis == "c":
                coords[axis] = list(self.channels)
            elif axis == "t":
                coords[axis] = np.arange(size)
            else:
                offset = 0.5 if axis in "yx" else 0.0
                coords[axis] = (np.arange(size) + offset) * scale[axis]
        attrs: dict[str, Any] = {"unit": "micrometer" if self.pixel_size else "pixel", "well": self.key.well.name}
        if absent := self.attributes.get("hts", {}).get("absent_planes"):
            attrs["absent_planes"] = absent
        if self.position_um:
            attrs["position_um"] = self.position_um
        values = read_part(array, (Ellipsis,))
        return xr.DataArray(values, dims=self.axes, coords=coords, name=str(self.key), attrs=attrs)
