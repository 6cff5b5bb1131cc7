"""Label images inside the plate: written under a new name, listed only after they are whole."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hts.store import ngff
from hts.store.arrays import ArraySpec, create, write_plane
from hts.store.field import Field
from hts.store.files import read_if_there
from hts.store.folders import Folders
from hts.store.groups import METADATA, read_attributes, write_group
from hts.store.pyramid import halve_labels, level_shapes
from hts.store.write import FORMAT

_OURS = re.compile(r"[a-z_][a-z0-9_]*-[0-9a-f]{8}")


def write_labels(field: Field, labels: Mapping[str, NDArray[np.int32]]) -> None:
    """Write label images (Y, X) of one field, in its plate's version and with its pixel size and axes.

    Viewers see them after :func:`list_labels`. Every plane has its file, also one without objects.

    Raises
    ------
    StoreError
        when they cannot be written; plates in zip files are read-only.
    """
    folders = Folders(field.location)
    for name, plane in labels.items():
        shape = (plane.shape[0], plane.shape[1])
        write_levels(field, name, (0, level_specs(field, shape)), plane.astype(np.uint32), folders)
        write_label_group(field, name, shape)


def level_specs(field: Field, shape: tuple[int, int]) -> list[ArraySpec]:
    """The arrays of a label image of a field, the full one first."""
    axes = tuple(name for name in field.multiscale.names if name != "c")
    leading = (1,) * (len(axes) - 2)
    return [ArraySpec((*leading, *each), "<u4", axes, field.version, labels=True) for each in level_shapes(shape)]


def write_levels(
    field: Field, name: str, levels: tuple[int, list[ArraySpec]], plane: NDArray[np.uint32], folders: Folders
) -> None:
    """Write a plane (Y, X) of labels as the first of some levels, given with its number, and the following ones."""
    first, specs = levels
    for level, spec in enumerate(specs, first):
        place = field.location / "labels" / name / str(level)
        create(place, spec, folders)
        write_plane(place, spec, (0,) * (len(spec.shape) - 2), plane, folders)
        plane = halve_labels(plane)


def write_label_group(field: Field, name: str, shape: tuple[int, int]) -> None:
    """Write the metadata of a label image: from then on it is there."""
    multiscale = field.multiscale
    where = multiscale.axes, multiscale.sizes[0] or (1.0,) * len(multiscale.axes)
    ome = ngff.label_image(name, shape, where, field.version)
    write_group(field.location / "labels" / name, ome, {"format": FORMAT}, field.version)


def list_labels(field: Field, names: list[str]) -> None:
    """Make `names` the labels of ours that viewers see; others of ours stay on disk, unlisted.

    Labels that somebody else put there (names without our fingerprint) stay listed.
    """
    place = field.location / "labels"
    known = read_if_there(place / METADATA[field.version]) is not None
    before = read_attributes(place, field.version, "labels") if known else {"ome": {}, "hts": {}}
    listed = before["ome"].get("labels", [])
    foreign = [name for name in listed if name not in names and not _OURS.fullmatch(name)]
    after = {**before["ome"], "labels": [*names, *foreign]}
    if before["ome"] != after:
        write_group(place, after, before["hts"] or None, field.version)
