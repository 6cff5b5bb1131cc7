"""Rules of channel metadata (omero): names, colours and contrast windows."""

from __future__ import annotations

import re
from typing import Any

from hts.store.validate.findings import Check, is_number, join, repeated, shown

_COLOR = re.compile("[0-9a-fA-F]{6}")
_WINDOW = ("start", "end", "min", "max")


def check_omero(check: Check, omero: Any) -> None:
    """Check the object under ``omero`` (specification, section omero; transitional)."""
    if not isinstance(omero, dict):
        check.error("omero", "omero", f"An object is expected, found {shown(omero)}. Viewers cannot show the channels.")
        return
    why = "Viewers know neither names nor colours of the channels."
    channels = check.objects(omero, "channels", "omero", "omero.channels", why)
    for at, channel in channels:
        _check_color(check, channel, at)
        _check_window(check, channel, at)
        label = channel.get("label")
        if not isinstance(label, str) or not label:
            found = "nothing" if "label" not in channel else shown(label)
            text = f"A name is expected, found {found}. People cannot tell the channels apart."
            check.warning("omero.label", join(at, "label"), text)
    if labels := repeated(channel.get("label") for _, channel in channels if isinstance(channel.get("label"), str)):
        text = f"Every channel is expected to have its own name, found {shown(labels[0])} more than once."
        check.warning("omero.label.unique", "omero.channels", f"{text} A recipe that names it takes the first one.")


def _check_color(check: Check, channel: dict[str, Any], at: str) -> None:
    color = channel.get("color")
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        found = "nothing" if "color" not in channel else shown(color)
        text = f"A colour of six hexadecimal digits such as '00FF00' is expected, found {found}."
        check.error("omero.color", join(at, "color"), f"{text} Viewers refuse the image or show the channel black.")


def _check_window(check: Check, channel: dict[str, Any], at: str) -> None:
    window = channel.get("window")
    here = join(at, "window")
    if not isinstance(window, dict) or not all(is_number(window.get(end)) for end in _WINDOW):
        found = "nothing" if "window" not in channel else shown(window)
        text = f"Four numbers start, end, min and max are expected, found {found}."
        check.error("omero.window", here, f"{text} Viewers refuse the image or guess the contrast.")
        return
    if window["start"] > window["end"] or window["min"] > window["max"]:
        text = f"start up to end and min up to max are expected, found {shown(window)}."
        check.warning("omero.window.order", here, f"{text} Viewers show an inverted or black image.")
