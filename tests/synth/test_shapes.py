from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hts.synth.shapes import at_edge, draw_outlines, populate, touching_objects


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 40),
    size_px=st.integers(128, 200),
    pixel_size_um=st.floats(0.5, 3.0),
    touching=st.floats(0, 0.9),
)
@settings(max_examples=40, deadline=None)
def test_labels_are_valid_whatever_is_asked_for(seed, count, size_px, pixel_size_um, touching):
    scene = populate(np.random.default_rng(seed), count, size_px, pixel_size_um, touching)
    numbers = np.arange(1, len(scene.outlines) + 1)
    assert len(scene.centers_px) == len(numbers) <= count
    assert np.array_equal(np.unique(scene.cells[scene.cells > 0]), numbers)
    assert np.array_equal(np.unique(scene.nuclei[scene.nuclei > 0]), numbers)
    inside = scene.nuclei > 0
    assert np.array_equal(scene.nuclei[inside], scene.cells[inside])
    assert np.array_equal(scene.nuclei[tuple(scene.centers_px.T)], numbers)
    for labels in (scene.nuclei, scene.cells):
        parts = [ndimage.label(labels == number)[1] for number in numbers]
        assert parts == [1] * len(numbers)
    assert np.array_equal(inside, scene.depth < 0)
    assert np.array_equal(scene.cells == 0, scene.depth >= 1)


def test_outlines_have_the_stated_size_and_are_not_round():
    outlines = draw_outlines(np.random.default_rng(1), 400, 0.65)
    area_px = 0.5 * (outlines.nucleus_px**2).sum(axis=1) * (2 * np.pi / outlines.nucleus_px.shape[1])
    radius_um = np.sqrt(area_px / np.pi) * 0.65
    assert np.median(radius_um) == pytest.approx(7.2, rel=0.05)
    assert np.mean(outlines.nucleus_px.max(axis=1) / outlines.nucleus_px.min(axis=1)) > 1.25
    assert np.all(outlines.cell_px - outlines.nucleus_px >= 2.0 / 0.65 - 1e-3)


def test_halving_the_pixel_doubles_the_cell():
    coarse, fine = (draw_outlines(np.random.default_rng(1), 5, size) for size in (1.0, 0.5))
    assert fine.cell_px == pytest.approx(coarse.cell_px * 2, rel=1e-6)


def test_touching_fraction_follows_the_knob():
    def touching(knob: float) -> float:
        scenes = [populate(np.random.default_rng(seed), 60, 512, 0.65, knob) for seed in range(4)]
        return float(np.mean(np.concatenate([touching_objects(s.nuclei, len(s.outlines)) for s in scenes])))

    none, some, many = touching(0.0), touching(0.25), touching(0.6)
    assert none == 0
    assert 0.25 < some < 0.6
    assert many > some + 0.15


def test_a_full_field_takes_as_many_as_fit():
    scene = populate(np.random.default_rng(0), 500, 128, 0.65, 0.2)
    assert 15 < len(scene.outlines) < 60


def test_flags_of_touching_and_edge_objects():
    labels = np.zeros((6, 9), np.int32)
    labels[1:3, 1:3], labels[1:3, 3:5], labels[3:, 7:] = 1, 2, 3
    labels[4, 2] = 4  # meets 1 nowhere
    assert touching_objects(labels, 4).tolist() == [True, True, False, False]
    assert at_edge(labels, 4).tolist() == [False, False, True, False]
