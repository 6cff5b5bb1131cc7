"""``hts.segment``: labels of an image in a script, by the same code as on plates."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hts.arrays import in_memory, to_numpy
from hts.errors import UsageError
from hts.stages.segment.objects import link, renumbered, touching_frame, without
from hts.stages.segment.options import step_model

_GROUP = "hts.segmenters"


def segment(
    image: Any,
    model_or_method: str = "builtin:nuclei",
    diameter_px: float | None = None,
    block: int = 1024,
    overlap: int | None = None,
    labels: Mapping[str, Any] | None = None,
    **settings: Any,
) -> NDArray[np.uint32]:
    """Objects of one image.

    >>> labels = hts.segment(image)                                        # doctest: +SKIP
    >>> labels = hts.segment(image, "cyto3", diameter_px=40)               # doctest: +SKIP
    >>> labels = hts.segment(image, "threshold", diameter_px=20)           # doctest: +SKIP
    >>> cells = hts.segment(image, "propagate", labels={"nuclei": nuclei})  # doctest: +SKIP

    Parameters
    ----------
    image : (Y, X) or (channel, Y, X), integers or floats; NumPy, CuPy, Dask, or an xarray of these, whose other axes
        have length 1. Channels are given to the method in its order (``cellpose``: main channel, then nuclei).
    model_or_method : a model of ``method: cellpose`` (``builtin:nuclei``, ``cyto3``, a file), or the name of a method.
    diameter_px : typical diameter of an object; estimated from the image when not given.
    block, overlap : largest edge of the blocks given to the network, and their overlap, in px at its scale.
    labels : object sets (Y, X) by name, for methods that start from them.
    settings : other settings of the method, as in a recipe.

    Returns
    -------
    uint32 (Y, X) in host memory: 0 outside, objects 1…n (those of ``propagate`` and ``expression`` keep the numbers of
    the sets that they start from).

    Raises
    ------
    UsageError
        for an image of another shape, unknown settings, or channels or object sets that are missing.
    StageError, NotFoundError
        as the method does, for example for a model that is not there.
    """
    method = model_or_method if model_or_method in entry_points(group=_GROUP).names else "cellpose"
    given = {"method": method, **settings}
    if method == "cellpose":
        given |= {"block_px": block, "overlap_px": overlap}
        if model_or_method != method:
            given["model"] = model_or_method
    if diameter_px is not None:
        given["diameter_px"] = diameter_px
    planes, sets = _planes(image), dict(labels or {})
    if planes and planes[0].size == 0:
        raise UsageError("an image with pixels", found=f"planes of shape {planes[0].shape}")
    for name, numbers in sets.items():
        known = np.asarray(to_numpy(numbers))
        if known.size and (known.min() < 0 or not np.array_equal(known, np.floor(known))):
            raise UsageError(f"labels of {name}: whole numbers from 0", found=f"{known.dtype} from {known.min()}")
    (point,) = entry_points(group=_GROUP, name=method)
    segmenter = point.load()()
    params = _params(segmenter, given, len(planes))
    needed = [name for name in params.needs if name not in sets]
    if needed:
        raise UsageError(
            f"the object sets that {method} starts from", found=f"no {needed[0]}", fix=f"labels={{{needed[0]!r}: …}}"
        )
    images = dict(zip(params.roles, planes, strict=False))
    given_sets = {name: to_numpy(sets[name]).astype(np.int32) for name in params.needs}
    made = _with_options(segmenter.segment(images, given_sets, params), given_sets, params)
    return np.asarray(made).astype(np.uint32)


def _with_options(made: NDArray[np.int32], sets: Mapping[str, NDArray[np.int32]], params: Any) -> NDArray[np.int32]:
    """Numbers and frame as on plates; objects with numbers of their own stay 1…n."""
    if params.link is not None:
        made = link(made, sets[params.link])
    if params.border == "drop":
        made = without(made, touching_frame(made))
    return made if params.needs else renumbered(made)


def _params(segmenter: Any, given: dict[str, Any], channels: int) -> Any:
    """The settings; a second channel of the image is that of the nuclei where the method takes one."""
    try:
        model = step_model(segmenter)
        params: Any = model.model_validate(given)
        if channels > len(params.roles) and "nucleus" in model.model_fields:
            params = model.model_validate({**given, "nucleus": "nucleus"})
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise UsageError(f"settings of {given['method']}", found="; ".join(problems)) from None
    if channels != len(params.roles) and params.roles:
        raise UsageError(
            f"an image with {len(params.roles)} channel(s) for {given['method']}: {', '.join(params.roles)}",
            found=str(channels),
        )
    return params


def _planes(image: Any) -> list[Any]:
    """Planes (Y, X) in memory, one a channel."""
    array = in_memory(image)[0]
    if array.ndim == 2:
        return [array]
    if array.ndim == 3:
        return list(array)
    raise UsageError("an image (Y, X) or (channel, Y, X)", found=f"an array of shape {tuple(array.shape)}")
