"""Random stains: ideal images of nuclei and of cells, about 1 where a typical object is bright."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hts.synth.random_scenes.culture import RandomCulture
from hts.synth.shapes import Floats, Labels


def nuclear_stain(rng: np.random.Generator, culture: RandomCulture, bleeding: bool = False) -> Floats:
    """Nuclei: flat, domed or ringed; grained, with dark nucleoli or bright spots; bright ones beside dim ones.

    With `bleeding` the stain is in the bodies of the cells, too, in proportion to their nuclei.
    """
    scene = culture.scene
    inside = scene.nuclei > 0
    squared = np.clip(scene.radius**2, 0, 1)
    dome, ring = rng.uniform(0, 1) * rng.random(), max(0.0, rng.normal(-0.2, 0.3))
    profile = 1 - dome + dome * np.sqrt(1 - squared) + ring * (squared**2)
    level = culture.per_pixel(_brightness(rng, culture.count))
    image = level * profile * _grain(rng, culture) * inside
    if rng.random() < 0.5:
        image *= _spots(rng, culture)
    if bleeding:
        body = _body(culture) ** rng.uniform(0.3, 1.5) * _grain(rng, culture)
        image = np.maximum(image, rng.uniform(0.04, 0.5) * level * body)
    elif rng.random() < 0.3:
        image += rng.uniform(0, 0.3) * _body(culture) * culture.per_pixel(_brightness(rng, culture.count))
    return np.asarray(image, np.float32)


def cell_stain(rng: np.random.Generator, culture: RandomCulture) -> Floats:
    """Cells: thick at the nucleus or flat, bright or dark at the rim, the nucleus spared or not, nets and fibres."""
    scene = culture.scene
    body = _body(culture) ** rng.uniform(0.1, 1.2)
    if rng.random() < 0.5:
        body = body * (1 + rng.uniform(0, 1.5) * _net(rng, culture))
    level = culture.per_pixel(_brightness(rng, culture.count))
    image = level * body * _grain(rng, culture)
    if rng.random() < 0.5:
        image = np.where(scene.nuclei > 0, image * rng.uniform(0.05, 1.6), image)
    if rng.random() < 0.4:
        rim = ndimage.gaussian_filter(_borders(scene.cells), rng.uniform(0.4, 1.2), truncate=3)
        image = rng.uniform(0.05, 1) * image + rng.uniform(0.3, 2) * rim * level
    return np.asarray(image, np.float32)


def _brightness(rng: np.random.Generator, count: int) -> Floats:
    """One factor an object; in some scenes a part of them is dim."""
    factor = rng.lognormal(0, rng.uniform(0.03, 0.55), count)
    if rng.random() < 0.35:
        factor *= np.where(rng.random(count) < rng.uniform(0, 0.4), rng.uniform(0.12, 0.6), 1)
    return factor.astype(np.float32)


def _grain(rng: np.random.Generator, culture: RandomCulture) -> Floats:
    fine = rng.uniform(0, 0.35) * rng.random() * culture.texture(culture.diameter_px * rng.uniform(0.02, 0.08))
    coarse = rng.uniform(0, 0.5) * rng.random() * culture.texture(culture.diameter_px * rng.uniform(0.08, 0.3))
    grain = np.clip(1 + fine + coarse, 0.1, 3)
    if rng.random() < 0.3:
        patches = culture.texture(culture.diameter_px * rng.uniform(0.1, 0.25))
        grain = grain * np.exp(rng.uniform(0.2, 0.8) * patches)
    return np.asarray(grain, np.float32)


def _spots(rng: np.random.Generator, culture: RandomCulture) -> Floats:
    """A factor for each pixel: nucleoli (below 1) or chromocentres (above 1)."""
    shape = culture.scene.cells.shape
    owner = np.repeat(np.arange(culture.count), rng.integers(0, rng.integers(2, 12), culture.count))
    theta, part = rng.uniform(0, 2 * np.pi, len(owner)), 0.75 * np.sqrt(rng.random(len(owner)))
    reach = culture.diameter_px / 2 * part
    at = culture.scene.centers_px[owner] + np.rint(np.stack([np.sin(theta) * reach, np.cos(theta) * reach], 1)).astype(
        int
    )
    inside = np.all((at >= 0) & (at < shape[0]), axis=1)
    sigma = max(culture.diameter_px * rng.uniform(0.03, 0.1), 0.5)
    points = np.zeros(shape, np.float32)
    np.add.at(points, tuple(at[inside].T), np.float32(2 * np.pi * sigma**2))
    bumps = np.minimum(ndimage.gaussian_filter(points, sigma, truncate=3), 1.5)
    height = rng.uniform(-0.9, -0.2) if rng.random() < 0.6 else rng.uniform(0.3, 2.5)
    return np.asarray(1 + bumps * height, np.float32)


def _net(rng: np.random.Generator, culture: RandomCulture) -> Floats:
    """Fibres, threads or a net, between 0 and 1."""
    texture = culture.texture(culture.diameter_px * rng.uniform(0.03, 0.12), float(rng.choice([1, 1, 3, 6])))
    return np.asarray(np.exp(-((texture / rng.uniform(0.3, 0.8)) ** 2)))


def _body(culture: RandomCulture) -> Floats:
    """Thickness of the cells: 1 at the nucleus, falling to the rim, 0 outside."""
    thickness = np.sqrt(np.clip(1 - np.maximum(culture.scene.depth, 0), 0, 1))
    return np.asarray(thickness * (culture.scene.cells > 0), np.float32)


def _borders(labels: Labels) -> Floats:
    edge = np.zeros(labels.shape, np.float32)
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        edge[tuple(slice(0, size) for size in differs.shape)] += differs
    return np.minimum(edge, 1)
