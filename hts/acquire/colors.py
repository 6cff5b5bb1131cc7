"""Display colours of channels: that of the light where a wavelength is known, else what names promise."""

from __future__ import annotations

from hts.model import Channel

_BY_WAVELENGTH_NM = ((480, "0000FF"), (505, "00FFFF"), (550, "00FF00"), (580, "FFFF00"), (650, "FF0000"))
"""Longest emission in nm of blue, cyan, green, yellow and red; beyond them the eye sees little: magenta."""
_FAR_RED = "FF00FF"
_BY_NAME = (
    (("bright", "phase", "trans", "dic", "bf "), "FFFFFF"),
    (("dapi", "hoechst", "dna", "405"), "0000FF"),
    (("cfp",), "00FFFF"),
    (("fitc", "gfp", "488", "alexa fluor 488"), "00FF00"),
    (("yfp", "cy3", "tritc", "555"), "FFFF00"),
    (("texas", "mcherry", "cherry", "rfp", "561", "594"), "FF0000"),
    (("cy5", "640", "647", "mito"), "FF00FF"),
)
_OTHERS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def color_of(channel: Channel, place: int, n_channels: int) -> str:
    """RRGGBB of the channel at ``place`` of a plate's ``n_channels``; a lone channel of unknown light is white."""
    lowered = channel.name.lower()
    if channel.wavelength_nm is not None:
        return next((color for limit, color in _BY_WAVELENGTH_NM if channel.wavelength_nm <= limit), _FAR_RED)
    named = next((color for parts, color in _BY_NAME if any(part in lowered for part in parts)), None)
    return named or _OTHERS[place % len(_OTHERS) if n_channels > 1 else 0]
