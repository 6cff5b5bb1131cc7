"""OME-Zarr plates, Parquet tables and commit markers on local disk.

This is the only package that touches Zarr. Images follow OME-Zarr 0.5 (Zarr v3): one shard a plane,
2× pyramids, labels inside the plate.
"""

from hts.store.files import ensure_writable, exclusive, is_held, read_json, storage_errors, write_json
from hts.store.labels import list_labels, write_labels
from hts.store.markers import Markers
from hts.store.plate import Field, Plate, Well
from hts.store.tables import read_table, write_table
from hts.store.write import FieldImage, PlateSpec, create_plate, write_field

__all__ = [
    "Field",
    "FieldImage",
    "Markers",
    "Plate",
    "PlateSpec",
    "Well",
    "create_plate",
    "ensure_writable",
    "exclusive",
    "is_held",
    "list_labels",
    "read_json",
    "read_table",
    "storage_errors",
    "write_field",
    "write_json",
    "write_labels",
    "write_table",
]
