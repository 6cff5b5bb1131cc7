"""The pool of scenes that batches are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.stages.segment.flows.targets import flows_of_labels
from hts.synth.random_scenes import random_scene
from hts.train.cellpose.settings import TrainingRecipe

Floats = NDArray[np.float32]
STREAM_TRAINING, STREAM_VALIDATION, STREAM_BATCHES = 0, 1, 2
FRAMED = 0.5
"""Share of the crops that end before their border, as fields do that are padded to a multiple of 8 pixels."""
MAX_PADDING_PX = 24


@dataclass(frozen=True, slots=True)
class PooledScene:
    """A scene, normalised: image (2, Y, X) float16, labels (Y, X) int16."""

    image: NDArray[np.float16]
    labels: NDArray[np.int16]


def draw_scene(recipe: TrainingRecipe, stream: int, number: int) -> PooledScene:
    """Scene `number`; it depends on nothing but the recipe's seed and target, the stream and the number."""
    rng = np.random.default_rng((recipe.seed, stream, number))
    scene = random_scene(rng, recipe.target, recipe.scene_px)
    image = np.stack([_unit_range(rng, plane) for plane in scene.image])
    return PooledScene(image.astype(np.float16), scene.labels.astype(np.int16))


def _unit_range(rng: np.random.Generator, plane: Floats) -> Floats:
    """1st to 99th percentile to 0…1; the percentiles vary, because those of a whole field are not those of a part."""
    low, high = np.percentile(plane, (rng.uniform(0, 4), rng.uniform(97, 99.9)))
    if high - low <= 1e-6:
        return np.zeros_like(plane)
    return np.asarray(np.clip((plane - low) / (high - low), -20, 20), np.float32)


def with_targets(image: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """Image, flows and inside, (5, Y, X).

    Flows lead to the centre of what is seen of an object: a network that saw its targets cut from a larger scene sends
    the pixels of an object at the border out of the field, where they meet nowhere.
    """
    flows, inside = flows_of_labels(labels.astype(np.int32))
    return np.concatenate([image.astype(np.float32), flows, inside[None].astype(np.float32)])


def held_out(recipe: TrainingRecipe) -> Floats:
    """Whole scenes with their targets that are never trained on: (n, 5, Y, X)."""
    scenes = [draw_scene(recipe, STREAM_VALIDATION, number) for number in range(recipe.validation_scenes)]
    return np.stack([with_targets(scene.image, scene.labels) for scene in scenes])


@dataclass
class ScenePool:
    """The scenes at hand; the oldest are replaced as training goes on."""

    recipe: TrainingRecipe
    scenes: list[PooledScene]
    drawn: int

    @classmethod
    def fill(cls, recipe: TrainingRecipe) -> ScenePool:
        """A pool of the recipe's size."""
        scenes = [draw_scene(recipe, STREAM_TRAINING, number) for number in range(recipe.pool)]
        return cls(recipe, scenes, recipe.pool)

    def refresh(self) -> None:
        """Put new scenes in the place of the oldest."""
        for _ in range(self.recipe.fresh):
            self.scenes[self.drawn % len(self.scenes)] = draw_scene(self.recipe, STREAM_TRAINING, self.drawn)
            self.drawn += 1

    def batch(self, rng: np.random.Generator) -> Floats:
        """Crops with their targets (n, 5, crop, crop), turned and mirrored at random, with varied brightness."""
        return np.stack([self._crop(rng) for _ in range(self.recipe.batch)])

    def _crop(self, rng: np.random.Generator) -> Floats:
        scene, side = self.scenes[rng.integers(len(self.scenes))], self.recipe.crop_px
        y, x = rng.integers(0, self.recipe.scene_px - side + 1, 2)
        image = scene.image[:, y : y + side, x : x + side].astype(np.float32)
        labels = scene.labels[y : y + side, x : x + side]
        gain = np.exp(rng.normal(0, 0.25, (2, 1, 1))).astype(np.float32)
        shift = rng.normal(0, 0.04, (2, 1, 1)).astype(np.float32) * image.any((1, 2), keepdims=True)
        quarters, mirrored = int(rng.integers(4)), rng.random() < 0.5
        image, labels = turn(image * gain + shift, quarters, mirrored), turn(labels, quarters, mirrored)
        if rng.random() < FRAMED:
            bottom, right = side - rng.integers(0, MAX_PADDING_PX + 1, 2)
            image[:, bottom:], image[:, :, right:] = 0, 0
            labels[bottom:], labels[:, right:] = 0, 0
        return with_targets(image, labels)


def turn(planes: NDArray[Any], quarters: int, mirrored: bool) -> NDArray[Any]:
    """A copy of (…, Y, X), turned by quarters and mirrored."""
    turned = np.rot90(planes, quarters, (-2, -1))
    return np.array(turned[..., ::-1] if mirrored else turned)
