"""The size model: from a network's style to the diameter of the objects.

Ridge regression from the style to the logarithm of the diameter, as in Cellpose (Stringer et al. 2021), over random
scenes whose objects are much smaller and larger than those the network was trained on.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hts.stages.segment.networks.size import SizeModel
from hts.stages.segment.networks.unet import ResidualUNet
from hts.synth.random_scenes import RandomScene, random_scene
from hts.train.cellpose.settings import TrainingRecipe

STREAM_SIZES = 3
SCENES = 1500
HELD_OUT = 300
SCENE_PX = 256
RANGE = (0.3, 4.5)
"""Diameters of the scenes as multiples of the network's own."""
RIDGE = 1.0
"""Penalty on the squared weights, with styles of unit length and centred."""


def train_size(network: ResidualUNet, recipe: TrainingRecipe, scenes: int = SCENES) -> tuple[SizeModel, float]:
    """The model, and the median absolute logarithmic error on scenes that were held out (0.1 is about 10 %)."""
    styles, diameters = _examples(network, recipe, scenes)
    held = max(1, round(scenes * HELD_OUT / SCENES))
    target = np.log(diameters / network.diameter_px)
    mean, offset = styles[held:].mean(0), target[held:].mean()
    centred = styles[held:] - mean
    gram = centred.T @ centred + RIDGE * np.eye(centred.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (target[held:] - offset))
    error = np.median(np.abs((styles[:held] - mean) @ weights + offset - target[:held]))
    return SizeModel(weights, mean, float(offset), network.diameter_px), float(error)


def _examples(
    network: ResidualUNet, recipe: TrainingRecipe, scenes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    styles, diameters = [], []
    for number in range(scenes):
        rng = np.random.default_rng((recipe.seed, STREAM_SIZES, number))
        wanted = network.diameter_px * np.exp(rng.uniform(*np.log(RANGE)))
        scene = random_scene(rng, recipe.target, SCENE_PX, float(wanted))
        if scene.labels.any():
            styles.append(_style(network, scene))
            diameters.append(median_diameter_px(scene.labels))
    return np.stack(styles), np.asarray(diameters)


def _style(network: ResidualUNet, scene: RandomScene) -> NDArray[np.float64]:
    planes = [_percentiles_to_unit(plane) for plane in scene.image]
    with torch.inference_mode():
        _, style = network(torch.from_numpy(np.stack(planes)[None]))
    return np.asarray(style[0].double().numpy())


def _percentiles_to_unit(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(plane, (1, 99))
    return np.asarray((plane - low) / (high - low) if high > low else np.zeros_like(plane), np.float32)


def median_diameter_px(labels: NDArray[np.int32]) -> float:
    """Median over the objects of the diameter of a disc of their area; 0 without objects."""
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0]
    return float(2 * np.sqrt(np.median(area) / np.pi)) if area.size else 0.0
