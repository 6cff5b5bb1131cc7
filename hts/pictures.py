"""Pictures of segmented fields: channels blended into one picture, outlines as a layer of their own.

Arrays in, arrays and encoded files out: what the report and the evaluation draw with.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hts.errors import UsageError

STRETCH_PERCENT = (0.5, 99.8)
OUTLINE_PALETTE = ("FFD23F", "FF4FA3", "4DE1E8", "FF8A3D", "B8F25A", "C79BFF")
"""Bright colours that stay apart on blue, green and red fluorescence and for colour-blind readers."""
_THIN_LIMIT_PX = 1024
_JPEG_QUALITY = 85


def composite(images: Sequence[NDArray[Any]], colors: Sequence[str]) -> NDArray[np.uint8]:
    """Blend channels additively, each stretched between its 0.5 and 99.8 percentiles.

    Parameters
    ----------
    images : (Y, X) arrays of one shape, any real dtype; pixels that are not finite become black.
    colors : RRGGBB, one a channel.

    Returns
    -------
    (Y, X, 3) uint8.

    Raises
    ------
    UsageError
        when there is no image, the shapes or the lengths differ, or a colour is not RRGGBB.
    """
    if not images or len(images) != len(colors):
        raise UsageError(
            "as many colours as images, and at least one", found=f"{len(images)} images and {len(colors)} colours"
        )
    shapes = {np.shape(image) for image in images}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2:
        raise UsageError("images of one (Y, X) shape", found=", ".join(str(np.shape(image)) for image in images))
    blended = np.zeros((*shape, 3), np.float32)
    for image, color in zip(images, colors, strict=True):
        blended += _stretched(np.asarray(image))[..., None] * rgb(color).astype(np.float32)
    return np.minimum(blended + 0.5, 255.0).astype(np.uint8)


def outline_colors(names: Iterable[str]) -> dict[str, str]:
    """RRGGBB of each object set as :func:`outline_rgba` draws it, in the order given."""
    return {name: OUTLINE_PALETTE[index % len(OUTLINE_PALETTE)] for index, name in enumerate(names)}


def outline_rgba(labels: Mapping[str, NDArray[np.int32]]) -> NDArray[np.uint8]:
    """Inner outlines of every object, one colour an object set; sets named first are drawn on top.

    Lines are 1 px wide, 2 px in fields above 1024 px, so that they survive shrinking. An object cut by the
    border of the field is left open there.

    Parameters
    ----------
    labels : object set → (Y, X) integer labels of one shape, 0 for background.

    Returns
    -------
    (Y, X, 4) uint8 RGBA.

    Raises
    ------
    UsageError
        when there is no set or the shapes differ.
    """
    shapes = {array.shape for array in labels.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2:
        found = ", ".join(f"{name} {array.shape}" for name, array in labels.items()) or "no label image"
        raise UsageError("label images of one (Y, X) shape", found=found)
    rgba = np.zeros((*shape, 4), np.uint8)
    width_px = 1 if max(shape) <= _THIN_LIMIT_PX else 2
    colors = outline_colors(labels)
    for name in reversed(list(labels)):
        rgba[inner_boundary(labels[name], width_px)] = (*rgb(colors[name]), 255)
    return rgba


def inner_boundary(labels: NDArray[Any], width_px: int = 1) -> NDArray[np.bool_]:
    """Object pixels beside another label, peeled ``width_px`` times; (Y, X) integer labels, 0 for background."""
    remaining = labels.copy()
    for _ in range(width_px):
        beside = np.zeros(labels.shape, bool)
        rows, columns = remaining[1:] != remaining[:-1], remaining[:, 1:] != remaining[:, :-1]
        beside[1:] |= rows
        beside[:-1] |= rows
        beside[:, 1:] |= columns
        beside[:, :-1] |= columns
        remaining[beside] = 0
    boundary: NDArray[np.bool_] = (labels > 0) & (remaining == 0)
    return boundary


def shrink(image: NDArray[np.uint8], limit_px: int) -> NDArray[np.uint8]:
    """Down-sample by area average until neither side exceeds ``limit_px``; smaller images come back as they are.

    Parameters
    ----------
    image : (Y, X), (Y, X, 3) or (Y, X, 4) uint8; RGBA is averaged with its opacity as weight.
    limit_px : longest side of the result.

    Raises
    ------
    UsageError
        when ``limit_px`` is not positive.
    """
    if limit_px < 1:
        raise UsageError("a limit of at least 1 px", found=str(limit_px))
    height, width = image.shape[:2]
    scale = limit_px / max(height, width, 1)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def jpeg_uri(image: NDArray[np.uint8]) -> str:
    """``data:`` URI of a (Y, X, 3) picture; full colour resolution, because false colours blur otherwise."""
    return _uri(image, "jpeg", quality=_JPEG_QUALITY, subsampling=0, optimize=True)


def png_uri(image: NDArray[np.uint8]) -> str:
    """``data:`` URI of a (Y, X, 4) layer, lossless with its transparency."""
    return _uri(image, "png", optimize=True)


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """A (Y, X), (Y, X, 3) or (Y, X, 4) picture as a PNG file."""
    return _encoded(image, "png", optimize=True)


def _encoded(image: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format=kind, **options)
    return buffer.getvalue()


def _uri(image: NDArray[np.uint8], kind: str, **options: Any) -> str:
    return f"data:image/{kind};base64,{b64encode(_encoded(image, kind, **options)).decode('ascii')}"


def _stretched(image: NDArray[Any]) -> NDArray[np.float32]:
    """0…1 between the percentiles, or between the extremes when few pixels differ; zeros when the image is flat."""
    finite = np.isfinite(image)
    values = image[finite] if finite.any() else np.zeros(1, image.dtype)
    low, high = np.percentile(values, STRETCH_PERCENT)
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(image.shape, np.float32)
    scaled = (image.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(np.where(finite, scaled, 0.0), 0.0, 1.0).astype(np.float32)


def rgb(color: str) -> NDArray[np.uint8]:
    """(3,) uint8 of a colour as RRGGBB; UsageError when it is none."""
    try:
        channels = bytes.fromhex(color.removeprefix("#"))
    except ValueError:
        channels = b""
    if len(channels) != 3:
        raise UsageError("a colour as six hexadecimal digits, such as 00FF00", found=repr(color))
    return np.frombuffer(channels, np.uint8)
