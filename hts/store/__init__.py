"""OME-Zarr plates, Parquet tables and commit markers, on disk or on an object store.

This is the only package that touches Zarr. Images follow OME-Zarr 0.5 (Zarr v3, one shard a plane) or 0.4 (Zarr v2):
2× pyramids, labels inside the plate. Plates of other software are read too, also in zip files.
"""

from hts.store.existing import clear_field, looks_like_zarr
from hts.store.exports import annotated_data, write_annotated_data, write_feature_table
from hts.store.field import Field
from hts.store.files import (
    address,
    ensure_writable,
    exists,
    file_errors,
    read_json,
    refuse_read_only,
    remove_file,
    storage_errors,
    write_bytes,
    write_json,
)
from hts.store.label_blocks import LabelBlocks
from hts.store.labels import list_labels, write_labels
from hts.store.locks import Held, exclusive, is_held
from hts.store.markers import Markers
from hts.store.plate import Plate, Well
from hts.store.scratch import read_arrays, write_arrays
from hts.store.tables import read_table, write_table
from hts.store.write import FieldImage, PlaneIndex, PlateSpec, create_plate, field_path, refuse_other_files, write_field
from hts.store.zipped import is_zip

__all__ = [
    "Field",
    "FieldImage",
    "Held",
    "LabelBlocks",
    "Markers",
    "PlaneIndex",
    "Plate",
    "PlateSpec",
    "Well",
    "address",
    "annotated_data",
    "clear_field",
    "create_plate",
    "ensure_writable",
    "exclusive",
    "exists",
    "field_path",
    "file_errors",
    "is_held",
    "is_zip",
    "list_labels",
    "looks_like_zarr",
    "read_arrays",
    "read_json",
    "read_table",
    "refuse_other_files",
    "refuse_read_only",
    "remove_file",
    "storage_errors",
    "write_annotated_data",
    "write_arrays",
    "write_bytes",
    "write_feature_table",
    "write_field",
    "write_json",
    "write_labels",
    "write_table",
]
