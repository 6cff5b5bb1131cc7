"""Outlines and places of the objects of a random scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hts.synth.shapes import Floats, Labels, Outlines, Scene, compose, place, wobbly_ellipses

MAX_OBJECTS = 160
BARE = 1.3
"""Ratio of the diameters of cell and nucleus where only nuclei are looked at: a thin rim."""


@dataclass(frozen=True, slots=True)
class RandomCulture:
    """Nuclei and cells of a scene; ``diameter_px`` is the mean diameter of its nuclei."""

    scene: Scene
    diameter_px: float
    rng: np.random.Generator

    @property
    def count(self) -> int:
        return len(self.scene.centers_px)

    def per_pixel(self, values: Floats, labels: Labels | None = None) -> Floats:
        """The value of the object that owns the pixel (of the cell, or by `labels`); 0 in the background."""
        table = np.concatenate([[0.0], values]).astype(np.float32)
        return np.asarray(table[self.scene.cells if labels is None else labels])

    def texture(self, sigma_px: float, stretch: float = 1.0) -> Floats:
        """Smooth noise of unit variance, drawn out `stretch` times along one axis."""
        white = self.rng.standard_normal(self.scene.cells.shape, dtype=np.float32)
        sigma = max(sigma_px, 0.3)
        sigmas = (sigma * stretch, sigma) if self.rng.random() < 0.5 else (sigma, sigma * stretch)
        smooth = ndimage.gaussian_filter(white, sigmas, mode="wrap", truncate=3)
        return np.asarray(smooth / max(float(smooth.std()), 1e-6))


def random_culture(rng: np.random.Generator, size_px: int, nucleus_px: float, ratio: float = BARE) -> RandomCulture:
    """Draw the objects of a scene of `size_px`.

    `nucleus_px` is the mean diameter of the nuclei, `ratio` how many times wider the cells are; they may meet.
    """
    extent = ratio if ratio > BARE else 1.0
    density = rng.choice([rng.uniform(0.0, 0.25), rng.uniform(0.2, 0.9)])
    # The area an object takes up when they lie as densely as the placing below can put them.
    room_px = 1.15 * np.pi / 4 * (extent * nucleus_px) ** 2
    count = int(np.clip(density * size_px**2 / room_px, 1, MAX_OBJECTS))
    outlines = _random_outlines(rng, count, nucleus_px, ratio)
    gap_px = rng.uniform(0, 0.35) * nucleus_px * extent
    centers = place(rng, outlines, size_px, float(rng.choice([0, 0.3, 0.6, 0.95])), gap_px)
    scene = compose(outlines.first(len(centers)), centers, size_px)
    return RandomCulture(scene, nucleus_px, rng)


def _random_outlines(rng: np.random.Generator, count: int, nucleus_px: float, ratio: float) -> Outlines:
    spread = rng.uniform(0.03, 0.3)
    radius = nucleus_px / 2 * np.clip(rng.lognormal(0, spread, count), 0.45, 2.2)
    # In tissue the long axes lie side by side; the scene as a whole is turned when batches are cut from it.
    turns = float(rng.choice([np.pi, np.pi, 0.4]))
    longest = rng.uniform(1.1, 2.2) if rng.random() < 0.7 else rng.uniform(2.0, 4.5)
    nucleus = wobbly_ellipses(rng, radius, longest, rng.choice([0.05, 0.12, 0.25]), turns)
    cell_radius = nucleus_px / 2 * ratio * np.clip(rng.lognormal(0, spread, count), 0.6, 2.0)
    longest = rng.uniform(1.1, 3.0) if rng.random() < 0.7 else rng.uniform(2.5, 6.0)
    cell = wobbly_ellipses(rng, cell_radius, longest, rng.choice([0.1, 0.3, 0.6]), turns)
    cell = np.maximum(cell, nucleus + max(0.08 * nucleus_px, 1.0))
    return Outlines(nucleus.astype("f4"), cell.astype("f4"), np.zeros(count, np.bool_))
