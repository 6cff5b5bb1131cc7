"""Names of units that the specification lists for axes (section axes; valid in UDUNITS-2)."""

from __future__ import annotations

_LARGE = ("hecto", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
_SMALL = ("deci", "centi", "milli", "micro", "nano", "pico", "femto", "atto", "zepto", "yocto")
_PREFIXES = (*_LARGE, *_SMALL)
SPACE_UNITS = frozenset({"angstrom", "foot", "inch", "meter", "mile", "parsec", "yard"}) | {
    f"{prefix}meter" for prefix in _PREFIXES
}
TIME_UNITS = frozenset({"day", "hour", "minute", "second"}) | {f"{prefix}second" for prefix in _PREFIXES}
