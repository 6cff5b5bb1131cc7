"""The residual U-Net of Cellpose generations 1 to 3, as a module that reads their checkpoints.

The architecture is that of C. Stringer, T. Wang, M. Michaelos and M. Pachitariu, "Cellpose: a generalist algorithm
for cellular segmentation", Nature Methods 18 (2021): four levels of two residual blocks each, skip connections by
addition, and a *style*, the normalised mean of the deepest features, that is added on the way up. The names of the
parameters are those of the published checkpoints, so that a state dictionary loads as it is; the widths of the levels
are read from it, and smaller networks of the same kind load too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from hts.errors import StageError

STANDARD_WIDTHS = (32, 64, 128, 256)
"""Channels of the levels of the published networks."""
OUTPUTS = 3
"""Flow along y, flow along x, logit of the cell probability."""
_MOMENTUM = 0.05
_DIAMETER_KEYS = ("diam_mean", "diam_labels")


def _unit(channels_in: int, channels_out: int, size: int = 3, relu: bool = True) -> nn.Sequential:
    """Normalise, rectify, convolve: pre-activation, as everywhere in this network."""
    norm = nn.BatchNorm2d(channels_in, eps=1e-5, momentum=_MOMENTUM)
    conv = nn.Conv2d(channels_in, channels_out, size, padding=size // 2)
    return nn.Sequential(norm, nn.ReLU(inplace=True), conv) if relu else nn.Sequential(norm, conv)


class _Down(nn.Module):
    """Two residual blocks on the way down."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.proj = _unit(channels_in, channels_out, size=1, relu=False)
        units = [_unit(channels_in if n == 0 else channels_out, channels_out) for n in range(4)]
        self.conv = nn.Sequential()
        for n, unit in enumerate(units):
            self.conv.add_module(f"conv_{n}", unit)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](self.conv[0](x))
        out: Tensor = x + self.conv[3](self.conv[2](x))
        return out


class _StyledUnit(nn.Module):
    """A unit whose input is shifted, channel by channel, by a linear function of the style."""

    def __init__(self, channels: int, style_channels: int) -> None:
        super().__init__()
        self.conv = _unit(channels, channels)
        self.full = nn.Linear(style_channels, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        shift = self.full(style)[:, :, None, None]
        out: Tensor = self.conv(x + shift)
        return out


class _Up(nn.Module):
    """Two residual blocks on the way up; the features of the same level come in by addition."""

    def __init__(self, channels_in: int, channels_out: int, style_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("conv_0", _unit(channels_in, channels_out))
        for n in range(1, 4):
            self.conv.add_module(f"conv_{n}", _StyledUnit(channels_out, style_channels))
        self.proj = _unit(channels_in, channels_out, size=1, relu=False)

    def forward(self, x: Tensor, skipped: Tensor, style: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](self.conv[0](x) + skipped, style)
        out: Tensor = x + self.conv[3](self.conv[2](x, style), style)
        return out


class _Encoder(nn.Module):
    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.Sequential()
        for n in range(len(channels) - 1):
            self.down.add_module(f"res_down_{n}", _Down(channels[n], channels[n + 1]))

    def forward(self, x: Tensor) -> list[Tensor]:
        levels: list[Tensor] = []
        for n, block in enumerate(self.down):
            levels.append(block(x if n == 0 else nn.functional.max_pool2d(levels[-1], 2)))
        return levels


class _Decoder(nn.Module):
    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.up = nn.Sequential()
        inner = [*widths, widths[-1]]
        for n in range(len(widths)):
            self.up.add_module(f"res_up_{n}", _Up(inner[n + 1], inner[n], widths[-1]))

    def forward(self, style: Tensor, levels: list[Tensor]) -> Tensor:
        x: Tensor = self.up[-1](levels[-1], levels[-1], style)
        for n in range(len(self.up) - 2, -1, -1):
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[n](x, levels[n], style)
        return x


class ResidualUNet(nn.Module):
    """Images (n, channels, Y, X), Y and X multiples of `multiple`, to flows and logits (n, 3, Y, X) and styles (n, k).

    Parameters
    ----------
    widths : channels of the levels, finest first.
    channels : channels of the input; Cellpose's two are the main stain and the nuclei.
    diameter_px : the mean diameter that objects are resized to.
    """

    def __init__(
        self,
        widths: Sequence[int] = STANDARD_WIDTHS,
        channels: int = 2,
        diameter_px: float = 30.0,
        outputs: int = OUTPUTS,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.channels = channels
        self.downsample = _Encoder((channels, *widths))
        self.upsample = _Decoder(widths)
        self.output = _unit(widths[0], outputs, size=1)
        self.diam_mean = nn.Parameter(torch.full((1,), float(diameter_px)), requires_grad=False)
        self.diam_labels = nn.Parameter(torch.full((1,), float(diameter_px)), requires_grad=False)

    @property
    def multiple(self) -> int:
        """Y and X of the input are multiples of this."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def diameter_px(self) -> float:
        """Mean diameter of objects, in pixels, that the network was trained at."""
        return float(self.diam_mean.item())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        levels = self.downsample(images)
        style = levels[-1].mean(dim=(2, 3))
        style = style / style.square().sum(dim=1, keepdim=True).sqrt()
        outputs: Tensor = self.output(self.upsample(style, levels))
        return outputs, style

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> ResidualUNet:
        """The network of a checkpoint, in evaluation mode, float32.

        Raises
        ------
        StageError
            when the checkpoint is of another architecture, or parts of it are missing.
        """
        network = cls(*_dimensions(state))
        missing, unexpected = network.load_state_dict(_as_float32(state), strict=False)
        absent = [name for name in missing if name not in _DIAMETER_KEYS and not name.endswith("num_batches_tracked")]
        if absent or unexpected:
            raise StageError(
                "the weights of a residual U-Net of Cellpose, generations 1 to 3",
                found=f"{len(absent)} parameters missing, {len(unexpected)} unknown: {[*absent, *unexpected][:4]}",
                cause="a checkpoint of another architecture, or a damaged file",
            )
        return network.eval()


def _dimensions(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int, float, int]:
    """Widths, input channels, training diameter and outputs, read off the shapes."""
    firsts: list[Tensor] = []
    while (key := f"downsample.down.res_down_{len(firsts)}.conv.conv_0.2.weight") in state:
        firsts.append(state[key])
    last = state.get("output.2.weight")
    if not firsts or last is None or any(weight.ndim != 4 for weight in (*firsts, last)):
        raise StageError(
            "the weights of a residual U-Net of Cellpose, generations 1 to 3",
            found=f"{len(state)} entries, the first {sorted(state)[:3]}",
            cause="a checkpoint of another architecture (cpsam is a transformer), or of a 3-D network",
        )
    diameter = state.get("diam_mean")
    return (
        tuple(int(weight.shape[0]) for weight in firsts),
        int(firsts[0].shape[1]),
        30.0 if diameter is None else float(diameter.reshape(-1)[0]),
        int(last.shape[0]),
    )


def _as_float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
