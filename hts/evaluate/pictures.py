"""Pictures of what a prediction got wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError
from hts.evaluate.overlap import Overlap
from hts.pictures import composite, inner_boundary, rgb

TRUTH_COLOR, PREDICTION_COLOR = "4DE1E8", "FFD23F"
"""Outlines of the truth (cyan) and of the prediction (yellow); where they agree they are white."""
_SMALL_PX = 384


def draw_mistakes(
    truth: NDArray[Any], prediction: NDArray[Any], image: NDArray[Any] | None = None
) -> NDArray[np.uint8]:
    """Outlines of truth and prediction; what has no match at an IoU of 0.5 is tinted in the colour of its side.

    Parameters
    ----------
    truth, prediction : (Y, X) label images of one shape.
    image : (Y, X), drawn below in grey; without it matched objects are dark grey on black.

    Returns
    -------
    (Y, X, 3) uint8; images whose longer side is under 384 px come enlarged by a whole factor.

    Raises
    ------
    UsageError
        when they are no label images of one shape, or the image has another.
    """
    overlap = Overlap.of(truth, prediction)
    if image is not None and image.shape != truth.shape:
        raise UsageError(f"an image of the shape {truth.shape}, as its labels have", found=str(image.shape))
    factor = max(1, -(-_SMALL_PX // max(*truth.shape, 1)))
    colors = [rgb(color).astype(np.float32) for color in (TRUTH_COLOR, PREDICTION_COLOR)]
    unmatched = _unmatched(overlap, truth, prediction)
    if image is None:
        picture = np.where((truth > 0) | (prediction > 0), np.float32(60), np.float32(0))[..., None].repeat(3, axis=2)
    else:
        picture = 0.7 * composite([image], ["FFFFFF"]).astype(np.float32)
    for alone, color in zip(unmatched, colors, strict=True):
        picture[alone] = 0.65 * picture[alone] + 0.35 * color
    picture, truth, prediction = (
        layer.repeat(factor, axis=0).repeat(factor, axis=1) for layer in (picture, truth, prediction)
    )
    outlines = [inner_boundary(labels) for labels in (truth, prediction)]
    for outline, color in zip(outlines, colors, strict=True):
        picture[outline] = color
    picture[outlines[0] & outlines[1]] = 255
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _unmatched(
    overlap: Overlap, truth: NDArray[Any], prediction: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels of true and of predicted objects without a match."""
    matched = overlap.matches(0.5)
    found = overlap.truth_ids[overlap.truth[matched]]
    right = overlap.prediction_ids[overlap.prediction[matched]]
    return (truth > 0) & ~np.isin(truth, found), (prediction > 0) & ~np.isin(prediction, right)
