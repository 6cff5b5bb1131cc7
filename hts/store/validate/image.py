"""Rules of image metadata (multiscales) in OME-Zarr 0.4 and 0.5.

Source: the specifications at https://ngff.openmicroscopy.org/0.4/ and /0.5/, sections axes, coordinateTransformations
and multiscales. Where text and official JSON suites disagree the text decides.
"""

from __future__ import annotations

import itertools
from typing import Any

from hts.store.validate.blocks import block, check_block_version
from hts.store.validate.findings import Check, Finding, is_number, join, repeated, shown
from hts.store.validate.omero import check_omero
from hts.store.validate.units import SPACE_UNITS, TIME_UNITS

_KNOWN_TYPES = ("time", "channel", "space")


def check_image(attributes: Any, version: str) -> list[Finding]:
    """Check the attributes of an image group: multiscales and, where it is there, omero.

    Parameters
    ----------
    attributes : what ``.zattrs`` holds (0.4), or ``attributes`` of ``zarr.json`` (0.5).
    version : the rules to apply, ``"0.4"`` or ``"0.5"``.
    """
    check = Check("image")
    ome = block(check, attributes, version, "multiscales")
    if ome is None:
        return check.findings
    why = "Without it there is no image to open."
    multiscales = check.objects(ome, "multiscales", "", "multiscales", why)
    if len(multiscales) > 1 and any(multiscales[0][1] == other for _, other in multiscales[1:]):
        check.error("multiscales", "multiscales", "Each entry is expected once, found the same entry again.")
    for at, multiscale in multiscales:
        _check_multiscale(check, multiscale, at, version)
    if "omero" in ome:
        check_omero(check, ome["omero"])
    return check.findings


def _check_multiscale(check: Check, multiscale: dict[str, Any], at: str, version: str) -> None:
    check_block_version(check, multiscale, at, version)
    axes = check.objects(multiscale, "axes", at, "axes", "Nobody can tell what the dimensions of the arrays are.")
    _check_axes(check, axes, join(at, "axes"))
    why = "Nobody can tell where the pixels are."
    datasets = check.objects(multiscale, "datasets", at, "datasets", why)
    scales = []
    for here, dataset in datasets:
        _check_path(check, dataset, here)
        steps = dataset.get("coordinateTransformations")
        scales.append(_check_transformations(check, steps, join(here, "coordinateTransformations"), len(axes)))
    paths = repeated(dataset.get("path") for _, dataset in datasets if isinstance(dataset.get("path"), str))
    if paths:
        text = f"Each level is expected to have its own array, found {shown(paths[0])} more than once."
        check.error("path.unique", join(at, "datasets"), f"{text} List every array once.")
    _check_order(check, scales, join(at, "datasets"))
    if "coordinateTransformations" in multiscale:
        here = join(at, "coordinateTransformations")
        _check_transformations(check, multiscale["coordinateTransformations"], here, len(axes))
    _check_description(check, multiscale, at, len(datasets))


def _check_description(check: Check, multiscale: dict[str, Any], at: str, levels: int) -> None:
    if "name" not in multiscale:
        check.note("name", at, "A name is recommended and there is none; viewers show the folder's name instead.")
    elif not isinstance(multiscale["name"], str):
        check.warning("name", join(at, "name"), f"The name is expected to be text, found {shown(multiscale['name'])}.")
    if levels > 1 and not {"type", "metadata"} & set(multiscale):
        text = 'How the smaller levels were made is recommended ("type", "metadata") and not told. Nothing breaks.'
        check.note("method", at, text)


def _check_path(check: Check, dataset: dict[str, Any], at: str) -> None:
    path = check.text(dataset, "path", at, "path", "The array of this level cannot be found.")
    if path is not None and not is_inside(path):
        text = f"A path below this group is expected, found {shown(path)}. A plate that is moved loses this array."
        check.error("path.outside", join(at, "path"), f"{text} Move the array into the group.")


def is_inside(path: str) -> bool:
    """Whether a relative path stays below its group."""
    odd = path.startswith("/") or "\\" in path or "://" in path or not path.isprintable()
    return not odd and ".." not in path.split("/")


def _check_axes(check: Check, axes: list[tuple[str, Any]], at: str) -> None:
    if not axes:
        return
    if not 2 <= len(axes) <= 5:
        text = f"Two to five axes are expected, found {len(axes)}. Most tools will not open the image."
        check.error("axes.count", at, text)
    for here, axis in axes:
        check.text(axis, "name", here, "axes.name", "Tools find channels and planes by the names of the axes.")
        _check_axis(check, axis, here)
    if names := repeated(axis["name"] for _, axis in axes if isinstance(axis.get("name"), str)):
        text = f"Every axis is expected to have its own name, found {shown(names[0])} more than once."
        check.error("axes.unique", at, f"{text} Tools mix up the dimensions.")
    types = [axis.get("type") for _, axis in axes]
    _check_types(check, types, at)
    _check_space_order(check, [axis.get("name") for _, axis in axes if axis.get("type") == "space"], at)


def _check_axis(check: Check, axis: dict[str, Any], at: str) -> None:
    kind, unit = axis.get("type"), axis.get("unit")
    if kind is None:
        text = "A type (space, time or channel) is recommended for every axis and not told; tools guess it by name."
        check.warning("axes.type", at, text)
    elif not isinstance(kind, str):
        check.error("axes.type", join(at, "type"), f"The type of an axis is expected to be text, found {shown(kind)}.")
    known = {"space": SPACE_UNITS, "time": TIME_UNITS}.get(kind) if isinstance(kind, str) else None
    if unit is None or known is None or (isinstance(unit, str) and unit in known):
        return
    example = "micrometer" if kind == "space" else "second"
    text = f"A unit of {kind} written out, such as {example!r}, is expected, found {shown(unit)}."
    check.warning("axes.unit", join(at, "unit"), f"{text} Tools ignore the unit or show a wrong size.")


def _check_types(check: Check, types: list[Any], at: str) -> None:
    shown_types = ", ".join(str(kind) for kind in types)
    space = types.count("space")
    if space not in (2, 3):
        text = f"Two or three axes of type space are expected, found {space} ({shown_types})."
        check.error("axes.space", at, f"{text} Viewers cannot tell which two make the picture.")
    custom = [kind for kind in types if kind not in _KNOWN_TYPES]
    for name, count in (("time", types.count("time")), ("channel", types.count("channel")), ("custom", len(custom))):
        if count > 1:
            text = f"At most one axis of type {name} is expected, found {count} ({shown_types})."
            check.error("axes.types", at, f"{text} Tools cannot tell which one is meant.")
    if "channel" in types and custom:
        text = f"Either a channel axis or a custom one is expected, found both ({shown_types})."
        check.warning("axes.custom", at, f"{text} Many tools will not open the image.")
    # A channel and a custom axis have the same place; the rule above speaks of having both.
    ranks = [0 if kind == "time" else 2 if kind == "space" else 1 for kind in types]
    if ranks != sorted(ranks):
        text = f"The order time, channel, space is expected, found {shown_types}."
        check.error("axes.order", at, f"{text} Viewers will take one dimension for another; reorder arrays and axes.")


def _check_space_order(check: Check, names: list[Any], at: str) -> None:
    usual = ["z", "y", "x"] if len(names) == 3 else ["y", "x"]
    if all(isinstance(name, str) for name in names) and sorted(names) == sorted(usual) and names != usual:
        text = f"The order {', '.join(usual)} is recommended, found {', '.join(names)}."
        check.warning("axes.zyx", at, f"{text} Viewers may show the image transposed or the planes as rows.")


def _check_transformations(check: Check, steps: Any, at: str, axes: int) -> list[float] | None:
    """Check a list of transformations; gives the scale when all of it is in order."""
    means = "Viewers will show the wrong scale, or none."
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        text = f"A list with one scale is expected, found {'nothing' if steps is None else shown(steps)}."
        check.error("scale", at, f"{text} {means}")
        return None
    kinds = [step.get("type") for step in steps]
    if kinds not in (["scale"], ["scale", "translation"]):
        text = f"One scale, then at most one translation is expected, found {', '.join(map(str, kinds))}."
        check.error("scale.order", at, f"{text} {means}")
        return None
    vectors = [
        _check_vector(check, step, kind, f"{at}[{i}]", axes)
        for i, (kind, step) in enumerate(zip(kinds, steps, strict=True))
    ]
    scale = vectors[0]
    if scale is not None and min(scale) <= 0:
        text = f"Pixel sizes above zero are expected, found {shown(scale)}. {means}"
        check.error("scale.positive", f"{at}[0].scale", text)
        return None
    return scale


def _check_vector(check: Check, step: dict[str, Any], kind: str, at: str, axes: int) -> list[float] | None:
    if kind not in step and isinstance(step.get("path"), str):
        text = f"Numbers are expected, found a path to an array ({step['path']!r})."
        check.warning("scale.path", at, f"{text} It is allowed, but hardly any tool reads it: write the numbers here.")
        return None
    numbers = step.get(kind)
    if not isinstance(numbers, list) or not numbers or not all(is_number(number) for number in numbers):
        found = "nothing" if numbers is None else shown(numbers)
        text = f"A list of numbers is expected, found {found}. Viewers will show the wrong scale, or none."
        check.error("scale.numbers", join(at, kind), text)
        return None
    if axes and len(numbers) != axes:
        text = f"{axes} numbers, one an axis, are expected, found {len(numbers)}."
        check.error("scale.length", join(at, kind), f"{text} Tools refuse the image or apply a size to the wrong axis.")
        return None
    return [float(number) for number in numbers]


def _check_order(check: Check, scales: list[list[float] | None], at: str) -> None:
    known = [scale for scale in scales if scale is not None]
    for first, second in itertools.pairwise(known):
        if len(first) == len(second) and any(b < a for a, b in zip(first, second, strict=True)):
            text = f"Levels from the finest to the coarsest are expected, found scale {first} before {second}."
            check.error("datasets.order", at, f"{text} Viewers and analyses will use a small level as the full image.")
            return
