"""Rules of label metadata: the list in ``labels`` and the object ``image-label`` (specifications, section labels)."""

from __future__ import annotations

from typing import Any

from hts.store.validate.blocks import block, check_version
from hts.store.validate.findings import Check, Finding, is_whole, join, repeated, shown
from hts.store.validate.image import is_inside

_BYTE = 255


def check_label(attributes: Any, version: str) -> list[Finding]:
    """Check the object ``image-label`` of a label image; its multiscales are checked as any image's are."""
    check = Check("label")
    holder = attributes.get("ome", {}) if version == "0.5" and isinstance(attributes, dict) else attributes
    if isinstance(holder, dict) and "multiscales" in holder and "image-label" not in holder:
        text = "The object 'image-label' is recommended and absent; tools may take the labels for an image."
        check.warning("block", "image-label", text)
        return check.findings
    ome = block(check, attributes, version, "image-label")
    if ome is None:
        return check.findings
    label = ome["image-label"]
    if not isinstance(label, dict):
        check.error("block", "image-label", f"An object is expected, found {shown(label)}. Tools refuse the labels.")
        return check.findings
    check_version(check, label, "image-label", version, missing="warning" if version == "0.4" else "note")
    colors = _check_values(check, label, "colors")
    for at, color in colors:
        _check_rgba(check, color, at)
    properties = _check_values(check, label, "properties")
    if "colors" not in label:
        check.note("colors", "image-label", "Colours are recommended and there are none; viewers choose their own.")
    elif properties and _values(colors) != _values(properties):
        text = "Colours and properties about the same label values are expected, found others."
        check.warning("values", "image-label", f"{text} Some tools (ome-zarr-models) refuse the labels.")
    _check_source(check, label)
    return check.findings


def _values(entries: list[tuple[str, Any]]) -> set[int]:
    return {entry["label-value"] for _, entry in entries if is_whole(entry.get("label-value"))}


def _check_values(check: Check, label: dict[str, Any], key: str) -> list[tuple[str, Any]]:
    if key not in label:
        return []
    why = f"Leave the key out when there are no {key}."
    entries = check.objects(label, key, "image-label", key, why)
    for at, entry in entries:
        if not is_whole(entry.get("label-value")):
            found = "nothing" if "label-value" not in entry else shown(entry["label-value"])
            text = f"A whole number is expected, found {found}. Nobody can tell which object is meant."
            check.error(f"{key}.value", join(at, "label-value"), text)
    if twice := repeated(entry.get("label-value") for _, entry in entries if is_whole(entry.get("label-value"))):
        text = f"Every label value is expected once, found {twice[0]} more than once."
        severity = check.error if key == "colors" else check.warning
        severity(f"{key}.unique", join("image-label", key), f"{text} It depends on the tool which entry counts.")
    return entries


def _check_rgba(check: Check, color: dict[str, Any], at: str) -> None:
    rgba = color.get("rgba")
    if "rgba" not in color:
        return
    if not isinstance(rgba, list) or len(rgba) != 4 or not all(is_whole(v) and 0 <= v <= _BYTE for v in rgba):
        text = f"Four whole numbers from 0 to 255 are expected, found {shown(rgba)}. Viewers refuse the labels."
        check.error("colors.rgba", join(at, "rgba"), text)


def _check_source(check: Check, label: dict[str, Any]) -> None:
    source = label.get("source", {})
    if not isinstance(source, dict) or not isinstance(source.get("image", ""), str):
        text = f"An object with the path of the image is expected, found {shown(source)}."
        check.error("source", "image-label.source", f"{text} Tools cannot find what the labels belong to.")


def check_labels(attributes: Any, version: str) -> tuple[list[Finding], list[str]]:
    """Check the list of label images in a group ``labels``; gives the paths in it that can be followed."""
    check = Check("labels")
    ome = block(check, attributes, version, "labels")
    if ome is None:
        return check.findings, []
    listed = ome["labels"]
    if not isinstance(listed, list) or not all(isinstance(path, str) and path for path in listed):
        text = f"A list of names is expected, found {shown(listed)}. No tool finds the label images."
        check.error("list", "labels", text)
        return check.findings, []
    if twice := repeated(listed):
        text = f"Every name is expected once, found {shown(twice[0])} more than once. Viewers show it twice."
        check.warning("unique", "labels", text)
    outside = [path for path in listed if not is_inside(path)]
    for path in outside:
        text = f"A name below the group labels is expected, found {shown(path)}. A plate that is moved loses it."
        check.error("path", "labels", text)
    return check.findings, [path for path in dict.fromkeys(listed) if path not in outside]
