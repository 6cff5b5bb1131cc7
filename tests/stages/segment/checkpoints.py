"""Checkpoints with random weights, as no trained ones can be fetched here, and a network that needs none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hts.stages.segment.networks.unet import ResidualUNet


def random_state(
    widths: tuple[int, ...] = (8, 16), channels: int = 2, seed: int = 0, diameter_px: float = 30.0
) -> dict[str, Tensor]:
    """Random parameters with random running statistics: those of a fresh network would hide what is done with them."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in ResidualUNet(widths, channels, diameter_px).state_dict().items():
        if name.startswith("diam_") or not value.is_floating_point():
            state[name] = value
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
            state[name] = 0.5 + noise.abs()
        else:
            state[name] = noise / max(1.0, float(value[0].numel()) ** 0.5)
    return state


def save(path: Path, state: Mapping[str, Any] | None = None, **settings: Any) -> Path:
    torch.save(dict(state) if state is not None else random_state(**settings), path)
    return path


class DiscNetwork:
    """A network by hand: bright discs of its diameter are objects, and flows lead up the smoothed image.

    Its probability follows the smoothed image, its style has two numbers: the mean and the spread of the image.
    """

    name = "discs"
    sha256 = "0" * 64
    channels = 2
    multiple = 8
    fixed_block_px: int | None = None
    device = torch.device("cpu")
    precision = "float32"

    def __init__(self, diameter_px: float = 12.0, most_pixels: int | None = None, out_of_memory: Any = None) -> None:
        self.diameter_px = diameter_px
        self.most_pixels = most_pixels
        self.out_of_memory = out_of_memory or torch.cuda.OutOfMemoryError("out of memory")
        self.batches: list[tuple[int, ...]] = []
        self.threads: set[int] = set()

    def run(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        self.batches.append(tuple(batch.shape))
        self.threads.add(torch.get_num_threads())
        if self.most_pixels is not None and batch.shape[0] * batch.shape[2] * batch.shape[3] > self.most_pixels:
            raise self.out_of_memory
        smooth = _blur(batch[:, :1], self.diameter_px / 6)
        padded = functional.pad(smooth, (1, 1, 1, 1), mode="replicate")
        up_y = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        up_x = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        length = (up_y.square() + up_x.square()).sqrt().clamp_min(1e-3)
        outputs = torch.cat([5 * up_y / length, 5 * up_x / length, 20 * (smooth - 0.45)], 1)
        return outputs, torch.stack([batch[:, 0].mean((1, 2)), batch[:, 0].std((1, 2))], 1)


def _blur(images: Tensor, sigma: float) -> Tensor:
    radius = int(3 * sigma) + 1
    place = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(place**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = functional.pad(images, (radius,) * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
