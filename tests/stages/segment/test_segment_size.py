"""Diameters: the size model as cellpose 3 reckons it, its files, and estimates from what is found in a sample."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hts.errors import StageError
from hts.stages.segment.networks.size import (
    Diameter,
    SizeModel,
    estimate_diameter,
    load_size_model,
    median_diameter,
    save_size_model,
    size_model_of,
)
from hts.stages.segment.networks.weights import find_weights
from tests.stages.segment.checkpoints import save


def model(size: int = 16, seed: int = 0) -> SizeModel:
    rng = np.random.default_rng(seed)
    return SizeModel(rng.normal(size=size), rng.normal(size=size), 0.1, 30.0)


def as_cellpose(path: Path, made: SizeModel, **extra: Any) -> Path:
    params = {"A": made.a, "smean": made.style_mean, "ymean": np.float64(made.log_mean), "diam_mean": 30.0, **extra}
    np.save(path, params, allow_pickle=True)  # type: ignore[arg-type]
    return path


def test_the_estimate_is_that_of_cellpose(tmp_path: Path) -> None:
    models = pytest.importorskip("cellpose.models")
    if not hasattr(models, "SizeModel"):
        pytest.skip("cellpose 4 has no size model")
    made = model()
    path = as_cellpose(tmp_path / "size.npy", made, error=0.2)

    class Network:
        pretrained_model = device = "none"
        diam_mean = 30.0

    peer = models.SizeModel(Network(), pretrained_size=str(path))
    for seed in range(5):
        style = 0.3 * np.random.default_rng(seed).normal(size=16)
        expected = float(peer._size_estimation(style))
        assert load_size_model(path).diameter_px(style) == pytest.approx(expected, rel=1e-9)


def test_estimates_have_a_floor_and_are_numbers() -> None:
    made = SizeModel(np.array([100.0]), np.array([0.0]), 0.0, 30.0)
    assert made.diameter_px(np.array([-1.0])) == 5.0
    assert made.diameter_px(np.array([np.nan])) == 30.0
    with np.errstate(over="ignore"):
        assert made.diameter_px(np.array([1e9])) == 30.0
    with pytest.raises(StageError, match=r"a style of 1 numbers.*\n  found: 2"):
        made.diameter_px(np.zeros(2))


def test_files_are_written_and_read(tmp_path: Path) -> None:
    made = model()
    save_size_model(tmp_path / "a.npy", made)
    found = load_size_model(tmp_path / "a.npy")
    np.testing.assert_array_equal(found.a, made.a)
    np.testing.assert_array_equal(found.style_mean, made.style_mean)
    assert (found.log_mean, found.diameter_mean_px) == (made.log_mean, 30.0)
    weights = save(tmp_path / "net.pt")
    assert size_model_of(find_weights(str(weights))) is None
    save_size_model(tmp_path / "net_size.npy", made)
    assert size_model_of(find_weights(str(weights))) is not None


class _Explodes:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "a size model of Cellpose"),
        (lambda path: path.write_bytes(as_cellpose(path, model()).read_bytes()[:-40]), "a size model of Cellpose"),
        (lambda path: np.save(path, np.zeros(3)), "ValueError: an array of float64"),
        (lambda path: np.save(path, {"A": np.zeros(3)}, allow_pickle=True), "KeyError: 'smean'"),
        (lambda path: as_cellpose(path, model(), A=_Explodes()), "system is no array"),
        (lambda path: np.save(path, np.array([_Explodes()], object), allow_pickle=True), "an array of object"),
    ],
)
def test_other_files_are_refused_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "bad.npy")
    with pytest.raises(StageError, match=message):
        load_size_model(tmp_path / "bad.npy")
    assert not (tmp_path / "executed").exists()


def test_the_median_diameter_is_that_of_cellpose() -> None:
    utils = pytest.importorskip("cellpose.utils")
    rng = np.random.default_rng(0)
    labels = np.zeros((200, 200), np.int32)
    for n, edge in enumerate(rng.integers(3, 20, 40)):
        y, x = 25 * (n // 8), 25 * (n % 8)
        labels[y : y + edge, x : x + edge] = n + 1
    areas = np.bincount(labels.ravel())[1:].astype(np.float64)
    assert median_diameter(areas) == pytest.approx(float(utils.diameters(labels)[0]))


class _Scene:
    """Images of discs: they are found when looked at as if their diameter were right within a factor of 1.6."""

    def __init__(self, *diameters_px: float, objects: int = 20) -> None:
        self.images = list(diameters_px)
        self.objects = objects
        self.looks: list[tuple[float, float]] = []

    def look(self, image: float, diameter_px: float) -> tuple[Any, Any]:
        self.looks.append((image, diameter_px))
        found = 1 / 1.6 < diameter_px / image < 1.6
        # Looked at too small, objects come out smaller: half way, as a network does.
        seen = (image * diameter_px) ** 0.5
        areas = np.full(self.objects if found else 0, np.pi / 4 * seen**2)
        return areas, np.array([np.log(image / 30.0)])


PERFECT = SizeModel(np.array([1.0]), np.array([0.0]), 0.0, 30.0)


def test_the_size_model_first_then_the_objects() -> None:
    scene = _Scene(80.0, 78.0, 82.0)
    found = estimate_diameter(scene.look, scene.images, 30.0, PERFECT)
    assert found.px == pytest.approx(80, rel=0.02)
    assert (found.n_objects, found.source) == (60, "objects")
    assert [diameter for _, diameter in scene.looks] == [30.0] * 3 + [pytest.approx(80.0)] * 3


def test_without_a_size_model_the_objects_twice() -> None:
    scene = _Scene(40.0)
    found = estimate_diameter(scene.look, scene.images, 30.0)
    assert [diameter for _, diameter in scene.looks] == [30.0, pytest.approx(34.6, rel=0.01)]
    assert found.px == pytest.approx(37.2, rel=0.01)
    assert (found.n_objects, found.source) == (20, "objects")


@pytest.mark.parametrize("diameter_px", [14.0, 70.0])
def test_objects_of_another_scale_are_found_too(diameter_px: float) -> None:
    scene = _Scene(diameter_px)
    assert estimate_diameter(scene.look, scene.images, 30.0).px == pytest.approx(diameter_px, rel=0.1)


def test_where_nothing_is_found() -> None:
    scene = _Scene(1000.0)
    assert estimate_diameter(scene.look, scene.images, 30.0) == Diameter(30.0, 0, "training")
    scene = _Scene(80.0, objects=0)
    assert estimate_diameter(scene.look, scene.images, 30.0, PERFECT) == Diameter(pytest.approx(80.0), 0, "style")
    assert estimate_diameter(scene.look, [], 30.0, PERFECT) == Diameter(30.0, 0, "training")
    assert estimate_diameter(scene.look, [], 30.0) == Diameter(30.0, 0, "training")
