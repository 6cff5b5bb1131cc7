"""The segmenter ``cellpose``: what every segmenter must do, streams of fields, calibration, identity, bad input."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from hts.errors import NotFoundError, StageError
from hts.recipe import Recipe
from hts.stages.segment import cellpose as module
from hts.stages.segment.cellpose import Calibration, CellposeParams, CellposeSegmenter
from hts.stages.segment.networks import adapter, fields
from hts.stages.segment.networks.weights import Weights, find_weights
from hts.stages.segment.normalize import Limits
from tests.stages.segment.checkpoints import DiscNetwork, random_state, save
from tests.stages.segment.conformance import SegmenterConformance, blobs


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DiscNetwork:
    """The network by hand in the place of every model."""
    return _install(monkeypatch, tmp_path)


def _install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> DiscNetwork:
    made = DiscNetwork()
    path = save(folder / "discs.pt", diameter_px=12.0)
    weights = Weights("discs", path, made.sha256, "unet", 12.0, 8)
    monkeypatch.setattr(module, "_weights", lambda _: weights)
    monkeypatch.setattr(adapter, "load_network", lambda *_: made)
    return made


class TestConformance(SegmenterConformance):
    segmenter = CellposeSegmenter()
    params: ClassVar[tuple[CellposeParams, ...]] = (
        CellposeParams(diameter_px=12),
        CellposeParams(diameter_px=16, channel="reporter", nucleus="dna", block_px=64, flow_threshold=0, min_area_px=0),
        CellposeParams(flow_threshold=0),
    )

    @pytest.fixture(autouse=True)
    def _by_hand(self, network: DiscNetwork) -> None:
        pass

    def test_memory_stays_within_what_is_declared(self) -> None:  # type: ignore[override]
        """Of NumPy; torch's is not Python's and is measured in a process of its own, below."""
        images = {"dna": blobs((512, 512))}
        self.segmenter.segment({"dna": images["dna"][:64, :64]}, {}, PARAMS)
        tracemalloc.start()
        try:
            self.segmenter.segment(images, {}, PARAMS)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak_bytes <= module._OUTPUT_BYTES * 512 * 512


_PEAK = """
import sys
import numpy as np, torch
from hts.stages.segment.cellpose import CellposeParams, CellposeSegmenter
torch.set_num_threads(1)
segmenter, side = CellposeSegmenter(), int(sys.argv[2])
# Nothing is inside: random weights find nonsense, and objects of a whole field are slow.
params = CellposeParams(model=sys.argv[1], diameter_px=float(sys.argv[3]), probability_threshold=1e9)
image = np.random.default_rng(0).integers(0, 200, (side, side)).astype(np.uint16)
segmenter.segment({"dna": image[:64, :64].copy()}, {}, params)
def peak_bytes():
    # Not ru_maxrss: a child starts with what its parent, here pytest, has reached.
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])
before = peak_bytes()
segmenter.segment({"dna": image}, {}, params)
print(peak_bytes() - before, segmenter.working_bytes(params, image.shape))
"""


@pytest.mark.parametrize(("side_px", "diameter_px"), [(512, 30), (1024, 60)])
def test_memory_stays_within_what_is_declared(tmp_path: Path, side_px: int, diameter_px: int) -> None:
    path = save(tmp_path / "net.pt", widths=(16, 32))
    command = [sys.executable, "-c", _PEAK, str(path), str(side_px), str(diameter_px)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    peak_bytes, declared_bytes = map(int, done.stdout.split())
    assert peak_bytes <= declared_bytes
    assert declared_bytes <= 4 * peak_bytes


def field(seed: int = 0, shape: tuple[int, int] = (96, 120), low: int = 0) -> dict[str, NDArray[Any]]:
    return {"dna": (blobs((shape[0] + seed, shape[1])).astype(np.uint16) + low)[seed:]}


PARAMS = CellposeParams(diameter_px=12)


def test_a_stream_gives_what_single_fields_give(network: DiscNetwork) -> None:
    fields = [field(n, shape) for n, shape in enumerate([(96, 120), (200, 100), (40, 40), (96, 120)])]
    params = CellposeParams(diameter_px=12, block_px=64, batch_size=5)
    segmenter = CellposeSegmenter()
    done = list(segmenter.segment_stream(((n, images) for n, images in enumerate(fields)), params, threads=1))
    assert [one.key for one in done] == [0, 1, 2, 3]
    assert network.threads == {1}
    for images, one in zip(fields, done, strict=True):
        assert one.error is None
        np.testing.assert_array_equal(one.labels, segmenter.segment(images, {}, params))
        assert one.record["diameter_px"] == 12.0
        assert one.record["device"] == "cpu"
    assert sum(shape[0] == 5 for shape in network.batches) >= 3


def test_bad_fields_of_a_stream_cost_themselves_only(network: DiscNetwork) -> None:
    good = field()
    fields = [
        ("blank", {"dna": np.zeros((30, 40), np.uint8)}),
        ("missing", {"reporter": good["dna"]}),
        ("good", good),
        ("stack", {"dna": np.zeros((2, 3, 4))}),
        ("text", {"dna": np.zeros((3, 4), "U1")}),
        ("nan", {"dna": np.full((5, 6), np.nan)}),
        ("empty", {"dna": np.zeros((0, 6), np.uint8)}),
        ("again", good),
        ("last", {}),
    ]
    done = {one.key: one for one in CellposeSegmenter().segment_stream(iter(fields), PARAMS)}
    assert list(done) == [key for key, _ in fields]
    errors = {key: str(one.error) for key, one in done.items() if one.error is not None}
    assert list(errors) == ["missing", "stack", "text", "last"]
    assert errors["missing"] == "a plane of dna in this field\n  found: planes of reporter"
    assert "planes (Y, X) of one shape" in errors["stack"]
    assert "pixels of type <U1" in errors["text"]
    assert "planes of nothing" in errors["last"]
    for key in errors:
        assert done[key].labels is None
    for key, shape in (("blank", (30, 40)), ("nan", (5, 6)), ("empty", (0, 6))):
        labels = done[key].labels
        assert labels is not None
        assert labels.shape == shape
        assert not labels.any()
        assert done[key].record["blank"]
    assert done["nan"].record["invalid_pixels"] == 30
    np.testing.assert_array_equal(done["good"].labels, done["again"].labels)
    assert done["again"].labels.max() > 10


def test_pixels_that_are_no_numbers_are_counted_and_hurt_nobody(network: DiscNetwork) -> None:
    image = field()["dna"].astype(np.float32)
    whole = CellposeSegmenter().segment({"dna": image}, {}, PARAMS)
    image[:20, :20] = np.nan
    (done,) = CellposeSegmenter().segment_stream([(0, {"dna": image})], PARAMS)
    assert done.record["invalid_pixels"] == 400
    assert done.labels is not None
    far = np.s_[48:, 48:]
    assert len(np.unique(done.labels[far])) == len(np.unique(whole[far]))


def test_memory_that_ran_out_is_in_the_record(network: DiscNetwork) -> None:
    network.most_pixels = 2 * 96 * 120
    fields = [(n, field()) for n in range(8)]
    done = list(CellposeSegmenter().segment_stream(fields, CellposeParams(diameter_px=12, batch_size=8)))
    assert [one.record["batch_halvings"] for one in done] == [2] * 8


def test_channels_and_their_order(network: DiscNetwork) -> None:
    """The first channel is the main one, the nuclei come second, an absent one is zeros."""
    seen: list[torch.Tensor] = []
    run = network.run

    def spy(batch: torch.Tensor) -> Any:
        seen.append(batch)
        return run(batch)

    network.run = spy  # type: ignore[method-assign]
    images = {"reporter": field()["dna"], "dna": field()["dna"][::-1].copy()}
    CellposeSegmenter().segment(images, {}, CellposeParams(channel="reporter", nucleus="dna", diameter_px=12))
    torch.testing.assert_close(seen[0][0, 0], seen[0][0, 1].flip(0))
    CellposeSegmenter().segment(images, {}, CellposeParams(channel="reporter", diameter_px=12))
    assert not seen[1][0, 1].any()
    network.channels = 1
    with pytest.raises(
        StageError, match=r"takes 1 channel.*\n  found: 2: reporter, dna(?s:.)*leave out the key nucleus"
    ):
        CellposeSegmenter().segment(images, {}, CellposeParams(channel="reporter", nucleus="dna", diameter_px=12))
    images["dna"] = images["dna"][1:]
    with pytest.raises(StageError, match=r"planes \(Y, X\) of one shape\n  found: \(96, 120\) and \(95, 120\)"):
        CellposeSegmenter().segment(images, {}, CellposeParams(channel="reporter", nucleus="dna", diameter_px=12))


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_the_diameter_resizes_the_image_and_not_the_labels(network: DiscNetwork, scale: float) -> None:
    image = blobs((96, 120)).astype(np.float32)
    large = torch.nn.functional.interpolate(torch.from_numpy(image)[None, None], scale_factor=scale, mode="bilinear")
    segmenter = CellposeSegmenter()
    expected = segmenter.segment({"dna": image}, {}, CellposeParams(diameter_px=12, min_area_px=3))
    params = CellposeParams(diameter_px=12 * scale, min_area_px=3)
    found = segmenter.segment({"dna": large[0, 0].numpy()}, {}, params)
    assert found.shape == (round(96 * scale), round(120 * scale))
    assert found.max() == expected.max()
    assert network.batches[-1][2:] == network.batches[0][2:]
    area = np.median(np.bincount(found.ravel())[1:]) / np.median(np.bincount(expected.ravel())[1:])
    assert area == pytest.approx(scale**2, rel=0.25)


@pytest.mark.parametrize(("diameter_px", "steps"), [(6, 100), (12, 200), (36, 600)])
def test_pixels_go_as_far_as_their_image_is_large(
    network: DiscNetwork, monkeypatch: pytest.MonkeyPatch, diameter_px: int, steps: int
) -> None:
    """200 steps at the scale of the network; in an image three times as large the way is three times as long."""
    asked: list[int] = []
    masks = fields.masks_from_flows

    def spy(flows: Any, probability: Any, settings: Any) -> NDArray[np.int32]:
        asked.append(settings.steps)
        return masks(flows, probability, settings)

    monkeypatch.setattr(fields, "masks_from_flows", spy)
    CellposeSegmenter().segment(field(), {}, CellposeParams(diameter_px=diameter_px))
    assert asked == [steps]


def test_blocks_do_not_show(network: DiscNetwork) -> None:
    image = {"dna": blobs((300, 260))}
    segmenter = CellposeSegmenter()
    whole = segmenter.segment(image, {}, CellposeParams(diameter_px=12, block_px=1024))
    for block_px in (64, 128):
        tiled = segmenter.segment(image, {}, CellposeParams(diameter_px=12, block_px=block_px))
        assert (tiled != whole).mean() < 0.002
        assert tiled.max() == whole.max()


# --- calibration -------------------------------------------------------------------------------------------------


def test_the_diameter_is_estimated_from_a_sample(network: DiscNetwork) -> None:
    sample = [field(n, (150, 150)) for n in range(3)]
    found = CellposeSegmenter().calibrate(sample, CellposeParams())
    assert found.source == "objects"
    assert found.n_objects > 60
    assert 8 < found.diameter_px < 16
    images = field()
    expected = CellposeSegmenter().segment(images, {}, CellposeParams(diameter_px=found.diameter_px))
    np.testing.assert_array_equal(CellposeSegmenter().segment(images, {}, CellposeParams(), found), expected)
    assert Calibration.from_json(found.to_json()) == found


def test_the_estimate_is_in_pixels_of_the_image(network: DiscNetwork) -> None:
    """Of images 1.5 times as large it is 1.5 times as large, at whatever scale the network sees them."""
    image = torch.from_numpy(blobs((150, 150)).astype(np.float32))[None, None]
    large = torch.nn.functional.interpolate(image, scale_factor=1.5, mode="bilinear")
    small_px, large_px = (
        CellposeSegmenter().calibrate([{"dna": one[0, 0].numpy()}], CellposeParams()).diameter_px
        for one in (image, large)
    )
    assert large_px / small_px == pytest.approx(1.5, rel=0.15)


def test_a_diameter_that_is_given(network: DiscNetwork) -> None:
    segmenter = CellposeSegmenter()
    assert segmenter.calibrate([], PARAMS) == Calibration(12.0)
    micrometres = CellposeParams(diameter_um=6)
    assert segmenter.calibrate([], micrometres, pixel_size_um=0.5) == Calibration(12.0)
    for call in (lambda: segmenter.calibrate([], micrometres), lambda: segmenter.segment(field(), {}, micrometres)):
        with pytest.raises(StageError, match=r"(?s)a pixel size, to know how many pixels.*6.0 µm.*--pixel-size-um"):
            call()
    assert network.batches == []


def test_images_of_a_plate_are_normalised_together(network: DiscNetwork) -> None:
    """A field with nothing but dim dirt stays empty beside fields with objects; by itself its dirt is stretched."""
    dim = {"dna": (blobs((96, 120)) // 20).astype(np.uint16)}
    fields = [field(), dim]
    alone, together = CellposeParams(diameter_px=12), CellposeParams(diameter_px=12, normalize="plate")
    segmenter = CellposeSegmenter()
    calibration = segmenter.calibrate(fields, together)
    pixels = np.concatenate([images["dna"].ravel() for images in fields])
    assert tuple(calibration.limits["dna"][:2]) == pytest.approx(tuple(np.percentile(pixels, (1, 99))))
    assert Calibration.from_json(calibration.to_json()).limits["dna"][:2] == calibration.limits["dna"][:2]
    assert segmenter.segment(dim, {}, alone).max() > 10
    assert segmenter.segment(dim, {}, together, calibration).max() == 0
    assert segmenter.segment(fields[0], {}, together, calibration).max() > 10


@pytest.mark.parametrize("normalize", ["well", "plate"])
def test_common_limits_must_be_known(network: DiscNetwork, normalize: Any) -> None:
    params = CellposeParams(diameter_px=12, normalize=normalize)
    with pytest.raises(StageError, match=f"limits of all images of the {normalize}"):
        CellposeSegmenter().segment(field(), {}, params)
    with pytest.raises(StageError, match="limits of all images"):
        CellposeSegmenter().segment(field(), {}, params, Calibration(12.0, limits={"other": Limits(0, 1)}))
    limits = CellposeSegmenter().pooled_limits(iter([field(), {}, field(1)]), params)
    assert list(limits) == ["dna"]
    assert CellposeSegmenter().segment(field(), {}, params, Calibration(12.0, limits=limits)).max() > 10


# --- settings and weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"diameter_px": 10, "diameter_um": 5}, "diameter_px or diameter_um, not both"),
        ({"nucleus": "dna"}, "a second channel"),
        ({"diameter_px": 1}, "greater than 1"),
        ({"block_px": 8}, "greater than or equal to 64"),
        ({"normalise": "image"}, "Extra inputs"),
        ({"device": "tpu"}, "auto"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CellposeParams(**settings)


def test_it_is_a_method_of_recipes() -> None:
    recipe = Recipe.from_dict(
        {
            "channels": {"dna": "DAPI", "reporter": "GFP"},
            "segment": {
                "nuclei": {"method": "cellpose"},
                "cells": {"method": "cellpose", "model": "cyto3", "channel": "reporter", "nucleus": "dna"},
            },
            "profile": {"readout": "Count_nuclei"},
        }
    )
    assert recipe.segment["cells"].roles == ("reporter", "dna")
    assert recipe.segment["nuclei"].needs == ()
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_identity_is_by_content_and_by_what_matters(tmp_path: Path) -> None:
    first, second = save(tmp_path / "a", seed=1), save(tmp_path / "b", seed=2)
    copy = tmp_path / "c"
    copy.write_bytes(first.read_bytes())
    segmenter = CellposeSegmenter()

    def identity(**settings: Any) -> dict[str, Any]:
        return segmenter.identity(CellposeParams(**{"model": str(first), **settings}))

    assert identity() == identity(model=str(copy)) == identity(device="cpu", batch_size=3)
    assert identity()["weights"] == find_weights(str(first)).sha256
    different = [
        identity(model=str(second)),
        identity(diameter_px=9),
        identity(block_px=512),
        identity(normalize="well"),
    ]
    assert all(other != identity() for other in different)


def test_weights_that_cannot_be_used_stop_everything(tmp_path: Path) -> None:
    segmenter = CellposeSegmenter()
    with pytest.raises(NotFoundError, match="hts models pull nosuchmodel"):
        segmenter.segment(field(), {}, CellposeParams(model="nosuchmodel"))
    (tmp_path / "bad.pt").write_bytes(b"x" * 100)
    for call in (segmenter.identity, lambda params: segmenter.segment(field(), {}, params)):
        with pytest.raises(StageError, match="a file of weights that torch can read"):
            call(CellposeParams(model=str(tmp_path / "bad.pt")))


def test_a_real_network_whatever_it_says(tmp_path: Path) -> None:
    """Random weights find nonsense; it must be nonsense of the right shape and kind. NaN weights are refused."""
    state = random_state()
    broken = {
        name: torch.full_like(value, torch.nan) if name == "output.2.bias" else value for name, value in state.items()
    }
    params = CellposeParams(model=str(save(tmp_path / "random", state)), diameter_px=30, probability_threshold=-1)
    labels = CellposeSegmenter().segment(field(), {}, params)
    assert labels.shape == (96, 120)
    assert labels.dtype == np.int32
    params = CellposeParams(model=str(save(tmp_path / "nan", broken)), diameter_px=30)
    with pytest.raises(StageError, match=r"finite parameters in .*nan"):
        CellposeSegmenter().segment(field(), {}, params)


def test_several_threads_at_once(network: DiscNetwork) -> None:
    expected = CellposeSegmenter().segment(field(), {}, PARAMS)
    found: list[NDArray[np.int32]] = []
    threads = [
        threading.Thread(target=lambda: found.append(CellposeSegmenter().segment(field(), {}, PARAMS)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for labels in found:
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.gpu
def test_on_a_gpu_the_same(tmp_path: Path) -> None:
    path = save(tmp_path / "net", widths=(8, 16, 32))
    settings = {"model": str(path), "diameter_px": 30, "probability_threshold": -0.2, "precision": "float32"}
    images = {"dna": blobs((300, 400)).astype(np.uint16)}
    segmenter = CellposeSegmenter()
    here = segmenter.segment(images, {}, CellposeParams(**settings, device="cpu"))
    there = segmenter.segment(images, {}, CellposeParams(**settings, device="cuda"))
    assert ((here > 0) != (there > 0)).mean() < 0.01
