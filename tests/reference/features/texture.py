"""Texture and granularity beside cp_measure."""

from __future__ import annotations

import numpy as np
from cp_measure.core import measuregranularity, measuretexture
from cp_measure.core.numba import measuretexture as measuretexture_numba
from numpy.typing import NDArray

from hts.stages.measure import channel_token
from tests.reference.features.peers import Columns, ParityField, PeerRow

_FEW_LEVELS = {"scales_px": (1, 5), "levels": 52}


def _textures(field: ParityField, peer: object, scales_px: tuple[int, ...] = (3,), levels: int = 256) -> Columns:
    columns: Columns = {}
    for role, image in zip(field.channels, field.scaled, strict=True):
        for scale_px in scales_px:
            for name, values in peer.get_texture(field.labels, image, scale_px, levels).items():
                feature, rest = name.split("_", 1)
                columns[f"Texture_{feature}_{channel_token(role)}_{rest}"] = np.asarray(values)
    return columns


def texture(field: ParityField) -> Columns:
    """Everything but the information of nearly independent levels, a root near 0."""
    return {k: v for k, v in _textures(field, measuretexture_numba).items() if "InfoMeas2" not in k}


def information(field: ParityField) -> Columns:
    """The second measure of information."""
    return {k: v for k, v in _textures(field, measuretexture_numba).items() if "InfoMeas2" in k}


def few_levels(field: ParityField) -> Columns:
    """Two scales, 52 levels: where one of the steps to levels is rounded down (see ``level_of``)."""
    return _textures(field, measuretexture_numba, **_FEW_LEVELS)


def mahotas(field: ParityField) -> Columns:
    """The first channel by mahotas, which CellProfiler uses and which takes its time."""
    first = ParityField(field.name, field.labels, field.images[:1], field.channels[:1])
    return _textures(first, measuretexture)


_VARIANCES: dict[tuple[str, bool], Columns] = {}


def constant(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Objects whose pairs have but one level: cp_measure says 1 or 0 where we say NaN."""
    if "Correlation" not in name and "InfoMeas1" not in name:
        return np.zeros(theirs.shape, np.bool_)
    few = name.endswith("_52")
    if (field.name, few) not in _VARIANCES:
        found = few_levels(field) if few else texture(field)
        _VARIANCES[field.name, few] = {key: values for key, values in found.items() if "_Variance_" in key}
    return _VARIANCES[field.name, few][name.replace(name.split("_")[1], "Variance")] == 0


def granularity(field: ParityField) -> Columns:
    """The spectrum of 16 scales."""
    return _granularity(field)


def granularity_of_all_pixels(field: ParityField) -> Columns:
    """Other settings: hardly sampled, a small disk for the background, few scales."""
    return _granularity(field, 0.9, 0.6, 4, 3)


def _granularity(field: ParityField, *settings: float) -> Columns:
    columns: Columns = {}
    for role, image in zip(field.channels, field.scaled, strict=True):
        found = measuregranularity.get_granularity(field.labels, image, *settings)
        columns.update({f"{name}_{channel_token(role)}": np.asarray(values) for name, values in found.items()})
    return columns


def dark(field: ParityField, name: str, theirs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Objects without light, of which no part can be lost: cp_measure divides by the smallest number, we say NaN."""
    role = next(role for role in field.channels if name.endswith(f"_{channel_token(role)}"))
    image = field.scaled[field.channels.index(role)]
    return np.array([not image[field.labels == number].any() for number in range(1, theirs.size + 1)])


_NUMBA, _MAHOTAS = "cp_measure 0.3 (numba)", "cp_measure 0.3 (mahotas 1.4)"
_CANCELS = "the peer takes squares of 255² from each other; rounding is left where the texture is nearly constant"
_ROOT = "a root: what rounding leaves of 0 becomes 1e-8; the peer allows 1e-7 itself"

PEERS = (
    PeerRow("texture", _NUMBA, texture, atol=1e-9, why=_CANCELS, undefined=constant),
    PeerRow("texture", _NUMBA, information, atol=1e-7, why=_ROOT),
    PeerRow("texture", _NUMBA, few_levels, atol=1e-7, why=_ROOT, undefined=constant, options=_FEW_LEVELS),
    PeerRow("texture", _MAHOTAS, mahotas, rtol=1e-5, atol=1e-6, why=_CANCELS, undefined=constant),
    PeerRow(
        "granularity", "cp_measure 0.3", granularity, atol=1e-9, why="percentages: rounding of 100", undefined=dark
    ),
    PeerRow(
        "granularity",
        "cp_measure 0.3",
        granularity_of_all_pixels,
        atol=1e-9,
        why="percentages: rounding of 100",
        undefined=dark,
        options={"subsample": 0.9, "background_subsample": 0.6, "background_radius_px": 4, "scales": 3},
    ),
)
