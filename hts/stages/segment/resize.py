"""Bilinear resizing of planes, as Cellpose's (OpenCV's ``INTER_LINEAR``): pixel centres at half, no smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def resized_shape(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Y and X after resizing by `factor`: rounded down, one pixel at least."""
    return (max(1, int(shape[0] * factor)), max(1, int(shape[1] * factor)))


def resize(planes: Tensor, shape: tuple[int, int]) -> Tensor:
    """`planes` (n, Y, X) float32 at another size; themselves when it is theirs."""
    from torch.nn.functional import interpolate

    if tuple(planes.shape[1:]) == tuple(shape):
        return planes
    result: Tensor = interpolate(planes[None], size=shape, mode="bilinear", align_corners=False, antialias=False)[0]
    return result
