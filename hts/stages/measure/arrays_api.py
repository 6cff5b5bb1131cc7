"""``hts.measure`` and ``hts.features``: the feature catalogue in a script, by the same code as on plates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hts.arrays import in_memory, to_numpy
from hts.errors import UsageError
from hts.stages.measure.catalogue import MeasureParams
from hts.stages.measure.features import families as load_families
from hts.stages.measure.field import measure_field

if TYPE_CHECKING:
    import pandas as pd

EXACT_IN_FLOAT32 = 2**24

_NEEDS = {0: "labels", 1: "labels, one channel", 2: "labels, two channels"}


def measure(
    labels: Any,
    image: Any = None,
    channels: Sequence[str] | None = None,
    families: str | Sequence[str] = "all",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    threads: int = 1,
    **settings: Any,
) -> pd.DataFrame:
    """Measure the objects of one image.

    >>> table = hts.measure(labels, image, channels=("DNA", "ER"))                      # doctest: +SKIP
    >>> table = hts.measure({"nuclei": nuclei, "cells": cells}, image, ("DNA", "ER"))   # doctest: +SKIP
    >>> table = hts.measure(labels, image, families=["shape", "texture"],
    ...                     options={"texture": {"scales_px": (3, 5)}})                 # doctest: +SKIP

    Parameters
    ----------
    labels : (Y, X) whole numbers, 0 outside; one array, whose columns begin with ``Objects_``, or a mapping of
        object sets, the first of which is the primary one. The same number in two sets is the same cell. Numbers
        may have gaps. Floats are taken when they are whole.
    image : (channel, Y, X) or (Y, X), integers or floats, or None for shapes alone; NumPy, CuPy, Dask, or an xarray of
        these. 8 and 16 bits are measured as they are; whole numbers that fit 16 bits are taken as such, all else
        as float32, which rounds float64 to 7 digits. Pixels that are not finite leave their object without values in
        that channel.
    channels : a name for each channel; those of an xarray, or Channel1, Channel2 … when not given.
    families : names of feature families (:func:`features` lists them), or ``"all"``.
    options : settings by family.
    threads : how many threads share the work.
    settings : ``full_scale`` and ``precision`` as in a recipe's ``measure`` section.

    Returns
    -------
    One row for each number in any set, ascending, with the columns of the catalogue; NaN where undefined.

    Raises
    ------
    UsageError
        for arrays of other shapes or types, negative or broken numbers, unknown families or settings.
    StageError
        for labels whose numbers are too high, or grey levels beyond ``full_scale`` where a family needs it.
    """
    if threads < 1:
        raise UsageError("one thread or more", found=str(threads))
    planes, named = _planes(image)
    names = _channel_names(channels, named, len(planes))
    sets = labels if isinstance(labels, Mapping) else {"objects": labels}
    chosen = "all" if families == "all" else tuple([families] if isinstance(families, str) else families)
    given = {"features": chosen, "options": options or {}, **settings}
    numbers = {name: _numbers(name, array) for name, array in sets.items()}
    images, params = dict(zip(names, planes, strict=True)), _params(given)
    if families != "all":
        _refuse_idle(params, names)
    return measure_field(numbers, images, params, threads=threads)


def features(families: str | Sequence[str] = "all", channels: Sequence[str] = ("A", "B")) -> pd.DataFrame:
    """The feature catalogue: name, family, unit, inputs, definition, source and cost of each feature.

    Parameters
    ----------
    families : names of feature families, or ``"all"``.
    channels : names to write in the place of channels. With the default, features of a channel are
        listed for A, and features of a pair for A and B.

    Returns
    -------
    One row a feature, in the order of the columns of a table, without the object set before the name.
    ``cost_ns`` is nanoseconds a pixel inside objects, and channel or pair, on one core, for the whole family.
    """
    import pandas as pd

    chosen = load_families("all" if families == "all" else tuple([families] if isinstance(families, str) else families))
    template = tuple(channels) == ("A", "B")
    rows = []
    for family in chosen:
        for info in family.catalogue(tuple(channels)):
            if template and info.channel == "B":
                continue
            needs = len(info.channel.split(",")) if info.channel else 0
            row = (info.name, info.family, info.unit, _NEEDS[needs], info.definition, info.source)
            rows.append((*row, float(getattr(family, "cost_ns", 0.0)) or np.nan))
    names = ["name", "family", "unit", "inputs", "definition", "source", "cost_ns"]
    return pd.DataFrame(rows, columns=names)


def _refuse_idle(params: MeasureParams, channels: tuple[str, ...]) -> None:
    """A family that was named and has nothing to measure."""
    for family in params.families():
        if not family.catalogue(channels):
            raise UsageError(
                f"channels for feature family {family.name}",
                found=", ".join(channels) or "no image",
                fix="give an image with more channels, or leave the family out",
            )


def _params(given: dict[str, Any]) -> MeasureParams:
    from pydantic import ValidationError

    try:
        return MeasureParams.model_validate(given)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise UsageError("settings of a measurement", found="; ".join(problems)) from None


def _numbers(name: str, array: Any) -> NDArray[np.int32]:
    """Labels as int32, when they are whole numbers from 0."""
    found = np.asarray(to_numpy(in_memory(array)[0]))
    if found.dtype == bool or found.dtype.kind not in "uif":
        raise UsageError(
            f"labels of {name}: whole numbers, one for each object",
            found=f"an array of type {found.dtype}",
            fix="number the objects, for example with skimage.measure.label(mask)",
        )
    if found.ndim != 2:
        raise UsageError(
            f"labels of {name} of shape (Y, X)", found=f"shape {found.shape}", fix="measure planes one by one"
        )
    top = np.iinfo(np.int32).max
    if found.dtype.kind == "f":
        found = found.astype(np.float64)
    if found.size and not (found.min() >= 0 and found.max() <= top and np.array_equal(found, np.floor(found))):
        raise UsageError(
            f"labels of {name}: whole numbers from 0 to {top}",
            found=f"{found.dtype} from {found.min()} to {found.max()}",
            cause="an image or a probability map in the place of labels, or the wrong order of arguments",
        )
    return found.astype(np.int32)


def _planes(image: Any) -> tuple[list[NDArray[Any]], tuple[str, ...] | None]:
    """Planes (Y, X), one a channel, and the names that an xarray gives them."""
    if image is None:
        return [], None
    array, named = in_memory(image)
    found = np.asarray(to_numpy(array))
    if found.ndim not in (2, 3):
        raise UsageError("an image (Y, X) or (channel, Y, X)", found=f"an array of shape {found.shape}")
    return list(_levels(found[None] if found.ndim == 2 else found)), named


def _levels(plane: NDArray[Any]) -> NDArray[Any]:
    """Grey levels as uint8, uint16 or float32, not copied when they are so already."""
    if plane.dtype.kind == "f":
        with np.errstate(over="ignore"):
            single = plane.astype(np.float32, copy=False)
        if np.any(np.isinf(single) & np.isfinite(plane)):
            raise UsageError(
                f"grey levels of at most {np.finfo(np.float32).max:.3g}, which float32 holds",
                found=f"{plane.dtype} up to {np.max(np.abs(plane[np.isfinite(plane)])):.3g}",
                fix="scale the image",
            )
        return single
    if plane.dtype.kind not in "biu":
        raise UsageError("an image of integers or floats", found=f"type {plane.dtype}")
    if plane.dtype.kind == "b" or plane.dtype == np.uint8:
        return plane.astype(np.uint8, copy=False)
    low, high = (int(plane.min()), int(plane.max())) if plane.size else (0, 0)
    if low >= 0 and high <= np.iinfo(np.uint16).max:
        return plane.astype(np.uint16, copy=False)
    if max(-low, high) > EXACT_IN_FLOAT32:
        raise UsageError(
            f"grey levels of at most {EXACT_IN_FLOAT32}, which float32 holds exactly",
            found=f"{plane.dtype} from {low} to {high}",
            fix="subtract an offset, or scale to floats",
        )
    return plane.astype(np.float32)


def _channel_names(given: Sequence[str] | None, named: tuple[str, ...] | None, count: int) -> tuple[str, ...]:
    names = tuple([given] if isinstance(given, str) else given) if given is not None else named
    if names is None:
        names = tuple(f"Channel{number}" for number in range(1, count + 1))
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UsageError("a different name for every channel", found=f"{repeated[0]!r} more than once")
    if len(names) != count:
        raise UsageError(
            f"a name for each of {count} channels",
            found=f"{len(names)}: {', '.join(map(str, names))}",
            cause="the channel axis of the image is not the first one" if count > 8 else "",
        )
    return tuple(map(str, names))
