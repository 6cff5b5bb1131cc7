from __future__ import annotations

import numpy as np
import pytest

from hts.synth.shapes import populate
from hts.synth.spec import CHANNEL_SETS
from hts.synth.stains import STAINS, Culture


def culture(nuclear_fraction: float = 0.15) -> Culture:
    scene = populate(np.random.default_rng(5), 25, 256, 0.65, 0.2)
    return Culture(scene, np.full(len(scene.outlines), nuclear_fraction), 0.65, np.random.default_rng(6))


def nucleus_to_cytoplasm(name: str, nuclear_fraction: float = 0.15) -> float:
    made = culture(nuclear_fraction)
    image = STAINS[name].image(made)
    depth = made.scene.depth
    return float(image[depth < 0].mean() / image[(depth > 0) & (depth < 0.5)].mean())


@pytest.mark.parametrize("name", STAINS)
def test_stains_stay_in_the_cells_and_in_the_range_of_the_camera(name):
    made = culture()
    image = STAINS[name].image(made)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert np.percentile(image[made.scene.cells > 0], 99) < 12_000
    assert not image[made.scene.cells == 0].any()


def test_stains_lie_where_their_name_says():
    assert nucleus_to_cytoplasm("DNA") > 20
    assert nucleus_to_cytoplasm("ER") < 0.7
    assert nucleus_to_cytoplasm("Mito") < 0.5


@pytest.mark.parametrize("name", ["Reporter", "RNA"])
def test_translocation_moves_the_stain_into_the_nucleus(name):
    assert nucleus_to_cytoplasm(name, 0.15) < 1 < nucleus_to_cytoplasm(name, 0.8)


def test_mitochondria_draw_near_with_the_phenotype():
    def near(nuclear_fraction: float) -> float:
        made = culture(nuclear_fraction)
        image, depth = STAINS["Mito"].image(made), made.scene.depth
        return float(image[(depth > 0) & (depth < 0.3)].sum() / image[(depth > 0) & (depth < 1)].sum())

    assert near(0.8) > near(0.15) + 0.1


def test_every_channel_has_a_stain_and_every_stain_a_channel():
    assert {name for names in CHANNEL_SETS.values() for name in names} == set(STAINS)
