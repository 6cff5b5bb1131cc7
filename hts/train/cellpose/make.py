"""A whole model: the network, then the size model that goes with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hts.errors import UsageError
from hts.stages.segment.networks.size import save_size_model
from hts.stages.segment.networks.unet import ResidualUNet
from hts.train.cellpose.loop import train
from hts.train.cellpose.settings import TrainingRecipe
from hts.train.cellpose.size import train_size


@dataclass(frozen=True)
class MadeModel:
    """What a training run made; ``size_error`` is the median relative error of the diameter on held-out scenes."""

    weights: str
    sha256: str
    size_model: str
    size_error: float
    pixel_iou: float
    flow_error_degrees: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The same for people."""
        return [
            f"weights: {self.weights} (sha256 {self.sha256[:16]}…)",
            f"on held-out scenes: pixels' IoU {self.pixel_iou:.3f}, flows {self.flow_error_degrees:.1f}° off, "
            f"diameter {100 * self.size_error:.0f} % off",
            "use it: --set segment.nuclei.model=" + self.weights,
        ]


def make_model(
    recipe: TrainingRecipe, out: Path, say: Callable[[str], None], device: str = "auto", scenes: int | None = None
) -> MadeModel:
    """Train network and size model into `out`; `say` gets a line at every validation.

    Parameters
    ----------
    device : in PyTorch's words, or ``auto``: a GPU where there is one.
    scenes : for the size model; its own default where it is not given.

    Raises
    ------
    UsageError
        when there is a log in `out` already, or no such device.
    """
    chosen = _device(device)
    lines: list[dict[str, float]] = []

    def report(line: dict[str, float]) -> None:
        lines.append(line)
        say(f"{line['step']:.0f} of {recipe.steps} batches on {chosen}, {line['seconds']:.0f} s: {_scores(line)}")

    train(recipe, out, report, chosen)
    # What is shipped is float16: the size model belongs to those weights.
    network = ResidualUNet.from_state(torch.load(out / "weights.pt", map_location="cpu", weights_only=True))
    size, error = train_size(network, recipe) if scenes is None else train_size(network, recipe, scenes)
    save_size_model(out / "weights_size.npy", size)
    last = lines[-1]
    return MadeModel(
        weights=str(out / "weights.pt"),
        sha256=hashlib.sha256((out / "weights.pt").read_bytes()).hexdigest(),
        size_model=str(out / "weights_size.npy"),
        size_error=error,
        pixel_iou=last["pixel_iou"],
        flow_error_degrees=last["flow_error_degrees"],
    )


def _device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError("a device of this machine", found=f"{device!r}: {reason}", fix="--device cpu") from error
    return device


def _scores(line: dict[str, float]) -> str:
    return (
        f"loss {line['training_loss']:.3f}, held out {line['validation_loss']:.3f}, "
        f"IoU {line['pixel_iou']:.3f}, flows {line['flow_error_degrees']:.1f}° off"
    )
