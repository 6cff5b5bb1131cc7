"""Groups with OME metadata, of Zarr v3 (OME-Zarr 0.5) and Zarr v2 (0.4), read and written as the same dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hts.errors import StoreError
from hts.locations import Location
from hts.store import ngff
from hts.store.files import read_json, write_json
from hts.store.ngff import Version

METADATA: dict[Version, str] = {"0.5": "zarr.json", "0.4": ".zattrs"}
"""Name of the document with a group's attributes."""
_NOUNS = {"multiscales": "image", "image-label": "label image"}


def read_attributes(place: Location, version: Version, kind: str) -> dict[str, Any]:
    """OME metadata under ``ome`` and ours under ``hts``, whatever the version.

    Parameters
    ----------
    kind : the key that the metadata must have: plate, well, multiscales, labels.

    Raises
    ------
    StoreError
        when the document is absent, damaged or of another kind.
    """
    file = place / METADATA[version]
    document = read_json(file)
    try:
        # The version is a number that some writers leave out; what counts is that the blocks are there.
        ome = document["attributes"]["ome"] if version == "0.5" else document
        hts = document["attributes"].get("hts") if version == "0.5" else document.get("hts")
        present = ome[kind]
    except (KeyError, TypeError, AttributeError):
        present = None
    if not present and not (kind == "labels" and present == []):
        noun = _NOUNS.get(kind, kind)
        block = f"ome.{kind}" if version == "0.5" else kind
        raise StoreError(f"{place} is an OME-Zarr {version} {noun}", found=f"no {block} in {file}")
    return {"ome": ome, "hts": hts if isinstance(hts, dict) else {}}


def write_group(
    place: Location, ome: Mapping[str, Any], hts: Mapping[str, Any] | None = None, version: Version = "0.5"
) -> None:
    """Write the documents of a group; the one that makes it a plate, a well or an image comes last."""
    for name, document in ngff.documents(ome, hts, version).items():
        write_json(place / name, document, durable=False)
