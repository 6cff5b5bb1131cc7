"""Where each stain sits in a cell: ideal images in grey levels, before any optics.

The distributions are plausible, not measured: they are there so that channels look and behave like the stains
they are named after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hts.synth.shapes import N_ANGLES, Floats, Scene


@dataclass(frozen=True, slots=True)
class Culture:
    """A scene with what the stains need to know: ``phenotype`` (n,) is the nuclear fraction, 0 to 1."""

    scene: Scene
    phenotype: NDArray[np.float64]
    pixel_size_um: float
    rng: np.random.Generator

    def per_pixel(self, values: NDArray[np.float64]) -> Floats:
        """The value of the cell that owns the pixel; 0 in the background."""
        return np.concatenate([[0.0], values]).astype("f4")[self.scene.cells]

    def spread(self, sigma: float) -> NDArray[np.float64]:
        """One brightness factor a cell, log-normal."""
        return self.rng.lognormal(0, sigma, len(self.phenotype))

    def texture(self, sigma_um: float, angle: int | None = None) -> Floats:
        """Smooth noise of unit variance; with ``angle`` 0 or 1 drawn out along y or x."""
        sigma = max(sigma_um / self.pixel_size_um, 0.3)
        sigmas = (sigma, sigma) if angle is None else (sigma * 5, sigma) if angle == 0 else (sigma, sigma * 5)
        white = self.rng.standard_normal(self.scene.cells.shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, sigmas, mode="wrap", truncate=3)
        return np.asarray(smooth / smooth.std())

    def spots(self, centers_px: NDArray[np.float64], weights: NDArray[np.float64], sigma_um: float) -> Floats:
        """Gaussian spots with the given peak heights at centres (m, 2); those outside the field are lost."""
        sigma = max(sigma_um / self.pixel_size_um, 0.5)
        image = np.zeros(self.scene.cells.shape, "f4")
        at = np.rint(centers_px).astype(np.intp)
        inside = np.all((at >= 0) & (at < image.shape), axis=1)
        np.add.at(image, tuple(at[inside].T), (weights[inside] * 2 * np.pi * sigma**2).astype("f4"))
        return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=4))

    def around_nucleus(self, cell: NDArray[np.intp], part: NDArray[np.float64], out_um: float) -> NDArray[np.float64]:
        """Points (m, 2) of the cells in random directions, at a part of the nuclear radius plus ``out_um``."""
        angle = self.rng.integers(0, N_ANGLES, len(cell))
        distance = self.scene.outlines.nucleus_px[cell, angle] * part + out_um / self.pixel_size_um
        theta = angle * (2 * np.pi / N_ANGLES)
        direction = np.stack([np.sin(theta), np.cos(theta)], axis=1)
        return np.asarray(self.scene.centers_px[cell] + distance[:, None] * direction)


def _thickness(scene: Scene) -> Floats:
    """Cells are highest at the nucleus and thin out to the rim; 0 in the background."""
    flat = np.clip(1 - scene.depth, 0, 1)
    return np.asarray(np.sqrt(flat) * (0.35 + 0.65 * flat))


def dna(culture: Culture) -> Floats:
    """Chromatin: nuclei with a dome, grain and twice the DNA in G2; a trace in the cytoplasm."""
    scene = culture.scene
    level = 3200 * culture.spread(0.18) * np.where(scene.outlines.large, 1.45, 1.0)
    dome = 0.7 + 0.3 * np.sqrt(np.clip(1 - scene.radius**2, 0, 1))
    grain = 1 + 0.10 * culture.texture(0.7) + 0.12 * culture.texture(1.8)
    trace = 0.012 * _thickness(scene)
    return np.asarray(
        culture.per_pixel(level) * np.where(scene.nuclei > 0, dome * np.clip(grain, 0.3, 2), trace), dtype=np.float32
    )


def reporter(culture: Culture) -> Floats:
    """A protein that moves from the cytoplasm into the nucleus with the phenotype."""
    scene, inside = culture.scene, culture.scene.nuclei > 0
    total = 3800 * culture.spread(0.28)
    nucleus = culture.per_pixel(total * (0.06 + 0.94 * culture.phenotype))
    cytoplasm = culture.per_pixel(total * (0.06 + 0.94 * (1 - culture.phenotype))) * _thickness(scene)
    grain = 1 + 0.08 * culture.texture(0.8) + 0.10 * culture.texture(2.5)
    return np.asarray(np.where(inside, nucleus, cytoplasm) * np.clip(grain, 0.3, 2), dtype=np.float32)


def rna(culture: Culture) -> Floats:
    """Nucleoli and cytoplasmic RNA; the share of the nucleus follows the phenotype as the reporter does."""
    inside = culture.scene.nuclei > 0
    cell = np.repeat(np.arange(len(culture.phenotype)), culture.rng.integers(1, 5, len(culture.phenotype)))
    centers = culture.around_nucleus(cell, 0.65 * np.sqrt(culture.rng.random(len(cell))), 0)
    nucleoli = culture.spots(centers, culture.rng.lognormal(0, 0.3, len(cell)) * 2600, 1.1)
    return np.asarray(reporter(culture) * 0.6 + np.where(inside, nucleoli, 0), dtype=np.float32)


def er(culture: Culture) -> Floats:
    """A fine net, dense around the nucleus and dark in it."""
    scene = culture.scene
    net = np.exp(-((culture.texture(0.9) / 0.6) ** 2))
    envelope = _thickness(scene) * np.exp(-1.2 * np.clip(scene.depth, 0, 1))
    level = culture.per_pixel(4500 * culture.spread(0.25))
    return np.asarray(level * np.where(scene.nuclei > 0, 0.17, envelope * (0.45 + 0.65 * net)), dtype=np.float32)


def agp(culture: Culture) -> Floats:
    """Membrane at the rim of the cell, actin fibres in one of two directions, Golgi beside the nucleus."""
    scene, count = culture.scene, len(culture.phenotype)
    rim = np.asarray(ndimage.gaussian_filter(_borders(scene.cells), 0.7 / culture.pixel_size_um, truncate=3))
    upright = culture.per_pixel((culture.rng.random(count) < 0.5).astype("f8")) > 0
    fibres = np.clip(np.where(upright, culture.texture(0.6, 0), culture.texture(0.6, 1)), 0, 3)
    cell = np.repeat(np.arange(count), 7)
    home = culture.around_nucleus(np.arange(count), np.ones(count), 2.2)[cell]
    jitter = culture.rng.normal(0, 1.6 / culture.pixel_size_um, home.shape)
    golgi = culture.spots(home + jitter, culture.rng.lognormal(0, 0.4, len(cell)) * 0.45, 0.9)
    body = _thickness(scene) * (0.16 + 0.10 * fibres) * np.where(scene.nuclei > 0, np.float32(0.7), np.float32(1))
    return np.asarray(culture.per_pixel(4200 * culture.spread(0.25)) * (body + 0.55 * rim + golgi), dtype=np.float32)


def _borders(labels: NDArray[np.int32]) -> Floats:
    edge = np.zeros(labels.shape, "f4")
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        edge[tuple(slice(0, size) for size in differs.shape)] += differs
    return np.where(labels > 0, np.minimum(edge, 1), 0).astype(np.float32)


def mito(culture: Culture) -> Floats:
    """Short threads in the cytoplasm, drawn towards the nucleus by the phenotype."""
    scene = culture.scene
    threads = np.exp(-((culture.texture(1.2) / 0.35) ** 2)) * np.clip(0.7 + culture.texture(1.4), 0, 1.6)
    draw = culture.per_pixel(1.2 + 2.5 * culture.phenotype)
    envelope = np.exp(-draw * np.clip(scene.depth, 0, 1)) * np.clip((1 - scene.depth) * 4, 0, 1)
    level = culture.per_pixel(4200 * culture.spread(0.25))
    return np.asarray(level * np.where(scene.nuclei > 0, 0.06, envelope * (0.10 + threads)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Stain:
    """A channel: its ideal image, the light it collects and needs, and how long the camera looks."""

    image: Callable[[Culture], Floats]
    wavelength_nm: int
    excitation_nm: int
    exposure_ms: float


STAINS: dict[str, Stain] = {
    "DNA": Stain(dna, 452, 385, 30),
    "Reporter": Stain(reporter, 525, 475, 80),
    "ER": Stain(er, 525, 475, 80),
    "RNA": Stain(rna, 568, 530, 100),
    "AGP": Stain(agp, 624, 575, 120),
    "Mito": Stain(mito, 692, 635, 200),
}
