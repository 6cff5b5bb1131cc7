"""Label images inside the plate: written under a new name, listed only after they are whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hts.model import FieldKey, PixelSize
from hts.store import ngff
from hts.store.arrays_v3 import create, write_plane
from hts.store.files import read_json, storage_errors, write_json
from hts.store.pyramid import halve_labels, level_shapes
from hts.store.write import field_path

_OURS = re.compile(r"[a-z_][a-z0-9_]*-[0-9a-f]{8}")


def write_labels(
    plate: Path,
    key: FieldKey,
    labels: Mapping[str, NDArray[np.int32]],
    pixel_size: PixelSize | None,
) -> None:
    """Write label images (Y, X) of one field; viewers see them after :func:`list_labels`."""
    folder = field_path(plate, key) / "labels"
    axes = tuple(axis["name"] for axis in ngff.AXES if axis["name"] != "c")
    for name, plane in labels.items():
        # Zarr reads a shard that is there before it writes into it: a damaged one could never be mended.
        with storage_errors(folder / name):
            if (folder / name).exists():
                shutil.rmtree(folder / name)
        shape = (plane.shape[0], plane.shape[1])
        level_plane: NDArray[np.uint32] = plane.astype(np.uint32)
        for level, level_shape in enumerate(level_shapes(shape)):
            array = create(folder / name / str(level), (1, 1, *level_shape), "<u4", axes, labels=True)
            write_plane(array, (0, 0), level_plane)
            level_plane = halve_labels(level_plane)
        write_json(folder / name / "zarr.json", ngff.group(ngff.label_image(name, shape, pixel_size)))


def list_labels(plate: Path, key: FieldKey, names: list[str]) -> None:
    """Make `names` the labels of ours that viewers see; others of ours stay on disk, unlisted.

    Labels that somebody else put there (names without our fingerprint) stay listed.
    """
    path = field_path(plate, key) / "labels" / "zarr.json"
    before = read_json(path) if path.exists() else None
    listed = before["attributes"]["ome"]["labels"] if before else []
    foreign = [name for name in listed if name not in names and not _OURS.fullmatch(name)]
    document = ngff.group({"labels": [*names, *foreign]})
    if before != document:
        write_json(path, document)
