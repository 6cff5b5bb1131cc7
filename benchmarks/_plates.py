"""ImageXpress plates of any size for the benchmarks: a few fields of `hts synth`, written again and again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

import hts
from hts.model import PlateLayout, WellId

PLATE = PlateLayout(16, 24)
MOST_FIELDS = 9
"""Fields a well, at most: those of the plates that the goals are stated for."""


@dataclass(frozen=True)
class PlateSize:
    """How many fields, how large, and how the TIFFs are compressed (``none``, ``lzw``, ``zlib``)."""

    fields: int
    side_px: int = 2048
    channels: int = 5
    compression: str = "none"

    @property
    def planes(self) -> int:
        return self.fields * self.channels

    @property
    def plane_bytes(self) -> int:
        """Bytes of the 16-bit pixels of a plane."""
        return 2 * self.side_px**2

    @property
    def fields_per_well(self) -> int:
        """The most that leave no well with fewer: missing fields are another benchmark."""
        return max(count for count in range(1, MOST_FIELDS + 1) if self.fields % count == 0)


@dataclass(frozen=True)
class MadePlate:
    """The microscope's folder, and the files of every field by channel."""

    folder: Path
    fields: tuple[tuple[Path, ...], ...]


@dataclass(frozen=True)
class Rendered:
    """A plane as `hts synth` made it, with the microscope's description of it."""

    pixels: NDArray[np.uint16]
    description: str


def render(size: PlateSize, fields: int = 2) -> list[list[Rendered]]:
    """Fields as a microscope sees them, with cells, uneven light and noise: random pixels would not compress."""
    spec = hts.SynthSpec(
        wells="B02",
        fields=fields,
        size_px=size.side_px,
        channels=size.channels,
        missing_field=False,
        blurred_field=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        truth = hts.write_plate(Path(folder) / "made", spec)
        files = sorted(truth.plate.rglob("*.TIF"))
        planes = [_read(file) for file in files]
    return [planes[first : first + size.channels] for first in range(0, len(planes), size.channels)]


def _read(file: Path) -> Rendered:
    with tifffile.TiffFile(file) as tiff:
        return Rendered(tiff.pages[0].asarray(), tiff.pages[0].description)


def names(size: PlateSize) -> Iterator[tuple[str, ...]]:
    """File names of every field by channel, well by well, as the microscope numbers them."""
    wells = [WellId(row, column) for row in range(PLATE.rows) for column in range(PLATE.columns)]
    if size.fields > len(wells) * size.fields_per_well:
        raise ValueError(f"{size.fields} fields do not fit on {len(wells)} wells of {size.fields_per_well}")
    for number in range(size.fields):
        well, site = divmod(number, size.fields_per_well)
        yield tuple(f"bench_{wells[well].name}_s{site + 1}_w{wave + 1}.TIF" for wave in range(size.channels))


def write_plate(folder: Path, size: PlateSize, rendered: list[list[Rendered]]) -> MadePlate:
    """Every field has pixels of its own: a rendered field, rolled by another distance."""
    images = folder / "TimePoint_1"
    images.mkdir(parents=True)
    made = []
    for number, field in enumerate(names(size)):
        for name, plane in zip(field, rendered[number % len(rendered)], strict=True):
            _write(images / name, np.roll(plane.pixels, 37 * number, axis=(0, 1)), plane.description, size.compression)
        made.append(tuple(images / name for name in field))
    return MadePlate(folder, tuple(made))


def link_plate(folder: Path, size: PlateSize, rendered: list[list[Rendered]]) -> MadePlate:
    """Fields are hard links to the files of a few: ten thousand planes without the disk for them."""
    originals = folder.with_name(f"{folder.name}-originals")
    few = PlateSize(len(rendered), size.side_px, size.channels, size.compression)
    first = write_plate(originals, few, rendered)
    images = folder / "TimePoint_1"
    images.mkdir(parents=True)
    made = []
    for number, field in enumerate(names(size)):
        for name, original in zip(field, first.fields[number % len(first.fields)], strict=True):
            os.link(original, images / name)
        made.append(tuple(images / name for name in field))
    return MadePlate(folder, tuple(made))


def part_of(plate: MadePlate, fields: int, folder: Path) -> MadePlate:
    """The first fields of a plate as a plate of its own, of the same files."""
    images = folder / "TimePoint_1"
    images.mkdir(parents=True)
    for file in (file for field in plate.fields[:fields] for file in field):
        os.link(file, images / file.name)
    return MadePlate(folder, tuple(tuple(images / file.name for file in field) for field in plate.fields[:fields]))


def _write(file: Path, pixels: NDArray[Any], description: str, compression: str) -> None:
    tifffile.imwrite(
        file,
        pixels,
        description=description,
        software="MetaSeries",
        metadata=None,
        compression=None if compression == "none" else compression,
    )
