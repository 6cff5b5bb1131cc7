"""Whether the arrays on disk are what the metadata of their image says."""

from __future__ import annotations

import itertools
from typing import Any

from hts.store.validate.documents import ArrayFacts
from hts.store.validate.findings import Check, is_number, join, shown

_TOLERANCE = 0.02
_LABEL_KINDS = "iu"


def axis_names(multiscale: dict[str, Any]) -> tuple[str | None, ...]:
    """Names of the axes; None for one without a name that is text."""
    axes = multiscale.get("axes")
    named = [axis.get("name") if isinstance(axis, dict) else None for axis in axes] if isinstance(axes, list) else []
    return tuple(name if isinstance(name, str) else None for name in named)


def check_array(check: Check, facts: ArrayFacts, names: tuple[str | None, ...], *, is_label: bool) -> None:
    """Check one array against the names of the axes, and its type when it holds labels."""
    if names and len(facts.shape) != len(names):
        text = f"{len(names)} dimensions ({', '.join(map(str, names))}) are expected, found shape {facts.shape}."
        check.error("ndim", "", f"{text} Tools refuse the image or read wrong planes.")
    elif facts.format == 3 and names and facts.names != names:
        found = "none" if facts.names is None else ", ".join(map(str, facts.names))
        text = f"dimension_names {', '.join(map(str, names))}, as the axes, are expected, found {found}."
        check.error("dimension_names", "zarr.json.dimension_names", f"{text} Xarray and ngio refuse it or swap axes.")
    if facts.format == 2 and facts.separator != "/":
        text = f"Chunks in nested folders (dimension_separator '/') are expected, found {facts.separator!r}."
        check.error("separator", ".zarray.dimension_separator", f"{text} Some viewers find no pixel.")
    if is_label and facts.kind not in _LABEL_KINDS:
        text = f"Whole numbers are expected for labels, found {facts.dtype}."
        check.error("label_type", "", f"{text} Viewers and measurements refuse them: write them as int32.")


def check_levels(check: Check, multiscale: dict[str, Any], at: str, levels: list[ArrayFacts | None]) -> None:
    """Check the arrays of one multiscale against one another: types, sizes, scales."""
    known = [(index, facts) for index, facts in enumerate(levels) if facts is not None]
    here = join(at, "datasets")
    for (_, first), (index, second) in itertools.pairwise(known):
        if second.dtype != first.dtype:
            text = f"One type for all levels is expected, found {first.dtype}, then {second.dtype}."
            check.warning(
                "levels.type", f"{here}[{index}]", f"{text} Contrast jumps when zooming, or the viewer stops."
            )
        if len(first.shape) == len(second.shape):
            _check_smaller(check, first.shape, second.shape, f"{here}[{index}]")
    _check_scales(check, multiscale, here, known)
    if levels and levels[0] is not None:
        _check_units(check, multiscale, at, levels[0].shape)


def _check_smaller(check: Check, first: tuple[int, ...], second: tuple[int, ...], at: str) -> None:
    if any(b > a for a, b in zip(first, second, strict=True)):
        text = f"Levels from the largest to the smallest are expected, found shape {first} before {second}."
        check.error("levels.order", at, f"{text} Viewers and analyses use a small level as the full image.")
    elif first == second:
        text = f"Each level is expected to be smaller, found shape {first} twice."
        check.warning("levels.same", at, f"{text} It costs space and shows nothing more.")


def _check_scales(check: Check, multiscale: dict[str, Any], at: str, known: list[tuple[int, ArrayFacts]]) -> None:
    datasets = multiscale.get("datasets", [])
    if not known or known[0][0] != 0:
        return
    first = _scale_of(datasets[0])
    for index, facts in known[1:]:
        scale = _scale_of(datasets[index])
        if not len(first) == len(scale) == len(facts.shape) == len(known[0][1].shape) or min((*first, *scale)) <= 0:
            continue
        expected = [size * a / b for size, a, b in zip(known[0][1].shape, first, scale, strict=True)]
        if any(abs(e - n) > max(1.0, _TOLERANCE * n) for e, n in zip(expected, facts.shape, strict=True)):
            sizes = ", ".join(f"{size:.0f}" for size in expected)
            text = f"About ({sizes}) pixels, as its scale says, are expected, found {facts.shape}."
            check.error("levels.scale", f"{at}[{index}]", f"{text} Viewers will show this level at the wrong scale.")


def _scale_of(dataset: Any) -> list[float]:
    steps = dataset.get("coordinateTransformations") if isinstance(dataset, dict) else None
    first = steps[0] if isinstance(steps, list) and steps else None
    scale = first.get("scale") if isinstance(first, dict) else None
    return scale if isinstance(scale, list) and all(is_number(number) for number in scale) else []


def _check_units(check: Check, multiscale: dict[str, Any], at: str, shape: tuple[int, ...]) -> None:
    """A unit is recommended; for an axis of length 1 it says nothing."""
    axes = multiscale.get("axes")
    if not isinstance(axes, list) or len(axes) != len(shape) or not all(isinstance(axis, dict) for axis in axes):
        return
    without = [
        str(axis.get("name"))
        for axis, size in zip(axes, shape, strict=True)
        if size > 1 and axis.get("type") in ("space", "time") and axis.get("unit") is None
    ]
    if without:
        text = f"A unit is recommended and there is none for {', '.join(without)}."
        check.note("units", join(at, "axes"), f"{text} Viewers show no scale bar and sizes cannot be told in µm or s.")


def check_channels(check: Check, ome: dict[str, Any], sizes: dict[str, int]) -> None:
    """Check that omero names as many channels as the array has."""
    omero = ome.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if isinstance(channels, list) and channels and sizes and len(channels) != sizes.get("c", 1):
        text = f"{sizes.get('c', 1)} channels, as the array has, are expected, found {len(channels)}."
        check.error("channels", "omero.channels", f"{text} Viewers show wrong names and colours, or too few channels.")


def check_label_fits(check: Check, label: dict[str, int], image: dict[str, int], levels: tuple[int, int]) -> None:
    """Check that labels have the levels and the size of their image. `levels` are those of image and labels."""
    if levels[1] != levels[0]:
        text = f"{levels[0]} levels, as the image has, are expected, found {levels[1]}."
        check.error("levels", "multiscales[0].datasets", f"{text} Viewers cannot lay the labels over the image.")
    other = [name for name in label if name in image and label[name] not in (1, image[name])]
    if other:
        text = f"The size of the image is expected, found {', '.join(f'{n}={label[n]}' for n in other)}"
        text += f" for {', '.join(f'{n}={image[n]}' for n in other)}."
        check.warning("size", shown(other), f"{text} The labels will not lie on their objects.")
