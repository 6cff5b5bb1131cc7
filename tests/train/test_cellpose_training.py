"""Training: scenes turn with their flows, a network learns, and the same recipe gives the same weights."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from hts.errors import NotFoundError, RecipeError, UsageError
from hts.stages.segment.networks.size import load_size_model
from hts.stages.segment.networks.unet import ResidualUNet
from hts.train.cellpose import TrainingRecipe, load_training_recipe, make_model, parse_settings
from hts.train.cellpose.loop import loss_of, train
from hts.train.cellpose.scenes import ScenePool, draw_scene, turn
from hts.train.cellpose.size import median_diameter_px

SMALL = TrainingRecipe(
    target="nuclei",
    widths=(4, 8),
    steps=6,
    batch=2,
    crop_px=32,
    scene_px=64,
    pool=4,
    warmup=2,
    validate_every=3,
    validation_scenes=2,
    precision="float32",
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums over several threads have no fixed order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_turning_keeps_labels_with_their_image():
    image = np.arange(2 * 5 * 5, dtype=np.float32).reshape(2, 5, 5)
    for quarters in range(4):
        for mirrored in (False, True):
            turned, alone = turn(image, quarters, mirrored), turn(image[1], quarters, mirrored)
            assert np.array_equal(turned[1], alone)
            assert sorted(turned[0].ravel()) == sorted(image[0].ravel())
    assert np.array_equal(turn(image, 1, False)[0, -1], image[0, :, 0])


def test_a_scene_depends_on_its_seed_stream_and_number_only():
    scene, again, other = draw_scene(SMALL, 0, 3), draw_scene(SMALL, 0, 3), draw_scene(SMALL, 1, 3)
    assert scene.image.shape == (2, 64, 64)
    assert np.array_equal(scene.image, again.image)
    assert np.array_equal(scene.labels, again.labels)
    assert not np.array_equal(scene.image, other.image)


def test_the_pool_replaces_its_oldest_scene():
    pool = ScenePool.fill(SMALL)
    before = list(pool.scenes)
    pool.refresh()
    assert [old is new for old, new in zip(before, pool.scenes, strict=True)] == [False, True, True, True]
    assert np.array_equal(pool.scenes[0].image, draw_scene(SMALL, 0, 4).image)


def test_targets_are_those_of_what_is_seen_of_an_object():
    pool, rng = ScenePool.fill(SMALL), np.random.default_rng(0)
    batches = np.concatenate([pool.batch(rng) for _ in range(20)])
    assert batches.shape == (40, 5, 32, 32)
    assert set(np.unique(batches[:, 4])) == {0, 1}
    length = np.hypot(batches[:, 2], batches[:, 3])
    assert not length[batches[:, 4] == 0].any()
    # No flow leaves the crop: on its left border dx is positive but where an object's centre lies there.
    at_left = (batches[:, 4, :, 0] > 0) & (length[:, :, 0] > 0)
    assert at_left.sum() > 50
    assert (batches[:, 3, :, 0][at_left] >= -1e-6).all()
    # About half the crops end before their border, in dark.
    framed = [not crop[0, -1].any() or not crop[0, :, -1].any() for crop in batches]
    assert 8 < sum(framed) < 32


def test_the_loss_is_zero_for_what_it_asks_for_and_counts_flows_five_times():
    targets = torch.zeros(1, 3, 4, 4)
    targets[:, 0], targets[:, 2] = 1, 1
    right = torch.stack([torch.full((4, 4), 5.0), torch.zeros(4, 4), torch.full((4, 4), 50.0)])[None]
    assert float(loss_of(right, targets)) == pytest.approx(0, abs=1e-6)
    still = right.clone()
    still[:, 0] = 0
    # Half the mean over both components of 5².
    assert float(loss_of(still, targets)) == pytest.approx(6.25)


def test_training_learns_and_gives_the_same_weights_again(tmp_path):
    lines = []
    recipe = SMALL.model_copy(update={"steps": 60, "validate_every": 30, "learning_rate": 0.01, "average": 0.8})
    network = train(recipe, tmp_path / "a", lines.append)
    train(recipe, tmp_path / "b", lambda line: None)
    assert lines[1]["validation_loss"] < lines[0]["validation_loss"]
    one, two = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert one["output.2.weight"].dtype == torch.float16
    assert torch.allclose(one["output.2.weight"].float(), network.state_dict()["output.2.weight"], atol=1e-2)
    with (tmp_path / "a" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [30, 60]
    assert load_training_recipe(tmp_path / "a" / "recipe.yaml") == recipe


def test_training_goes_on_from_given_weights(tmp_path):
    train(SMALL, tmp_path / "a", lambda line: None)
    still = SMALL.model_copy(
        update={"start_from": str(tmp_path / "a" / "weights.pt"), "learning_rate": 1e-12, "steps": 1}
    )
    network = train(still, tmp_path / "b", lambda line: None)
    start = torch.load(tmp_path / "a" / "weights.pt", weights_only=True)
    assert torch.allclose(network.state_dict()["output.2.weight"], start["output.2.weight"].float(), atol=1e-3)


def test_a_model_comes_with_its_size_model_and_its_hash(tmp_path):
    said = []
    made = make_model(SMALL, tmp_path / "m", said.append, "cpu", scenes=12)
    assert len(said) == 2
    assert len(made.sha256) == 64
    size = load_size_model(Path(made.size_model))
    assert size.a.shape == (8,)
    assert size.diameter_mean_px == 17
    assert made.lines()
    network = ResidualUNet.from_state(torch.load(made.weights, weights_only=True))
    assert network.widths == (4, 8)
    with pytest.raises(UsageError, match="log of another one"):
        make_model(SMALL, tmp_path / "m", said.append, "cpu")


def test_an_unknown_device_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a device of this machine"):
        make_model(SMALL, tmp_path / "m", print, "cuda:77")


def test_the_built_in_recipes_are_there_and_settings_are_checked(tmp_path):
    assert load_training_recipe("nuclei").target == "nuclei"
    assert load_training_recipe("cells", parse_settings(["steps=7"])).steps == 7
    with pytest.raises(NotFoundError, match="built in: cells, nuclei"):
        load_training_recipe("yeast")
    with pytest.raises(RecipeError, match="steps"):
        load_training_recipe("cells", {"steps": 0})
    with pytest.raises(RecipeError, match="Extra inputs"):
        load_training_recipe("cells", {"step": 1})
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        parse_settings(["steps"])
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(RecipeError, match="maps settings"):
        load_training_recipe(tmp_path / "list.yaml")


def test_the_median_diameter_is_that_of_discs():
    labels = np.zeros((60, 60), np.int32)
    y, x = np.mgrid[:60, :60]
    labels[(y - 15) ** 2 + (x - 15) ** 2 <= 100] = 2
    assert median_diameter_px(labels) == pytest.approx(20, abs=0.5)
    assert median_diameter_px(np.zeros((3, 3), np.int32)) == 0
