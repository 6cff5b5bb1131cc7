"""One field of view as people use it: planes, pixel size, channels, labels, xarray."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import NotFoundError, SourceError, StoreError, UsageError
from hts.locations import Location
from hts.model import FieldKey, PixelSize
from hts.store.arrays import Stored, open_read, read_part
from hts.store.files import read_if_there
from hts.store.groups import METADATA, read_attributes
from hts.store.multiscale import Multiscale
from hts.store.ngff import Version
from hts.store.write import FORMAT

Window = tuple[slice, slice]
"""Rows and columns of a part of a plane, from a begin to before an end."""

if TYPE_CHECKING:
    import xarray as xr


_LONGEST = 1_000_000
"""Length of an axis that no image has: a number that is damaged must not make lists of that length."""


@dataclass(frozen=True)
class Field:
    """One field of view: its pixels, pixel size, channels and labels.

    ``location`` is the folder of the image group, ``version`` that of its OME-Zarr, ``name`` what the plate calls the
    image; ``key`` has the number the microscope gave the field, or its place in the well when the name is no number.
    """

    location: Location
    key: FieldKey
    version: Version
    name: str

    @functools.cached_property
    def attributes(self) -> dict[str, Any]:
        """The image's metadata: OME's under ``ome``, ours under ``hts``, whatever the version.

        Raises
        ------
        SourceError
            when they are absent or damaged: that costs this field, not the plate.
        """
        try:
            return read_attributes(self.location, self.version, "multiscales")
        except StoreError as error:
            raise self._no_image(error) from error

    @functools.cached_property
    def multiscale(self) -> Multiscale:
        """Axes, levels and pixel sizes; `SourceError` when they cannot be understood."""
        try:
            return Multiscale.parse(self.attributes["ome"]["multiscales"][0])
        except (StoreError, LookupError, TypeError) as error:
            raise self._no_image(error) from error

    def _no_image(self, error: Exception) -> SourceError:
        return SourceError(
            f"{self.key} is an image",
            found=" ".join(f"{self.location}: {error}".split()),
            cause="its conversion was broken off, or the file is damaged",
            fix="convert the plate again; --overwrite when it says that all is done",
        )

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes in the order of the array: t, c, z, y, x, or some of them."""
        return self.multiscale.names

    @property
    def levels(self) -> int:
        """Number of pyramid levels."""
        return len(self.multiscale.paths)

    @functools.cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, each different; ``Channel2`` for the second when the image does not name it."""
        entries = _channel_entries(self.attributes)
        names: dict[str, None] = {}
        for i in range(self.sizes.get("c", 1)):
            entry = entries[i] if i < len(entries) and isinstance(entries[i], dict) else {}
            name = wanted = str(entry.get("label") or f"Channel{i + 1}")
            # Two channels of one name could not be told apart, and the second would never be read.
            for copy in itertools.count(2):
                if name not in names:
                    break
                name = f"{wanted} ({copy})"
            names[name] = None
        return tuple(names)

    @property
    def channel_colors(self) -> dict[str, str]:
        """RRGGBB by channel name, for channels that have a colour."""
        entries = zip(self.channels, _channel_entries(self.attributes), strict=False)
        return {name: str(entry["color"]) for name, entry in entries if isinstance(entry, dict) and "color" in entry}

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """Length of every axis."""
        return dict(zip(self.axes, self.array(0).shape, strict=True))

    @property
    def position_um(self) -> dict[str, float] | None:
        """Stage position in µm, when the microscope told it."""
        position = self.attributes["hts"].get("position_um")
        return position if isinstance(position, dict) else None

    @property
    def pixel_size(self) -> PixelSize | None:
        """Micrometres a pixel, or None when the image does not say."""
        return self.multiscale.pixel_size

    @functools.cached_property
    def _absent(self) -> frozenset[tuple[int, int, int]]:
        """Places (t, c, z) of planes that were never written."""
        try:
            return frozenset((int(t), int(c), int(z)) for t, c, z in self.attributes["hts"].get("absent_planes", []))
        except (TypeError, ValueError) as error:
            raise self._no_image(error) from error

    @functools.cached_property
    def _arrays(self) -> dict[int, Any]:
        return {}

    def array(self, level: int) -> Any:
        """The Zarr array of a pyramid level."""
        if not 0 <= level < self.levels:
            raise UsageError(f"a pyramid level from 0 to {self.levels - 1}", found=str(level))
        if level not in self._arrays:
            place = self.location / self.multiscale.paths[level]
            array = open_read(place, self.version)
            if array.ndim != len(self.axes):
                raise SourceError(f"{place} has the axes {', '.join(self.axes)}", found=f"the shape {array.shape}")
            if max(array.shape) > _LONGEST:
                raise SourceError(
                    f"{place} has axes of at most {_LONGEST:,}", found=f"an axis of {str(max(array.shape))[:30]}"
                )
            self._arrays[level] = array
        return self._arrays[level]

    def _stored(self, level: int) -> Stored:
        array = self.array(level)
        place = self.location / self.multiscale.paths[level]
        return Stored(place, array, self.attributes["hts"].get("format") == FORMAT, self._absent)

    def read_plane(
        self, channel: str, *, t: int = 0, z: int = 0, level: int = 0, window: Window | None = None
    ) -> NDArray[Any]:
        """One plane (Y, X) in the type it was acquired, or the window of it.

        Raises
        ------
        NotFoundError
            when the plate has no such channel, time point or z.
        SourceError
            when the plane is not there or cannot be read.
        """
        if not self.has_plane(channel, t=t, z=z):
            raise SourceError(
                f"{self.key} has {channel} at t={t}, z={z}",
                found="the plane was not acquired or could not be read when the plate was converted",
                fix="see completeness() of the plate for the reason",
            )
        places = {"t": t, "c": self._number(channel), "z": z}
        return read_part(self._stored(level), (*(places[axis] for axis in self.axes[:-2]), *(window or ())))

    def z_planes(self, channel: str, t: int = 0) -> tuple[int, ...]:
        """The z planes of a channel that were acquired and could be read; all when the plate does not say."""
        c = self._number(channel)
        return tuple(z for z in range(self.sizes.get("z", 1)) if (t, c, z) not in self._absent)

    def has_plane(self, channel: str, *, t: int = 0, z: int = 0) -> bool:
        """Whether a plane was acquired and could be read; True for all when the plate does not say.

        Raises
        ------
        NotFoundError
            when the image has no such channel, time point or z.
        """
        c = self._number(channel)
        for axis, place in (("t", t), ("z", z)):
            if not 0 <= place < self.sizes.get(axis, 1):
                raise NotFoundError(f"{axis} from 0 to {self.sizes.get(axis, 1) - 1}", found=str(place))
        return (t, c, z) not in self._absent

    def _number(self, channel: str) -> int:
        if channel not in self.channels:
            raise NotFoundError(f"one of the channels {', '.join(self.channels)}", found=channel)
        return self.channels.index(channel)

    def label_names(self) -> tuple[str, ...]:
        """Names of the listed label images."""
        place = self.location / "labels"
        if read_if_there(place / METADATA[self.version]) is None:
            return ()
        return tuple(str(name) for name in read_attributes(place, self.version, "labels")["ome"]["labels"])

    def has_labels(self, name: str) -> bool:
        """Whether a label image is there whole, listed or not."""
        return read_if_there(self.location / "labels" / name / METADATA[self.version]) is not None

    def read_labels(self, name: str, level: int = 0, window: Window | None = None) -> NDArray[np.int32]:
        """A label image (Y, X), int32, 0 outside the objects, or the window of it; of the first time point and z.

        Raises
        ------
        SourceError
            when it is absent or damaged, or has labels that int32 does not hold.
        """
        place = self.location / "labels" / name
        try:
            attributes = read_attributes(place, self.version, "multiscales")
            multiscale = Multiscale.parse(attributes["ome"]["multiscales"][0])
        except (StoreError, LookupError, TypeError) as error:
            raise SourceError(f"{place} is a label image", found=" ".join(str(error).split())) from error
        if not 0 <= level < len(multiscale.paths):
            raise UsageError(f"a pyramid level from 0 to {len(multiscale.paths) - 1}", found=str(level))
        array = open_read(place / multiscale.paths[level], self.version)
        if array.ndim != len(multiscale.names):
            raise SourceError(f"{place} has the axes {', '.join(multiscale.names)}", found=f"the shape {array.shape}")
        complete = attributes["hts"].get("format") == FORMAT
        part: tuple[int | slice, ...] = (*(0,) * (array.ndim - 2), *(window or ()))
        values = read_part(Stored(place / multiscale.paths[level], array, complete), part)
        if not np.issubdtype(values.dtype, np.integer) or (values.size and values.max() > np.iinfo(np.int32).max):
            raise SourceError(f"{place} has labels of int32", found=f"{values.dtype} up to {values.max()}")
        return values.astype(np.int32)

    def to_xarray(self, level: int = 0) -> xr.DataArray:
        """The field with named dimensions, channel names and coordinates.

        Coordinates of y, x and z are the centres of the pixels in µm from the corner of the field
        (in full-size pixels when the plate has no pixel size; ``attrs["unit"]`` says which). Planes that were not
        acquired or could not be read are 0 and listed as (t, c, z) in ``attrs["absent_planes"]``.
        """
        import xarray as xr

        array = self.array(level)
        edges = self.multiscale.edges(level)
        coords: dict[str, Any] = {}
        for axis, size in zip(self.axes, array.shape, strict=True):
            if axis == "c":
                coords[axis] = list(self.channels)
            elif axis == "t":
                coords[axis] = np.arange(size)
            else:
                offset = 0.5 if axis in "yx" else 0.0
                coords[axis] = (np.arange(size) + offset) * edges[axis]
        attrs: dict[str, Any] = {"unit": "micrometer" if self.pixel_size else "pixel", "well": self.key.well.name}
        if self._absent:
            attrs["absent_planes"] = [list(place) for place in sorted(self._absent)]
        if self.position_um:
            attrs["position_um"] = self.position_um
        values = read_part(self._stored(level), (slice(None),) * (array.ndim - 2))
        return xr.DataArray(values, dims=self.axes, coords=coords, name=str(self.key), attrs=attrs)


def _channel_entries(attributes: dict[str, Any]) -> list[Any]:
    omero = attributes["ome"].get("omero")
    entries = omero.get("channels") if isinstance(omero, dict) else None
    return entries if isinstance(entries, list) else []
