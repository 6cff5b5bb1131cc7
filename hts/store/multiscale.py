"""What a multiscale says of an image, ours or anybody's: axes, levels, size of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hts.errors import StoreError
from hts.model import PixelSize

_UNITS_UM = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "inch": 25_400.0,
    "foot": 304_800.0,
    "ångström": 1e-4,
    "micron": 1.0,
}
_SYMBOLS_UM = {"Å": 1e-4, "pm": 1e-6, "nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
"""What software writes that does not follow the specification's names. Case counts: Mm is no mm."""
_AXES = frozenset("tczyx")


@dataclass(frozen=True)
class Multiscale:
    """Axes with names and units, the path of the array of each level, and the size of a pixel there along each axis.

    ``axes`` are the entries as they are written (names in lower case); ``sizes`` are in those units, None for a level
    that does not say. Sources: OME-NGFF 0.4 and 0.5, ``multiscales``.
    """

    axes: tuple[dict[str, Any], ...]
    paths: tuple[str, ...]
    sizes: tuple[tuple[float, ...] | None, ...]

    @classmethod
    def parse(cls, meta: Any) -> Multiscale:
        """Read one entry of ``multiscales``.

        Raises
        ------
        StoreError
            when it is damaged, or its axes are not some of t, c, z and then y, x.
        """
        try:
            axes = tuple({**axis, "name": str(axis["name"]).lower()} for axis in meta["axes"])
            paths = tuple(str(dataset["path"]) for dataset in meta["datasets"])
            whole = _scale(meta, len(axes)) or (1.0,) * len(axes)
            levels = [_scale(dataset, len(axes)) for dataset in meta["datasets"]]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StoreError(
                "multiscales have axes and datasets with paths and scales",
                found=f"{type(error).__name__}: {error}",
                cause="the metadata is damaged, or of OME-Zarr 0.3 or older",
            ) from error
        names = [axis["name"] for axis in axes]
        if names[-2:] != ["y", "x"] or len(set(names)) < len(names) or not set(names) <= _AXES or not paths:
            raise StoreError("an image has axes t, c, z, y, x, or y, x and some of them, and levels", found=f"{names}")
        # A transformation of the multiscale comes after that of each dataset: sizes are multiplied.
        sizes = tuple(level and tuple(a * b for a, b in zip(level, whole, strict=True)) for level in levels)
        return cls(axes, paths, sizes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis["name"] for axis in self.axes)

    @property
    def pixel_size(self) -> PixelSize | None:
        """Micrometres a pixel of the full image; None when y or x has no known unit, or no size above 0."""
        unit = self._units_um()
        edges = {name: size * unit[name] for name, size in self._known_sizes(0).items() if name in unit}
        return PixelSize(edges["y"], edges["x"], edges.get("z")) if {"y", "x"} <= set(edges) else None

    def edges(self, level: int) -> dict[str, float]:
        """Edge lengths of a pixel of a level by axis: µm where a unit is known, else as the image says, or 1."""
        unit, sizes = self._units_um(), self._known_sizes(level)
        return {name: sizes[name] * unit.get(name, 1.0) if name in sizes else 1.0 for name in self.names}

    def _known_sizes(self, level: int) -> dict[str, float]:
        """Sizes of a level by axis; none for axes along which it has no size that a pixel can have."""
        known = dict(zip(self.names, self.sizes[level] or (), strict=False))
        return {name: size for name, size in known.items() if 0 < size < math.inf}

    def _units_um(self) -> dict[str, float]:
        known = {axis["name"]: _unit_um(axis.get("unit")) for axis in self.axes if axis["name"] in "zyx"}
        return {name: unit for name, unit in known.items() if unit is not None}


def _unit_um(unit: Any) -> float | None:
    """Micrometres in a unit of length; names in any case, plural and British spelling. None when it is not known."""
    text = str(unit).strip()
    name = text.casefold().removesuffix("s")
    if name.endswith("metre"):
        name = name.removesuffix("metre") + "meter"
    return _SYMBOLS_UM.get(text, _UNITS_UM.get(name))


def _scale(entry: dict[str, Any], n_axes: int) -> tuple[float, ...] | None:
    """The product of an entry's scales; None when it has none."""
    product = None
    for step in entry.get("coordinateTransformations") or []:
        if step["type"] != "scale":
            continue
        numbers = tuple(float(number) for number in step["scale"])
        if len(numbers) != n_axes or not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"a scale of {len(numbers)} numbers for {n_axes} axes: {numbers}")
        product = tuple(a * b for a, b in zip(numbers, product or (1.0,) * n_axes, strict=True))
    return product
