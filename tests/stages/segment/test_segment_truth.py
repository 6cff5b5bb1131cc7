"""Built-in settings against truth: simulated fields, and annotated real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.io import imread

import hts
from benchmarks.real_sets import load
from hts.evaluate import pool, score_objects
from hts.recipe import Recipe
from hts.recipe.plugins import load_plugin
from hts.stages.segment import segment_field
from hts.synth import SynthSpec, render_field
from tests.stages.segment.matching import f1_at_half, overlaps

SIMULATED = {
    "translocation": (SynthSpec(seed=11), {"dna": 0, "reporter": 1}),
    "cell-painting": (SynthSpec(seed=11, channels=5), {"dna": 0, "er": 1, "rna": 2, "agp": 3, "mito": 4}),
}


def labels_of(recipe, images, sets=("nuclei", "cells")):
    section = Recipe.load(recipe).segment
    steps = {name: (load_plugin("hts.segmenters", section[name].method), section[name]) for name in sets}
    return segment_field(images, steps)


def simulated(name):
    """Fields in focus of a negative, a middle and the positive well, with what the recipe finds in them."""
    spec, channels = SIMULATED[name]
    for well in (spec.well_ids[0], spec.well_ids[5], spec.well_ids[9]):
        field = render_field(spec, well, 1)
        yield field, labels_of(name, {role: field.images[index] for role, index in channels.items()})


@pytest.mark.parametrize(("recipe", "least"), [("translocation", 0.95), ("cell-painting", 0.85)])
def test_nuclei_of_simulated_fields(recipe, least):
    pairs = [(field.nuclei, found["nuclei"]) for field, found in simulated(recipe)]
    assert f1_at_half(pairs) >= least


def test_cells_of_simulated_fields():
    best = [overlaps(field.cells, found["cells"]).max(axis=1).mean() for field, found in simulated("cell-painting")]
    assert min(best) > 0.7


def test_rings_around_simulated_nuclei():
    for _, found in simulated("translocation"):
        inside = found["nuclei"] > 0
        np.testing.assert_array_equal(found["cells"][inside], found["nuclei"][inside])
        ring = np.bincount(found["cells"][~inside], minlength=found["nuclei"].max() + 1)[1:]
        assert (ring > 0).mean() > 0.98


@pytest.mark.real
@pytest.mark.parametrize(
    ("settings", "least"), [({}, 0.60), ({"diameter_px": 15}, 0.62), ({"threshold": "otsu", "diameter_px": 15}, 0.54)]
)
def test_nuclei_of_the_data_science_bowl(data_dir: Path, settings, least):
    """Narrow strips, faint and mixed sizes: the data's README gives 0.54 for Otsu and a watershed."""
    pairs = []
    folder = data_dir / "dsb2018_stage1_test"
    for path in sorted((folder / "labels_derived").glob("*.png")):
        (picture,) = (folder / "images").glob(f"{path.stem[:12]}*.png")
        image = imread(picture)
        if image.ndim == 3:  # RGB or RGBA of a grey picture; the fourth channel is no light
            image = image[..., :3].mean(axis=-1).astype(np.float32)
        pairs.append((imread(path), nuclei(image, settings)))
    assert len(pairs) == 23
    assert sum(len(np.unique(truth)) - 1 for truth, _ in pairs) == 1443
    assert f1_at_half(pairs) >= least


@pytest.mark.real
def test_nuclei_of_the_stardist_examples(data_dir: Path):
    pairs = []
    for path in sorted((data_dir / "stardist_demo").rglob("img2d.tif")):
        pairs.append((tifffile.imread(path.with_name("mask2d.tif")), nuclei(tifffile.imread(path), {})))
    assert sorted(len(np.unique(truth)) - 1 for truth, _ in pairs) == [65, 125]
    assert f1_at_half(pairs) >= 0.70


def nuclei(image, settings):
    """What the threshold method finds, with some settings changed."""
    return hts.segment(image, "threshold", **{"threshold": "local", "diameter_px": 20, **settings}).astype(np.int32)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "pooled", "mean", "every"),
    [
        ("dsb2018_stage1_test", 0.80, 0.85, 1),
        ("stardist_demo", 0.92, 0.90, 1),
        ("ctc_sim_plus_01", 0.94, 0.94, 16),
        ("ctc_gowt1", 0.95, 0.95, 2),
    ],
)
def test_the_shipped_network_on_images_it_never_saw(data_dir: Path, name, pooled, mean, every):
    """`benchmarks/verify_models.py` has the figures of all images; here a part of the larger sets."""
    examples = [example for number, example in enumerate(load(name, data_dir)) if number % every == 0]
    scores = [score_objects(example.truth, hts.segment(example.image).astype(np.int32)) for example in examples]
    assert pool(scores).hits[0].f1 >= pooled
    assert np.mean([score.hits[0].f1 for score in scores]) >= mean
