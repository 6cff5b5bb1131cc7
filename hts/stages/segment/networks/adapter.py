"""One protocol for the networks of Cellpose: residual U-Nets by a module of ours, transformers by the library's."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from hts.errors import StageError
from hts.stages.segment.networks.unet import OUTPUTS, ResidualUNet
from hts.stages.segment.networks.weights import Weights, load_state

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

TRANSFORMER_BLOCK_PX = 256
TRANSFORMER_CHANNELS = 3
"""Generation 4: the position embeddings are those of 256 pixels."""
_MAX_LOADED = 4


class Network(Protocol):
    """What segmentation needs of a network."""

    name: str
    sha256: str
    diameter_px: float
    """Objects are resized to this mean diameter."""
    channels: int
    """Channels of its input; absent ones are zeros."""
    multiple: int
    """Height and width of its input are multiples of this."""
    fixed_block_px: int | None
    """The only edge it takes, if there is one."""
    device: torch.device
    precision: str

    def run(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """Outputs (n, 3, Y, X) float32 (flow y, flow x, logit) and styles (n, k), of a batch (n, channels, Y, X)."""
        ...


class _TorchNetwork:
    """A torch module as a `Network`."""

    def __init__(
        self, weights: Weights, module: nn.Module, device: torch.device, precision: str, has_styles: bool
    ) -> None:
        self.name, self.sha256 = weights.name, weights.sha256
        self.device, self.precision = device, precision
        self._module, self._has_styles = module, has_styles
        self.diameter_px = weights.diameter_px
        self.channels, self.multiple = TRANSFORMER_CHANNELS, TRANSFORMER_BLOCK_PX
        self.fixed_block_px: int | None = TRANSFORMER_BLOCK_PX
        if isinstance(module, ResidualUNet):
            self.channels, self.multiple, self.fixed_block_px = module.channels, module.multiple, None

    def run(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        batch = batch.to(self.device, non_blocking=True)
        with torch.inference_mode(), self._autocast():
            outputs, styles = self._module(self._given(batch))[:2]
        if outputs.shape[1] != OUTPUTS:
            raise StageError(f"{self.name} has {OUTPUTS} outputs", found=str(outputs.shape[1]))
        return outputs.float(), styles.float() if self._has_styles else None

    def _given(self, batch: Tensor) -> Tensor:
        parameter = next(self._module.parameters())
        return batch.to(parameter.dtype) if self._casts_itself else batch

    @property
    def _casts_itself(self) -> bool:
        """The library's transformers keep their parameters in the type they compute in."""
        return self.fixed_block_px is not None

    def _autocast(self) -> torch.autocast:
        mixed = self.precision != "float32" and not self._casts_itself
        kind = getattr(torch, self.precision) if mixed else torch.bfloat16
        return torch.autocast(self.device.type, dtype=kind, enabled=mixed)


_loaded: OrderedDict[tuple[str, float, str, str, str], Network] = OrderedDict()
_lock = threading.Lock()


def load_network(weights: Weights, device: Device = "auto", precision: Precision = "auto") -> Network:
    """The network of `weights`; loaded once a process, and kept by its content.

    Parameters
    ----------
    device : ``auto`` takes a GPU where there is one.
    precision : ``auto`` is mixed precision on a GPU (bfloat16, float16 on older ones) and float32 on a CPU.

    Raises
    ------
    StageError
        when a GPU is asked for and there is none, when the weights do not fit their architecture, and when the
        installed library cannot run them.
    """
    place = choose_device(device)
    exact = choose_precision(precision, place)
    key = (weights.name, weights.diameter_px, weights.sha256, str(place), exact)
    with _lock:
        if key not in _loaded:
            _loaded[key] = _build(weights, place, exact)
            while len(_loaded) > _MAX_LOADED:
                _loaded.popitem(last=False)
        _loaded.move_to_end(key)
        return _loaded[key]


def choose_device(device: Device) -> torch.device:
    """The device meant; never another one than asked for."""
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise StageError(
            "a GPU that torch can use, as device: cuda asks for",
            found=f"none (torch {torch.__version__})",
            fix="device: auto takes the CPU where there is no GPU; torch for CUDA is another build than for CPUs",
        )
    return torch.device("cuda" if there and device != "cpu" else "cpu")


def choose_precision(precision: Precision, device: torch.device) -> str:
    """The precision meant on this device."""
    if precision != "auto":
        return precision
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float16"


def _build(weights: Weights, device: torch.device, precision: str) -> Network:
    if weights.kind == "transformer":
        return _TorchNetwork(weights, _library_module(weights, device, precision), device, precision, has_styles=False)
    module = _residual(weights).to(device)
    if device.type == "cuda":
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return _TorchNetwork(weights, module, device, precision, has_styles=True)


def _residual(weights: Weights) -> ResidualUNet:
    try:
        module = ResidualUNet.from_state(load_state(weights.path))
        if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
            raise StageError(
                f"finite parameters in {weights.path}", found="NaN or infinite ones", cause="a damaged file"
            )
        return module
    except RuntimeError as error:
        if isinstance(error, StageError):
            raise
        raise StageError(
            f"the parameters in {weights.path} have the shapes of a residual U-Net of Cellpose",
            found=" ".join(str(error).split())[:300],
            cause="a network of another depth or kind, or a damaged file",
        ) from error


def _library_module(weights: Weights, device: torch.device, precision: str) -> nn.Module:
    """The library's own module of a generation-4 checkpoint."""
    from importlib.metadata import version

    try:
        from cellpose import models
    except ImportError as error:
        raise _needs_generation_4(weights, f"cellpose cannot be imported: {error}") from error
    if int(version("cellpose").split(".")[0]) < 4:
        raise _needs_generation_4(weights, f"cellpose {version('cellpose')}")
    if precision == "float16":
        raise StageError(f"{weights.name} in bfloat16 or float32", found="precision: float16")
    model = models.CellposeModel(
        pretrained_model=str(weights.path), device=device, use_bfloat16=precision == "bfloat16"
    )
    _check_complete(model.net, weights)
    module: nn.Module = model.net.eval()
    return module


def _check_complete(module: nn.Module, weights: Weights) -> None:
    """The library loads what fits and says nothing of the rest."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in load_state(weights.path).items()}
    wrong = [name for name, shape in expected.items() if given.get(name, ()) != shape and not name.startswith("diam_")]
    if wrong:
        raise StageError(
            f"{weights.path} holds every parameter of its transformer",
            found=f"{len(wrong)} of {len(expected)} missing or of another shape, the first {wrong[:3]}",
            cause="a damaged file, or a model of another version of cellpose",
        )


def _needs_generation_4(weights: Weights, found: str) -> StageError:
    return StageError(
        f"cellpose 4 for {weights.name}, a transformer",
        found=found,
        fix="pip install 'cellpose>=4,<5', or use a residual U-Net: builtin:nuclei, builtin:cells, cyto3",
    )
