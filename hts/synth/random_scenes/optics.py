"""What preparation, microscope and camera do to an ideal image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hts.synth.shapes import Floats


def degrade(rng: np.random.Generator, ideal: Floats, diameter_px: float) -> Floats:
    """An image as a camera might give it, with haze, debris, blur, uneven light, background, noise and saturation.

    `ideal` is about 1 in a typical object; the unit of the result is arbitrary.
    """
    image = ideal
    if rng.random() < 0.5:
        image = image + rng.uniform(0, 0.5) * ndimage.gaussian_filter(
            image, diameter_px * rng.uniform(0.4, 2.5), truncate=2
        )
    if rng.random() < 0.4:
        image = image + _debris(rng, image.shape, diameter_px)
    image = ndimage.gaussian_filter(image, _blur_px(rng, diameter_px), truncate=3)
    image = image * _light(rng, image.shape)
    image = image + _background(rng, image.shape)
    image = _noise(rng, image)
    return _camera(rng, image)


def _blur_px(rng: np.random.Generator, diameter_px: float) -> float:
    return float(rng.uniform(0.3, max(0.5, min(0.14 * diameter_px, 4.0))))


def _debris(rng: np.random.Generator, shape: tuple[int, ...], diameter_px: float) -> Floats:
    """Bright specks far smaller than an object, and now and then a large faint body far out of focus."""
    points = np.zeros(shape, np.float32)
    count = rng.integers(1, 12)
    sigma = max(0.4, diameter_px * rng.uniform(0.02, 0.06))
    at = rng.integers(0, shape[0], (2, count))
    points[tuple(at)] = rng.uniform(0.3, 3, count) * 2 * np.pi * sigma**2
    specks = ndimage.gaussian_filter(points, sigma, truncate=3)
    if rng.random() < 0.4:
        bodies = np.zeros(shape, np.float32)
        wide = diameter_px * rng.uniform(0.6, 1.5)
        bodies[tuple(rng.integers(0, shape[0], (2, 2)))] = rng.uniform(0.05, 0.5) * 2 * np.pi * wide**2
        specks = specks + ndimage.gaussian_filter(bodies, wide, truncate=2.5, mode="constant")
    return np.asarray(specks)


def _light(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Uneven light: brighter around some place in or beside the scene."""
    strength = rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    center = rng.uniform(-1.5, 1.5, 2)
    distance = (y - center[0]) ** 2 + (x - center[1]) ** 2
    return np.asarray(1 - strength * distance / distance.max(), np.float32)


def _background(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Diffuse light, in half of the scenes with slow clouds in it."""
    level = rng.uniform(0, 0.6) * rng.random()
    clouds = np.float32(0)
    if rng.random() < 0.5:
        coarse = rng.random((rng.integers(2, 6), rng.integers(2, 6))).astype(np.float32)
        zoom = (shape[0] / coarse.shape[0], shape[1] / coarse.shape[1])
        clouds = ndimage.zoom(coarse, zoom, order=1)[: shape[0], : shape[1]] * np.float32(rng.uniform(0, 0.3))
    return np.asarray(level + clouds, np.float32)


def _noise(rng: np.random.Generator, image: Floats) -> Floats:
    """Photon noise at 5 to 3,000 photons for a typical object, read noise; sometimes smoothed, as resizing does."""
    photons = np.exp(rng.uniform(np.log(8), np.log(3000)))
    noisy = rng.poisson(np.maximum(image, 0) * photons).astype(np.float32) / np.float32(photons)
    noisy += rng.normal(0, rng.uniform(0, 0.08) * rng.random(), image.shape).astype(np.float32)
    if rng.random() < 0.4:
        noisy = ndimage.gaussian_filter(noisy, rng.uniform(0.3, 1.0), truncate=3)
    return np.asarray(noisy, np.float32)


def _camera(rng: np.random.Generator, image: Floats) -> Floats:
    """Saturation, a curve between light and grey level, few grey levels."""
    low, high = (float(value) for value in np.percentile(image, (0.5, 99.8)))
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, None)
    if rng.random() < 0.25:
        scaled = np.minimum(scaled, rng.uniform(0.35, 1))
    if rng.random() < 0.4:
        scaled = scaled ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.4:
        levels = np.exp(rng.uniform(np.log(12), np.log(255)))
        scaled = np.rint(scaled * levels) / levels
    return np.asarray(scaled, np.float32)
