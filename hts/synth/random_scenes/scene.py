"""One random scene: where the objects are, their stains, and what the microscope makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hts.synth.random_scenes.culture import BARE, random_culture
from hts.synth.random_scenes.optics import degrade
from hts.synth.random_scenes.stains import cell_stain, nuclear_stain
from hts.synth.shapes import Floats, Labels

Target = Literal["nuclei", "cells"]
DIAMETERS_PX: dict[str, tuple[float, float]] = {"nuclei": (8.0, 40.0), "cells": (15.0, 64.0)}
"""Bounds of the mean diameter of a scene's objects; it is drawn evenly on a logarithmic scale."""
NO_NUCLEI = 0.4
"""Share of the scenes of cells that have no image of their nuclei."""
BLEEDING = 0.35
"""Share of the scenes in which the nuclear stain is in the cytoplasm, too, and makes it look like dim nuclei."""
CELL_TO_NUCLEUS = (1.35, 2.6)
"""Bounds of the ratio of the diameters of a cell and its nucleus."""
ROUND_CELLS = 0.15
"""Share of the scenes of cells that are plain bright bodies, as suspended cells or unfocused stains are."""


@dataclass(frozen=True, slots=True)
class RandomScene:
    """Image (2, Y, X) float32 in arbitrary units, and the truth (Y, X) int32 numbered 1…n.

    The first plane shows what is to be segmented; the second the nuclei of cells, or zeros.
    """

    image: Floats
    labels: Labels
    diameter_px: float


def random_scene(
    rng: np.random.Generator, target: Target, size_px: int, diameter_px: float | None = None
) -> RandomScene:
    """Draw a square scene of `size_px`; `diameter_px` is drawn too where it is not given."""
    low, high = DIAMETERS_PX[target]
    if diameter_px is None:
        diameter_px = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    image = np.zeros((2, size_px, size_px), np.float32)
    if target == "nuclei" or rng.random() < ROUND_CELLS:
        bleeding = target == "nuclei" and rng.random() < BLEEDING
        culture = random_culture(rng, size_px, diameter_px, rng.uniform(1.4, 3.2) if bleeding else BARE)
        image[0] = degrade(rng, nuclear_stain(rng, culture, bleeding), culture.diameter_px)
        return RandomScene(image, culture.scene.nuclei, diameter_px)
    ratio = rng.uniform(*CELL_TO_NUCLEUS)
    culture = random_culture(rng, size_px, diameter_px / ratio, ratio)
    image[0] = degrade(rng, cell_stain(rng, culture), culture.diameter_px)
    if rng.random() >= NO_NUCLEI:
        stain = nuclear_stain(rng, culture, rng.random() < BLEEDING)
        image[1] = degrade(rng, stain, culture.diameter_px)
    return RandomScene(image, culture.scene.cells, diameter_px)
