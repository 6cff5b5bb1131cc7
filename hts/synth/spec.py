"""What a synthetic plate is made of: its knobs, its channels, its doses and its faults.

Everything here follows from a :class:`SynthSpec` alone; nothing is drawn, read or written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hts.errors import UsageError
from hts.model import PLATE_FORMATS, FieldKey, PlateLayout, WellId, parse_wells
from hts.synth.microscopes import require_microscope

NUCLEUS_RADIUS_UM = 7.2
"""Typical radius of a nucleus; everything else about a cell scales with it."""
MAX_NUCLEAR_COVER = 0.22
"""Largest part of a field that nuclei may cover: beyond it separate nuclei no longer find room."""
REFERENCE_FIELD_PX = 512
"""Edge of the field for which ``cells_per_field`` is stated."""
MAX_DOSE_UM = 30.0
"""Dose of the positive control, in µM (micromolar)."""
SERIES_UM = (0.01, 10.0)
"""Lowest and highest dose of the dilution series, in µM."""
NUCLEAR_FRACTION = (0.15, 0.80)
"""Expected translocation (nuclear fraction) without compound and at full effect."""
CHANNEL_SETS: dict[int, tuple[str, ...]] = {
    1: ("DNA",),
    2: ("DNA", "Reporter"),
    3: ("DNA", "Reporter", "AGP"),
    4: ("DNA", "Reporter", "AGP", "Mito"),
    5: ("DNA", "ER", "RNA", "AGP", "Mito"),
}
"""Channel names by number of channels; five are the stains of Cell Painting."""

Z_STEP_UM = 2.0
"""Distance of neighbouring z planes."""

# First number of every spawn key: what the random stream is for.
STREAM_FIELD, STREAM_WELL, STREAM_PLATE, STREAM_PLANE = range(4)


class SynthSpec(BaseModel):
    """The knobs of a synthetic plate; equal specs give equal bytes.

    The truth of a plate belongs to its first time point and to the z plane in focus.

    Raises
    ------
    UsageError
        when a value is out of bounds, the wells cannot be read, or the cells do not fit into a field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    wells: Annotated[str, Field(description="wells to fill, such as A01,B02-D11")] = "B02-D11"
    fields: Annotated[int, Field(ge=1, le=36, description="fields (sites) per well")] = 2
    size_px: Annotated[int, Field(ge=128, le=2048, description="edge of a square field, in pixels")] = 512
    channels: Annotated[
        int, Field(ge=1, le=5, description="channels: 2 are DNA and Reporter, 5 are DNA, ER, RNA, AGP and Mito")
    ] = 2
    cells_per_field: Annotated[
        int,
        Field(ge=1, le=1000, description="cells on 512 × 512 pixels; other field sizes in proportion to their area"),
    ] = 60
    seed: Annotated[int, Field(ge=0, description="seed of everything random")] = 0
    pixel_size_um: Annotated[float, Field(ge=0.1, le=3.0, description="edge of a pixel, in micrometres")] = 0.65
    missing_field: Annotated[bool, Field(description="leave out the files of one field of a treated well")] = True
    blurred_field: Annotated[bool, Field(description="put one field of a treated well out of focus")] = True
    vignetting: Annotated[
        float, Field(ge=0, le=0.8, description="part of the light that is lost in the darkest corner")
    ] = 0.25
    noise: Annotated[float, Field(ge=0, le=20, description="camera noise; 0 is none, 1 is usual")] = 1.0
    touching: Annotated[
        float, Field(ge=0, le=0.9, description="part of the cells that are put against another nucleus")
    ] = 0.25
    toxicity: Annotated[float, Field(ge=0, le=0.9, description="part of the cells that are lost at full effect")] = 0.1
    ec50: Annotated[float, Field(gt=0, description="dose of half effect, in µM; the series runs from 0.01 to 10")] = 0.3
    hill: Annotated[float, Field(gt=0, le=10, description="Hill slope of the dose response")] = 1.5
    microscope: Annotated[str, Field(description="whose layout the files have")] = "imagexpress"
    z_planes: Annotated[
        int, Field(ge=1, le=100, description="z planes; the middle one (the upper of two) is in focus")
    ] = 1
    time_points: Annotated[
        int, Field(ge=1, le=1000, description="time points; the stage drifts a little between them")
    ] = 1
    plate_name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", max_length=64, description="name of the plate")
    ] = "synthetic"

    if not TYPE_CHECKING:  # type checkers keep the signature that pydantic derives from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise _usage_error(error) from error

    @model_validator(mode="after")
    def _is_possible(self) -> SynthSpec:
        if self.plate_name.casefold() == "truth":
            raise UsageError("a plate name other than truth, the folder of the truth", found=repr(self.plate_name))
        require_microscope(self.microscope)
        layout = self.layout
        if (layout.rows, layout.columns) not in PLATE_FORMATS.values():
            raise UsageError("wells that fit on a plate of up to 1536 wells (A01 to AF48)", found=repr(self.wells))
        nucleus_px = np.pi * (NUCLEUS_RADIUS_UM / self.pixel_size_um) ** 2
        room = int(MAX_NUCLEAR_COVER * REFERENCE_FIELD_PX**2 / nucleus_px)
        if self.cells_per_field > room:
            raise UsageError(
                f"at most {room} cells on 512 × 512 pixels of {self.pixel_size_um} µm",
                found=f"cells_per_field = {self.cells_per_field}",
                cause="the nuclei would cover the field and could not be told apart",
                fix="lower cells_per_field or raise pixel_size_um",
            )
        return self

    @property
    def well_ids(self) -> tuple[WellId, ...]:
        """The wells row by row."""
        return tuple(sorted(parse_wells(self.wells)))

    @property
    def layout(self) -> PlateLayout:
        """The smallest plate from 96 wells up that has all wells."""
        return PlateLayout.holding({*self.well_ids, WellId(7, 11)})

    @property
    def channel_names(self) -> tuple[str, ...]:
        return CHANNEL_SETS[self.channels]

    @property
    def sharp_z(self) -> int:
        """Index of the z plane in focus, the one that the truth belongs to."""
        return self.z_planes // 2

    @property
    def cells_in_field(self) -> int:
        """Expected number of cells in a field of this size without compound."""
        return max(1, round(self.cells_per_field * (self.size_px / REFERENCE_FIELD_PX) ** 2))


def _usage_error(error: ValidationError) -> UsageError:
    problems = [
        f"{'.'.join(map(str, item['loc']))} {item['msg'].removeprefix('Value error, ')}".strip()
        for item in error.errors()
    ]
    found = ", ".join(repr(item["input"]) for item in error.errors() if item["loc"])
    fix = "hts synth --help lists the knobs and their bounds" if found else ""
    return UsageError("a possible synthetic plate: " + "; ".join(problems), found=found, fix=fix)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a well received.

    ``dose_uM`` is in micromolar; ``control`` is −1 (negative), 1 (positive) or 0; ``effect`` is the part of
    the full effect that the Hill equation gives, 0 to 1.
    """

    dose_uM: float
    control: int
    compound: str
    effect: float

    @property
    def nuclear_fraction(self) -> float:
        """Expected translocation of the cells of this well."""
        low, high = NUCLEAR_FRACTION
        return low + (high - low) * self.effect


def hill_effect(dose_uM: float, ec50_uM: float, hill: float) -> float:
    """Part of the full effect at a dose: d^h / (EC50^h + d^h) (Hill 1910)."""
    return 0.0 if dose_uM <= 0 else 1.0 / (1.0 + (ec50_uM / dose_uM) ** hill)


def treatments(spec: SynthSpec) -> dict[WellId, Treatment]:
    """Treatment of every well: a column is a dose, its rows are replicates.

    The first two columns are negative controls and the last one is the positive control; the columns between
    are a geometric series that rises from left to right. With fewer than four columns only the first is negative;
    a single column is negative altogether.
    """
    columns = sorted({well.column for well in spec.well_ids})
    negative = columns[: 2 if len(columns) >= 4 else 1]
    series = columns[len(negative) : -1]
    doses = dict.fromkeys(negative, 0.0) | dict(zip(series, _series(len(series)), strict=True))
    plan: dict[WellId, Treatment] = {}
    for well in spec.well_ids:
        dose = doses.get(well.column, MAX_DOSE_UM)
        control = -1 if well.column in negative else 0 if well.column in series else 1
        effect = hill_effect(dose, spec.ec50, spec.hill)
        plan[well] = Treatment(dose, control, "DMSO" if control == -1 else "Translocator", effect)
    return plan


def _series(length: int) -> list[float]:
    if length == 1:
        return [float(np.sqrt(SERIES_UM[0] * SERIES_UM[1]))]
    return [float(f"{dose:.4g}") for dose in np.geomspace(*SERIES_UM, length)]


def faults(spec: SynthSpec) -> tuple[tuple[FieldKey, ...], tuple[FieldKey, ...]]:
    """Missing and blurred fields, at most one each, never the same and never in a control well.

    A plate without treated wells has none.
    """
    treated = [well for well, treatment in treatments(spec).items() if treatment.control == 0]
    keys = [FieldKey(well, field) for well in treated for field in range(1, spec.fields + 1)]
    order = generator(spec, STREAM_PLATE, 0).permutation(len(keys))
    chosen = iter([keys[index] for index in order])
    wanted = (spec.missing_field, spec.blurred_field)
    missing, blurred = (tuple(filter(None, [next(chosen, None)])) if want else () for want in wanted)
    return missing, blurred


def generator(spec: SynthSpec, *key: int) -> np.random.Generator:
    """The random stream of one thing, independent of all others and of the order in which they are made."""
    return np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=key))
