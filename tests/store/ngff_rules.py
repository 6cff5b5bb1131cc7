"""The rules that the official OME-NGFF 0.5 JSON suites show, written out: an oracle that the suites judge first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Rule = Callable[[dict[str, Any], bool], Iterator[str]]


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _listed(holder: dict[str, Any], key: str) -> Iterator[str]:
    entries = holder.get(key)
    if not isinstance(entries, list) or not entries:
        yield f"{key} is a list with something in it"
    elif any(entries.count(entry) > 1 for entry in entries):
        yield f"{key} has no duplicates"


def image(ome: dict[str, Any], strict: bool) -> Iterator[str]:
    """Multiscales and omero."""
    yield from _listed(ome, "multiscales")
    for multiscale in ome.get("multiscales", []):
        axes, datasets = multiscale.get("axes", []), multiscale.get("datasets", [])
        yield from _axes(axes)
        yield from _listed(multiscale, "datasets")
        for dataset in datasets:
            if not isinstance(dataset.get("path"), str):
                yield "a path is text"
            yield from _transformations(dataset.get("coordinateTransformations", []))
        if "coordinateTransformations" in multiscale:
            yield from _transformations(multiscale["coordinateTransformations"])
        if strict and "name" not in multiscale:
            yield "a multiscale has a name"
    for channel in ome.get("omero", {}).get("channels", []):
        if not isinstance(channel.get("color"), str):
            yield "a colour is text"
        if not all(isinstance(channel["window"].get(end), int | float) for end in ("start", "end", "min", "max")):
            yield "a window has four numbers"


def _axes(axes: list[dict[str, Any]]) -> Iterator[str]:
    names = [axis.get("name") for axis in axes]
    if not 2 <= len(axes) <= 5 or None in names or len(set(names)) < len(names):
        yield "two to five axes with different names"
    if sum(axis.get("type") == "space" for axis in axes) not in (2, 3):
        yield "two or three axes of space"


def _transformations(steps: list[dict[str, Any]]) -> Iterator[str]:
    if [step.get("type") for step in steps] not in (["scale"], ["scale", "translation"]):
        yield "one scale, then at most one translation"
    for step in steps:
        numbers = step.get(step.get("type", ""))
        if not isinstance(numbers, list) or not all(isinstance(number, int | float) for number in numbers):
            yield "a transformation holds numbers under its own name"


def plate(ome: dict[str, Any], strict: bool) -> Iterator[str]:
    """Plate metadata."""
    meta = ome["plate"]
    for key in ("rows", "columns", "wells"):
        yield from _listed(meta, key)
    for key in ("rows", "columns"):
        if not all(str(entry.get("name", "-")).isalnum() for entry in meta.get(key, [])):
            yield f"{key} have names of letters and digits"
    for well in meta.get("wells", []):
        groups = well.get("path", "").split("/")
        if len(groups) != 2 or not all(_is_int(well.get(key), 0) for key in ("rowIndex", "columnIndex")):
            yield "a well has a path of two groups and its two indices"
    for acquisition in meta.get("acquisitions", []):
        numbers = {"id": 0, "maximumfieldcount": 1, "starttime": 0, "endtime": 0}
        if "id" not in acquisition or not all(_is_int(acquisition.get(k, n), n) for k, n in numbers.items()):
            yield "an acquisition has an id, counts and times that are numbers"
        if strict and not {"name", "maximumfieldcount"} <= set(acquisition):
            yield "an acquisition has a name and a field count"
    if not _is_int(meta.get("field_count", 1), 1):
        yield "field_count is at least one"
    if strict and "name" not in meta:
        yield "a plate has a name"


def well(ome: dict[str, Any], strict: bool) -> Iterator[str]:
    """Well metadata."""
    yield from _listed(ome["well"], "images")
    for entry in ome["well"]["images"]:
        if not entry.get("path", "-").isalnum() or not _is_int(entry.get("acquisition", 0), 0):
            yield "an image has a path of letters and digits, and a number for its acquisition"


def label(ome: dict[str, Any], strict: bool) -> Iterator[str]:
    """Image-label metadata."""
    meta = ome["image-label"]
    for key in ("colors", "properties"):
        if key in meta:
            yield from _listed(meta, key)
        if not all(_is_int(entry.get("label-value"), 0) for entry in meta.get(key, [])):
            yield f"each of the {key} names its label"
    for color in meta.get("colors", []):
        values = color.get("rgba", [])
        if len(values) != 4 or not all(_is_int(value, 0) and value <= 255 for value in values):
            yield "a colour is four bytes"
    if strict and "colors" not in meta:
        yield "labels have colours"


RULES: dict[str, Rule] = {"image": image, "plate": plate, "well": well, "label": label}
