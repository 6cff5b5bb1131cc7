"""Flows and masks: what a network of cellpose's kind says, and the objects that follow from it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError


@dataclass(frozen=True)
class FlowParams:
    """How flows become masks; the defaults are cellpose's.

    Parameters
    ----------
    flow_threshold : objects are dropped when their flows are farther than this (mean squared distance of a fifth of
        the flows from the unit flows of their shape) from what their shape asks for; 0 keeps all.
    probability_threshold : pixels of a higher probability (logit) are inside objects.
    steps : how long a pixel follows the flows, at most.
    min_area_px : smaller objects are dropped, before and after their holes are filled.
    max_fraction : objects of a larger part of the field are dropped.
    """

    flow_threshold: float = 0.4
    probability_threshold: float = 0.0
    steps: int = 200
    min_area_px: int = 15
    max_fraction: float = 0.4

    def __post_init__(self) -> None:
        if not (self.steps >= 0 and self.min_area_px >= 0 and self.flow_threshold >= 0 and self.max_fraction >= 0):
            raise UsageError("settings of masks from flows are numbers from 0", found=repr(self))


def masks_from_flows(flows: Any, probability: Any, params: FlowParams) -> NDArray[np.int32]:
    """Objects of one field: every pixel follows the flows, and pixels that end in one sink are one object.

    As cellpose 3.1.1.3's ``compute_masks`` and ``fill_holes_and_remove_small_masks``, on the same flows the same
    objects; but small objects are the ones dropped also where others were dropped before them (there the library
    takes the wrong ones away), and pixels whose flow or probability is not finite are outside.

    Parameters
    ----------
    flows : float32 (2, Y, X), (dy, dx), five times unit length in the training data. NumPy array or torch tensor;
        a tensor on an accelerator is worked on there, with the same masks.
    probability : float32 (Y, X), logit, of the same kind.

    Returns
    -------
    int32 (Y, X) on the host: 0 outside, objects 1…n in the order in which a raster scan meets them.

    Raises
    ------
    UsageError
        when the shapes do not fit one another, or the plane has 2³¹ pixels or more.
    """
    from hts.stages.segment.flows.masks import finish, raw_masks

    if flows.ndim != 3 or tuple(flows.shape) != (2, *probability.shape):
        found = f"{tuple(flows.shape)} and {tuple(probability.shape)}"
        raise UsageError("flows (2, Y, X) and a probability (Y, X) of one shape", found=found)
    pixels = int(probability.shape[0]) * int(probability.shape[1])
    if pixels >= 2**31:
        raise UsageError("planes of fewer than 2³¹ pixels", found=f"{pixels}", fix="segment the field in blocks")
    if pixels == 0:
        return np.zeros(tuple(probability.shape), np.int32)
    if _is_elsewhere(flows):
        from hts.stages.segment.flows.device import raw_masks_on_device

        return finish(raw_masks_on_device(flows, probability, params), params)
    return finish(raw_masks(_on_host(flows), _on_host(probability), params), params)


def _is_elsewhere(array: Any) -> bool:
    """Whether `array` is a torch tensor in the memory of an accelerator; never imports torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor) and array.device.type != "cpu"


def _on_host(array: Any) -> NDArray[np.float32]:
    """A contiguous float32 array of a NumPy array or of a tensor in host memory; no copy when it is one already."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        array = array.detach().float().numpy()
    return np.ascontiguousarray(array, np.float32)
