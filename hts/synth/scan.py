"""What a simulated microscope is asked to acquire: the plan that every vendor's layout writes down in its own words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hts.model import FieldKey, PlateLayout, WellId

PITCH_MM = {6: 39.12, 12: 26.0, 24: 19.3, 48: 13.0, 96: 9.0, 384: 4.5, 1536: 2.25}
"""Distance of neighbouring wells by plate size (ANSI/SLAS 4; below 96 wells by common plates)."""
PLATE_MM = (127.76, 85.48)
"""Footprint of a plate, x and y (ANSI/SLAS 1); wells are centred on it."""
SITE_STEP = 1.1
"""Distance of neighbouring fields in field widths: they do not meet, since they do not continue one another."""
START = datetime(2024, 1, 15, 9, 0, 0)


class Shot(NamedTuple):
    """One plane to acquire; ``field`` counts from 1, ``channel``, ``z`` and ``t`` from 0."""

    well: WellId
    field: int
    channel: int
    z: int = 0
    t: int = 0

    @property
    def key(self) -> FieldKey:
        """Well and field."""
        return FieldKey(self.well, self.field)


@dataclass(frozen=True, slots=True)
class ScanChannel:
    """A channel as it is set up on the microscope."""

    name: str
    emission_nm: float = 450.0
    excitation_nm: float = 390.0
    exposure_ms: float = 50.0


@dataclass(frozen=True)
class PlateScan:
    """Wells, fields, channels, z planes and time points of an acquisition; ``lost`` fields leave no pixels."""

    plate_name: str
    layout: PlateLayout
    wells: tuple[WellId, ...]
    channels: tuple[ScanChannel, ...]
    fields: int = 1
    n_z: int = 1
    n_t: int = 1
    shape: tuple[int, int] = (512, 512)
    pixel_size_um: float = 0.65
    z_step_um: float = 2.0
    time_step_s: float = 1800.0
    lost: frozenset[FieldKey] = frozenset()
    barcode: str = "HTS000001"
    objective: str = "20x simulated"
    magnification: float = 20.0
    numerical_aperture: float = 0.75

    def shots(self) -> Iterator[Shot]:
        """Every plane that gets pixels: well by well, field, time point, channel, z."""
        for well in self.wells:
            for field in range(1, self.fields + 1):
                if FieldKey(well, field) in self.lost:
                    continue
                for t in range(self.n_t):
                    for channel in range(len(self.channels)):
                        yield from (Shot(well, field, channel, z, t) for z in range(self.n_z))

    @property
    def site_grid(self) -> tuple[int, int]:
        """Columns and rows of the smallest near-square grid of fields; fields are numbered row by row."""
        columns = math.ceil(math.sqrt(self.fields))
        return columns, math.ceil(self.fields / columns)

    def offset_um(self, field: int) -> tuple[float, float]:
        """x and y of a field's centre from that of its well, in µm; y grows downwards, as rows do."""
        columns, rows = self.site_grid
        row, column = divmod(field - 1, columns)
        y_px, x_px = (SITE_STEP * edge * self.pixel_size_um for edge in self.shape)
        return (column - (columns - 1) / 2) * x_px, (row - (rows - 1) / 2) * y_px

    def stage_um(self, key: FieldKey) -> tuple[float, float]:
        """Stage x and y of the centre of a field; both grow from A01 to the last well."""
        pitch = PITCH_MM.get(self.layout.rows * self.layout.columns, 9.0)
        x_mm = (PLATE_MM[0] - (self.layout.columns - 1) * pitch) / 2 + key.well.column * pitch
        y_mm = (PLATE_MM[1] - (self.layout.rows - 1) * pitch) / 2 + key.well.row * pitch
        x_um, y_um = self.offset_um(key.field)
        return round(x_mm * 1000 + x_um, 2), round(y_mm * 1000 + y_um, 2)

    def acquired(self, shot: Shot) -> datetime:
        """Time of a plane: one every 0.4 s, field by field, and a round every ``time_step_s``."""
        place = self.wells.index(shot.well) * self.fields + shot.field - 1
        number = (place * len(self.channels) + shot.channel) * self.n_z + shot.z
        return START + timedelta(seconds=0.4 * number + self.time_step_s * shot.t)


Pixels = Callable[[Shot], NDArray[np.generic]]
"""Gives the plane (Y, X) of a shot; layouts ask for every shot of :meth:`PlateScan.shots` once, in that order."""


class Microscope(Protocol):
    """A module of ``hts.synth.microscopes``: a vendor's layout on disk."""

    def write(self, folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
        """Write the plate into ``folder`` (new or empty) and return the file of every plane.

        UsageError when the layout has no place for what is asked, such as z planes.
        """
        ...


def identifier(seed: Any) -> str:
    """A UUID (version 4 in form) that follows from the seed."""
    import uuid

    return str(uuid.UUID(bytes=np.random.default_rng(seed).bytes(16), version=4))
