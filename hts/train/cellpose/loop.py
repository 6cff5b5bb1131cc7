"""The training loop: batches, loss, learning rate, running mean of the weights, log."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from hts.errors import StoreError, UsageError
from hts.stages.segment.networks.unet import ResidualUNet
from hts.stages.segment.networks.weights import load_state
from hts.train.cellpose.scenes import STREAM_BATCHES, ScenePool, held_out
from hts.train.cellpose.settings import TrainingRecipe

FLOW_SCALE = 5.0
"""Flows are unit vectors times this in the network's output (Stringer et al. 2021)."""
LOG = ("step", "seconds", "learning_rate", "training_loss", "validation_loss", "pixel_iou", "flow_error_degrees")
Report = Callable[[dict[str, float]], None]


def train(recipe: TrainingRecipe, out: Path, report: Report, device: str = "cpu") -> ResidualUNet:
    """Train and save: ``recipe.yaml``, ``weights.pt`` (float16) and a line in ``log.csv`` at every validation.

    Parameters
    ----------
    out : a folder without a log; stopped half-way it holds the weights of the last validation.
    report : gets each line of the log.
    device : where the network is trained, in PyTorch's words.

    Returns
    -------
    The network with the running mean of the weights, on the CPU.

    Raises
    ------
    UsageError
        when there is a log in `out` already.
    """
    torch.manual_seed(recipe.seed)
    network = _start(recipe).to(device)
    _begin(recipe, out)
    average = ResidualUNet(recipe.widths, diameter_px=recipe.diameter_px).to(device)
    average.load_state_dict(network.state_dict())
    unseen = held_out(recipe)
    pool, rng = ScenePool.fill(recipe), np.random.default_rng((recipe.seed, STREAM_BATCHES))
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    begin, recent = time.perf_counter(), []
    for step in range(1, recipe.steps + 1):
        rate = _rate(recipe, step)
        recent.append(_step(network, optimizer, rate, pool.batch(rng), recipe))
        _average(average, network, min(recipe.average, step / (step + 10)))
        pool.refresh()
        if step % recipe.validate_every == 0 or step == recipe.steps:
            scores = _validate(average, unseen, recipe)
            seconds = round(time.perf_counter() - begin, 1)
            line = {
                "step": step,
                "seconds": seconds,
                "learning_rate": rate,
                "training_loss": float(np.mean(recent)),
                **scores,
            }
            _log(out / "log.csv", line)
            save(average, out / "weights.pt")
            report(line)
            recent.clear()
    return average.cpu()


def _begin(recipe: TrainingRecipe, out: Path) -> None:
    if (out / "log.csv").exists():
        raise UsageError("a new folder for a training run", found=f"{out} with the log of another one")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), "utf-8")
    except OSError as error:
        raise StoreError(f"a folder for the model can be written at {out}", found=str(error)) from error


def _start(recipe: TrainingRecipe) -> ResidualUNet:
    if recipe.start_from is None:
        network = ResidualUNet(recipe.widths, diameter_px=recipe.diameter_px)
    else:
        network = ResidualUNet.from_state(load_state(Path(recipe.start_from)))
        if network.widths != recipe.widths:
            raise UsageError(f"weights of widths {recipe.widths} to start from", found=str(network.widths))
        network.diam_mean.data.fill_(recipe.diameter_px)
    # PyTorch's stubs do not know this form; it makes the convolutions on a CPU about a third faster.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.train()


def _rate(recipe: TrainingRecipe, step: int) -> float:
    warm = min(1.0, step / max(recipe.warmup, 1))
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: float,
    batch: np.ndarray[Any, Any],
    recipe: TrainingRecipe,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = loss_of(*_forward(network, batch, recipe))
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


def _forward(network: nn.Module, batch: np.ndarray[Any, Any], recipe: TrainingRecipe) -> tuple[Tensor, Tensor]:
    device = next(network.parameters()).device
    tensor = torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)).to(device)
    images, targets = tensor[:, :2].to(memory_format=torch.channels_last), tensor[:, 2:]
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        outputs, _ = network(images)
    return outputs.float(), targets


def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared error of the scaled flows plus the cross-entropy of inside (Stringer et al. 2021)."""
    flow = 0.5 * nn.functional.mse_loss(outputs[:, :2], FLOW_SCALE * targets[:, :2])
    inside = nn.functional.binary_cross_entropy_with_logits(outputs[:, 2], targets[:, 2])
    return flow + inside


def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def _validate(network: ResidualUNet, scenes: np.ndarray[Any, Any], recipe: TrainingRecipe) -> dict[str, float]:
    """Mean loss, intersection over union of inside pixels, and the mean angle between true and found flows inside."""
    network.eval()
    losses, common, union, angles = [], 0.0, 0.0, []
    for first in range(0, len(scenes), recipe.batch):
        with torch.no_grad():
            outputs, targets = _forward(network, scenes[first : first + recipe.batch], recipe)
        losses.append(float(loss_of(outputs, targets)))
        true, found = targets[:, 2] > 0.5, outputs[:, 2] > 0
        common += float((true & found).sum())
        union += float((true | found).sum())
        cosine = nn.functional.cosine_similarity(outputs[:, :2], targets[:, :2], dim=1)[true]
        angles.append(cosine.clamp(-1, 1).arccos().rad2deg())
    mean_angle = float(torch.cat(angles).mean())
    return {
        "validation_loss": float(np.mean(losses)),
        "pixel_iou": common / max(union, 1.0),
        "flow_error_degrees": mean_angle,
    }


def _log(path: Path, line: dict[str, float]) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, LOG)
        if is_new:
            writer.writeheader()
        writer.writerow({key: round(value, 5) for key, value in line.items()})


def save(network: ResidualUNet, path: Path) -> None:
    """Write the weights as float16; written beside and moved, so that there is never half a file."""
    half = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    beside = path.with_suffix(".tmp")
    torch.save(half, beside)
    beside.replace(path)
