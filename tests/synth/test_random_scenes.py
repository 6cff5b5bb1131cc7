"""Random scenes: the truth fits the image, and nothing but the seed decides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hts.synth.random_scenes import random_scene
from hts.synth.random_scenes.culture import random_culture


@pytest.mark.parametrize("target", ["nuclei", "cells"])
def test_a_scene_is_decided_by_its_generator(target):
    first, again, other = (random_scene(np.random.default_rng(seed), target, 96) for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("target", ["nuclei", "cells"])
@pytest.mark.parametrize("seed", range(8))
def test_objects_are_whole_and_numbered_and_of_the_size_asked_for(target, seed):
    scene = random_scene(np.random.default_rng(seed), target, 160, 24.0)
    assert scene.image.shape == (2, 160, 160)
    assert np.isfinite(scene.image).all()
    areas = []
    for number, box in enumerate(ndimage.find_objects(scene.labels), 1):
        if box is None:
            continue
        inside = scene.labels[box] == number
        assert ndimage.label(inside)[1] == 1
        at_edge = any(part.start == 0 or part.stop == 160 for part in box)
        if not at_edge:
            areas.append(inside.sum())
    if areas:
        assert 0.4 * 24 < 2 * np.sqrt(np.median(areas) / np.pi) < 2 * 24


def test_only_scenes_of_cells_show_nuclei_beside():
    planes = [random_scene(np.random.default_rng(seed), "nuclei", 64).image[1] for seed in range(5)]
    assert not np.any(planes)
    shown = [bool(random_scene(np.random.default_rng(seed), "cells", 64).image[1].any()) for seed in range(30)]
    assert 5 < sum(shown) < 25


def test_objects_are_brighter_than_what_is_around_them_in_most_scenes():
    """A truth that lies beside its objects would train a network on noise."""
    ahead = 0
    for seed in range(30):
        scene = random_scene(np.random.default_rng(seed), "nuclei", 128)
        inside = ndimage.binary_erosion(scene.labels > 0)
        outside = ~ndimage.binary_dilation(scene.labels > 0, iterations=3)
        if inside.any() and outside.any():
            ahead += scene.image[0][inside].mean() > scene.image[0][outside].mean()
    assert ahead >= 27


def test_densities_reach_from_sparse_to_crowded():
    covered = [(random_culture(np.random.default_rng(seed), 128, 16.0).scene.nuclei > 0).mean() for seed in range(40)]
    assert min(covered) < 0.1
    assert max(covered) > 0.5
