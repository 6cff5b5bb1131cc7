"""One field of view: cells, stains, optics and camera. No input or output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hts.errors import UsageError
from hts.model import FieldKey, WellId
from hts.synth.shapes import Floats, Labels, Scene, at_edge, populate, touching_objects
from hts.synth.spec import (
    STREAM_FIELD,
    STREAM_PLANE,
    STREAM_PLATE,
    STREAM_WELL,
    Z_STEP_UM,
    SynthSpec,
    Treatment,
    faults,
    generator,
    treatments,
)
from hts.synth.stains import STAINS, Culture

OFFSET = 100.0
"""Grey levels the camera adds; they carry no photon noise."""
BACKGROUND = 200.0
"""Grey levels of diffuse light from medium and plate."""
ELECTRONS_PER_LEVEL = 0.5
READ_NOISE = 4.0
"""Standard deviation of the camera's read noise, in grey levels."""
PSF_SIGMA_UM, HAZE_SIGMA_UM, DEFOCUS_SIGMA_UM = 0.55, 6.0, 6.5
HAZE = 0.12
"""Part of the light that comes from out of focus and is spread over HAZE_SIGMA_UM."""
DEFOCUS_PER_UM = 0.4
"""Growth of the blur (sigma) with the distance from focus: the cone of a lens of medium aperture."""
DRIFT_UM = 0.8
"""Standard deviation of the stage's drift between two time points, along y and x."""
CONCENTRATION = 14.0
"""Spread of the phenotype among the cells of a well: a beta distribution with this sum of parameters."""


@dataclass(frozen=True, slots=True)
class RenderedField:
    """A field with its truth.

    ``images`` uint16 (C, Y, X), in focus at the first time point; ``light`` float32 (C, Y, X) before the lens, kept
    where there are more planes to make of it, else None; ``nuclei`` and ``cells`` int32 (Y, X), numbered alike 1..n;
    ``table`` one array of length n per column, the columns of ``truth/cells.parquet``.
    """

    key: FieldKey
    images: NDArray[np.uint16]
    nuclei: Labels
    cells: Labels
    table: dict[str, NDArray[Any]]
    light: Floats | None = None


def render_field(spec: SynthSpec, well: WellId, field: int) -> RenderedField:
    """Render one field; it depends on the spec, the well and the field number (from 1) alone.

    Peak memory is about 65 bytes a pixel (270 MB for five channels of 2048²), and 4 a channel more with several z
    planes or time points, which :func:`render_plane` makes. A missing field is rendered as if it were there.

    Raises
    ------
    UsageError
        when the plate has no such well or field.
    """
    treatment = treatments(spec).get(well)
    if treatment is None or not 1 <= field <= spec.fields:
        raise UsageError(
            f"a field of {spec.wells}, numbered 1 to {spec.fields}",
            found=f"{well.name} field {field}",
            fix="choose a well of spec.well_ids",
        )
    key = FieldKey(well, field)
    cell_rng, *channel_rngs = generator(spec, STREAM_FIELD, *well, field).spawn(1 + spec.channels)
    gain, shift = _well_effects(spec, well)
    count = _cell_count(spec, treatment, cell_rng)
    scene = populate(cell_rng, count, spec.size_px, spec.pixel_size_um, spec.touching)
    phenotype = _phenotype(cell_rng, treatment, shift, len(scene.outlines))
    table = _describe(key, scene, phenotype, treatment)
    shape = (spec.channels, spec.size_px, spec.size_px)
    images = np.empty(shape, np.uint16)
    light = np.empty(shape, np.float32) if spec.z_planes * spec.time_points > 1 else None
    blurred = key in faults(spec)[1]
    for index, (name, rng) in enumerate(zip(spec.channel_names, channel_rngs, strict=True)):
        ideal = STAINS[name].image(Culture(scene, phenotype, spec.pixel_size_um, rng)) * np.float32(gain[index])
        table |= _mean_levels(name, ideal, scene)
        seen = _through_lens(ideal, spec.pixel_size_um, blurred)
        images[index] = _expose(seen, illumination(spec, index), spec.noise, rng)
        if light is not None:
            light[index] = ideal
    return RenderedField(key, images, scene.nuclei, scene.cells, table, light)


def render_plane(spec: SynthSpec, field: RenderedField, channel: int, z: int = 0, t: int = 0) -> NDArray[np.uint16]:
    """One plane (Y, X) of a field: out of focus away from the middle of the stack, drifted and taken anew with time.

    The plane in focus at the first time point is that of ``field.images``. Cells neither move nor divide.
    """
    if field.light is None or (z, t) == (spec.sharp_z, 0):
        return np.asarray(field.images[channel])
    rng = generator(spec, STREAM_PLANE, *field.key.well, field.key.field, channel, z, t)
    drift_px = drift_um(spec, t) / spec.pixel_size_um
    # Whole pixels, and the rim repeated: the drift is small.
    moved = ndimage.shift(field.light[channel], np.rint(drift_px), order=0, mode="nearest", prefilter=False)
    distance_um = abs(z - spec.sharp_z) * Z_STEP_UM
    seen = _through_lens(moved, spec.pixel_size_um, field.key in faults(spec)[1], distance_um)
    return _expose(seen, illumination(spec, channel), spec.noise, rng)


def drift_um(spec: SynthSpec, t: int) -> NDArray[np.float64]:
    """How far the plate lies from where it was at the first time point, (y, x) in µm: a random walk."""
    steps = generator(spec, STREAM_PLATE, 3).normal(0, DRIFT_UM, (spec.time_points, 2))
    return np.asarray(steps[1 : t + 1].sum(axis=0))


def _well_effects(spec: SynthSpec, well: WellId) -> tuple[NDArray[np.float64], float]:
    """Staining of the channels (factor) and response (shift of the log odds): wells are never quite alike."""
    rng = generator(spec, STREAM_WELL, *well)
    return rng.lognormal(0, 0.06, spec.channels), float(rng.normal(0, 0.08))


def _cell_count(spec: SynthSpec, treatment: Treatment, rng: np.random.Generator) -> int:
    expected = spec.cells_in_field * (1 - spec.toxicity * treatment.effect)
    return max(1, round(expected * rng.lognormal(0, 0.06)))


def _phenotype(rng: np.random.Generator, treatment: Treatment, shift: float, count: int) -> NDArray[np.float64]:
    """Nuclear fraction of each cell; beta-distributed, so that its mean is that of the well exactly."""
    mean = treatment.nuclear_fraction
    odds = mean / (1 - mean) * np.exp(shift)
    mean = odds / (1 + odds)
    return rng.beta(mean * CONCENTRATION, (1 - mean) * CONCENTRATION, count)


def _describe(
    key: FieldKey, scene: Scene, phenotype: NDArray[np.float64], treatment: Treatment
) -> dict[str, NDArray[Any]]:
    count = len(phenotype)
    numbers = np.arange(1, count + 1)
    centers = np.array(ndimage.center_of_mass(scene.nuclei > 0, scene.nuclei, numbers)).reshape(-1, 2)
    return {
        "Metadata_Well": np.full(count, key.well.name),
        "Metadata_Site": np.full(count, key.field),
        "ObjectNumber": numbers,
        "Nuclei_Location_Center_Y": centers[:, 0],
        "Nuclei_Location_Center_X": centers[:, 1],
        "Nuclei_AreaShape_Area": np.bincount(scene.nuclei.ravel(), minlength=count + 1)[1:],
        "Cells_AreaShape_Area": np.bincount(scene.cells.ravel(), minlength=count + 1)[1:],
        "Truth_Dose_uM": np.full(count, treatment.dose_uM),
        "Truth_NuclearFraction": phenotype,
        "Truth_TouchesNucleus": touching_objects(scene.nuclei, count),
        "Truth_TouchesEdge": at_edge(scene.cells, count),
    }


def _mean_levels(channel: str, ideal: Floats, scene: Scene) -> dict[str, NDArray[Any]]:
    """Mean ideal grey level of nuclei and cytoplasm: before lens, uneven light, background and noise."""
    cytoplasm = np.where(scene.nuclei == 0, scene.cells, 0)
    means = {}
    for name, labels in (("Nuclei", scene.nuclei), ("Cytoplasm", cytoplasm)):
        flat, length = labels.ravel(), len(scene.outlines) + 1
        area = np.bincount(flat, minlength=length)[1:]
        total = np.bincount(flat, weights=ideal.ravel(), minlength=length)[1:]
        # A cell squeezed by its neighbours may have no cytoplasm: its mean is not a number.
        level = np.divide(total, area, out=np.full(length - 1, np.nan), where=area > 0)
        means[f"{name}_Intensity_MeanIntensity_{channel}"] = level
    return means


def illumination(spec: SynthSpec, channel_index: int) -> Floats:
    """Uneven light of a channel, the same in all fields: (Y, X) from 1 − vignetting to 1."""
    rng = generator(spec, STREAM_PLATE, 1, channel_index)
    center = rng.uniform(-0.35, 0.35, 2).astype("f4")
    steps = np.linspace(-1, 1, spec.size_px, dtype="f4")
    square = (steps[:, None] - center[0]) ** 2 + np.float32(0.8) * (steps[None, :] - center[1]) ** 2
    return np.asarray(1 - square * np.float32(spec.vignetting / square.max()))


def _through_lens(ideal: Floats, pixel_size_um: float, blurred: bool, distance_um: float = 0.0) -> Floats:
    if blurred:
        return _wide_blur(ideal, DEFOCUS_SIGMA_UM / pixel_size_um)
    sigma_um = math.hypot(PSF_SIGMA_UM, DEFOCUS_PER_UM * distance_um)
    sharp = np.asarray(ndimage.gaussian_filter(ideal, sigma_um / pixel_size_um, truncate=3))
    return (1 - HAZE) * sharp + HAZE * _wide_blur(ideal, HAZE_SIGMA_UM / pixel_size_um)


def _wide_blur(image: Floats, sigma_px: float) -> Floats:
    """Three box filters are close to a Gaussian and cost the same at every width (central limit theorem)."""
    width = max(1, round(np.sqrt(4 * sigma_px**2 + 1)))
    for _ in range(3):
        image = np.asarray(ndimage.uniform_filter(image, width))
    return image


def _expose(light: Floats, uneven: Floats, noise: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the camera reads: photon noise (variance = electrons), read noise, offset, 16 bit.

    At the 60 electrons and more of the background a Poisson variate is normal to within rounding, and ten times
    faster to draw.
    """
    level = uneven * (light + np.float32(BACKGROUND))
    sigma = np.sqrt(level / np.float32(ELECTRONS_PER_LEVEL) + np.float32(READ_NOISE**2))
    level += np.float32(OFFSET) + np.float32(noise) * sigma * rng.standard_normal(level.shape, dtype=np.float32)
    return np.asarray(np.rint(np.clip(level, 0, 65535)), dtype=np.uint16)
