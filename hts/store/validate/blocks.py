"""Where metadata stands in a document, and its version: what all kinds of groups have in common."""

from __future__ import annotations

from typing import Any

from hts.store.validate.findings import Check, join, shown

VERSIONS = ("0.4", "0.5")
OME_KEYS = ("plate", "well", "multiscales", "labels", "image-label", "omero", "bioformats2raw.layout")
_UPGRADE = "hts convert --rewrite makes a new plate of it"


def block(check: Check, attributes: Any, version: str, key: str) -> dict[str, Any] | None:
    """The object that holds OME's keys; None after reporting that it, or `key` in it, is absent."""
    if not isinstance(attributes, dict):
        check.error("attributes", "", f"The attributes are expected to be an object, found {shown(attributes)}.")
        return None
    ome = _ome_of(check, attributes) if version == "0.5" else attributes
    if ome is None:
        return None
    if key not in ome:
        text = f"The key {key!r} is expected, found {_names(ome)}. Tools will not know what this group is."
        if version == "0.4" and "ome" in attributes:
            text = (
                "OME-Zarr 0.4 keeps its metadata at the top of .zattrs, found the key 'ome' of 0.5. No tool reads it."
            )
        check.error("block", key, text)
        return None
    return ome


def _ome_of(check: Check, attributes: dict[str, Any]) -> dict[str, Any] | None:
    ome = attributes.get("ome")
    if isinstance(ome, dict):
        check_version(check, ome, "ome", "0.5", missing="error")
        return ome
    stray = [key for key in OME_KEYS if key in attributes]
    found = "nothing" if "ome" not in attributes else shown(ome)
    text = f"OME-Zarr 0.5 keeps its metadata in an object under the key 'ome', found {found}"
    if stray:
        text += f" and {', '.join(map(repr, stray))} beside it, as in 0.4"
    check.error("ome", "ome", f'{text}. No tool will see it: move it under \'ome\', with "version": "0.5".')
    return None


def _names(holder: dict[str, Any]) -> str:
    return shown(list(holder)) if holder else "nothing"


def check_version(check: Check, holder: dict[str, Any], at: str, version: str, *, missing: str) -> None:
    """A key ``version`` with the one version that all documents of a plate share.

    `missing` says what its absence is: ``error`` and ``warning`` (required, recommended) or ``note``.
    """
    found = holder.get("version")
    if found == version:
        return
    if "version" not in holder:
        text = f'The version is expected ("version": "{version}") and not told; readers guess it.'
        check.add(missing if missing in ("error", "warning") else "note", "version", join(at, "version"), text)  # type: ignore[arg-type]
        return
    text = f"Version {version!r} is expected, found {shown(found)}. Tools will apply other rules or refuse it"
    check.error("version", join(at, "version"), f"{text}; {_UPGRADE}.")


def check_block_version(check: Check, holder: dict[str, Any], at: str, version: str) -> None:
    """The version inside a block: recommended in 0.4; in 0.5 the one under ``ome`` counts and this must not differ."""
    if version == "0.4" or "version" in holder:
        check_version(check, holder, at, version, missing="warning")
