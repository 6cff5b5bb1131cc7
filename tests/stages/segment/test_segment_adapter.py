"""Networks by one protocol: residual U-Nets as in cellpose 3, the library's transformers, devices, precisions."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hts.errors import StageError
from hts.stages.segment.networks import adapter
from hts.stages.segment.networks.adapter import choose_device, choose_precision, load_network
from hts.stages.segment.networks.unet import STANDARD_WIDTHS
from hts.stages.segment.networks.weights import find_weights
from tests.stages.segment.checkpoints import random_state, save

SAM_STATE = {"W2": torch.ones(2), "encoder.scale": torch.full((1,), 2.0)}


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_loaded", type(adapter._loaded)())


@pytest.mark.parametrize("seed", [1])
def test_the_standard_network_gives_the_outputs_of_cellpose_3(tmp_path: Path, seed: int) -> None:
    models = pytest.importorskip("cellpose.resnet_torch", reason="cellpose 4 has no residual U-Net to compare with")
    path = save(tmp_path / "standard", widths=STANDARD_WIDTHS, seed=seed)
    theirs = models.CPnet([2, *STANDARD_WIDTHS], 3, sz=3, max_pool=True)
    theirs.load_model(str(path), device=torch.device("cpu"))
    batch = torch.rand((2, 2, 72, 96), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        expected, styles = theirs.eval()(batch)[:2]
    network = load_network(find_weights(str(path)), "cpu")
    found, found_styles = network.run(batch)
    assert found.dtype == torch.float32
    assert float((found - expected).abs().max()) <= 1e-4 * max(1.0, float(expected.abs().max()))
    assert found_styles is not None
    np.testing.assert_allclose(found_styles.numpy(), styles.numpy(), atol=1e-5)
    assert float(expected.std()) > 0.01


def test_what_a_unet_says_of_itself(tmp_path: Path) -> None:
    network = load_network(
        find_weights(str(save(tmp_path / "a", widths=(4, 8, 16), channels=1, diameter_px=18))), "cpu"
    )
    assert (network.channels, network.multiple, network.fixed_block_px, network.diameter_px) == (1, 4, None, 18.0)
    assert (network.device.type, network.precision) == ("cpu", "float32")


def test_a_network_is_loaded_once_for_its_name_and_content(tmp_path: Path) -> None:
    """The name decides the diameter of some published models, and is what the report says."""
    first = load_network(find_weights(str(save(tmp_path / "a", seed=1))), "cpu")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    copy = load_network(find_weights(str(tmp_path / "b")), "cpu")
    other = load_network(find_weights(str(save(tmp_path / "c", seed=2))), "cpu")
    assert load_network(find_weights(str(tmp_path / "a")), "cpu") is first
    assert copy is not first
    assert copy.name.endswith("b")
    assert other is not first
    assert load_network(find_weights(str(tmp_path / "a")), "cpu", "bfloat16") is not first


def test_few_networks_are_kept(tmp_path: Path) -> None:
    networks = [
        load_network(find_weights(str(save(tmp_path / f"{n}", seed=n, widths=(4, 8)))), "cpu") for n in range(6)
    ]
    assert len(adapter._loaded) == 4
    assert load_network(find_weights(str(tmp_path / "5")), "cpu") is networks[5]
    assert load_network(find_weights(str(tmp_path / "0")), "cpu") is not networks[0]


def test_low_precision_on_a_cpu_only_when_asked_for(tmp_path: Path) -> None:
    weights = find_weights(str(save(tmp_path / "a")))
    batch = torch.rand((1, 2, 32, 32))
    exact, _ = load_network(weights, "cpu").run(batch)
    rounded, styles = load_network(weights, "cpu", "bfloat16").run(batch)
    assert rounded.dtype == torch.float32
    assert styles is not None
    assert styles.dtype == torch.float32
    difference = float((exact - rounded).abs().max())
    assert 0 < difference < 0.1 * float(exact.abs().max())


def test_networks_of_other_outputs_or_shapes_are_refused(tmp_path: Path) -> None:
    state = random_state()
    four = {**state, "output.2.weight": torch.zeros((4, 8, 1, 1)), "output.2.bias": torch.zeros(4)}
    network = load_network(find_weights(str(save(tmp_path / "four", four))), "cpu")
    with pytest.raises(StageError, match="has 3 outputs\n  found: 4"):
        network.run(torch.zeros((1, 2, 8, 8)))
    wrong = {**state, "upsample.up.res_up_0.proj.1.weight": torch.zeros((3, 3, 1, 1))}
    with pytest.raises(StageError, match=r"(?s)have the shapes of a residual U-Net.*res_up_0.proj.1.weight"):
        load_network(find_weights(str(save(tmp_path / "wrong", wrong))), "cpu")
    part = {name: value for name, value in state.items() if "res_up_1" not in name}
    with pytest.raises(StageError, match="parameters missing"):
        load_network(find_weights(str(save(tmp_path / "part", part))), "cpu")


def test_no_gpu_is_an_error_when_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(StageError, match=r"(?s)a GPU that torch can use.*device: auto takes the CPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_mixed_precision_that_a_gpu_can_do(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision("auto", torch.device("cuda")) == expected
    assert choose_precision("float32", torch.device("cuda")) == "float32"
    assert choose_precision("auto", torch.device("cpu")) == "float32"


class _Sam(torch.nn.Module):
    """A stand-in for the library's transformer: what it was given, times a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.W2 = torch.nn.Parameter(torch.zeros(2))
        self.diam_mean = torch.nn.Parameter(torch.zeros(1))
        self.encoder = torch.nn.Module()
        self.encoder.scale = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * self.encoder.scale, torch.zeros((x.shape[0], 256))


def _library(monkeypatch: pytest.MonkeyPatch, version: str = "4.2.1") -> list[dict[str, Any]]:
    """A stand-in for cellpose 4, which needs gigabytes: it loads what fits and is silent about the rest."""
    calls: list[dict[str, Any]] = []

    class CellposeModel:
        def __init__(self, **given: Any) -> None:
            calls.append(given)
            self.net = _Sam().to(torch.bfloat16 if given["use_bfloat16"] else torch.float32)
            self.net.load_state_dict(torch.load(given["pretrained_model"], weights_only=True), strict=False)

    models = types.SimpleNamespace(CellposeModel=CellposeModel)
    monkeypatch.setitem(sys.modules, "cellpose", types.SimpleNamespace(models=models))
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    return calls


def test_transformers_run_by_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _library(monkeypatch)
    weights = find_weights(str(save(tmp_path / "sam", SAM_STATE)))
    network = load_network(weights, "cpu")
    assert (network.channels, network.multiple, network.fixed_block_px, network.diameter_px) == (3, 256, 256, 30.0)
    batch = torch.rand((2, 3, 256, 256))
    outputs, styles = network.run(batch)
    torch.testing.assert_close(outputs, 2 * batch)
    assert styles is None
    half, _ = load_network(weights, "cpu", "bfloat16").run(batch)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, 2 * batch, atol=0.02, rtol=0.02)
    assert [call["use_bfloat16"] for call in calls] == [False, True]
    with pytest.raises(StageError, match="in bfloat16 or float32"):
        load_network(weights, "cpu", "float16")


def test_transformers_need_their_library_and_all_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = find_weights(str(save(tmp_path / "sam", SAM_STATE)))
    _library(monkeypatch, "3.1.1.3")
    with pytest.raises(StageError, match=r"(?s)cellpose 4 for .*found: cellpose 3.1.1.3.*pip install"):
        load_network(weights, "cpu")
    monkeypatch.setitem(sys.modules, "cellpose", None)
    with pytest.raises(StageError, match="cellpose cannot be imported"):
        load_network(weights, "cpu")
    _library(monkeypatch)
    part = find_weights(str(save(tmp_path / "part", {"W2": torch.ones(2), "encoder.other": torch.ones(1)})))
    with pytest.raises(StageError, match=r"(?s)every parameter of its transformer.*1 of 3 missing.*encoder\.scale"):
        load_network(part, "cpu")
    # `diam_mean` is absent from SAM_STATE too; nobody reads it.
    assert load_network(weights, "cpu").channels == 3
