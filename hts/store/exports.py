"""Object tables in the forms of other tools: AnnData, and feature tables inside an OME-Zarr plate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.errors import StoreError, UsageError

if TYPE_CHECKING:
    import pandas as pd

_NAMED_BY = ("Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")


def annotated_data(frame: pd.DataFrame, columns: Mapping[str, Mapping[str, str]]) -> Any:
    """A table as an ``anndata.AnnData``: features in ``X``, ``Metadata_`` columns in ``obs``, what they are in ``var``.

    Parameters
    ----------
    frame : rows are cells or wells.
    columns : by column what it is: compartment, role, family …, as text.

    Returns
    -------
    Observations are named plate, well, site and number, as far as the table has them. ``X`` has the type of the table.

    Raises
    ------
    UsageError
        when anndata is not installed.
    """
    import pandas as pd

    anndata = _library("anndata")
    all_columns = [str(name) for name in frame]
    features = [name for name in all_columns if not name.startswith("Metadata_") and frame[name].dtype.kind == "f"]
    others = [name for name in all_columns if name not in features]
    named = [frame[name].astype(str) for name in _NAMED_BY if name in frame]
    names = pd.Index(["_".join(parts) for parts in zip(*named, strict=True)] if named else frame.index.astype(str))
    keys = sorted({key for name in features for key in columns.get(name, {})})
    var = pd.DataFrame({key: [columns.get(n, {}).get(key, "") for n in features] for key in keys}, index=features)
    obs = frame[others].set_index(names)
    obs = obs.astype({name: object for name in obs if isinstance(obs[name].dtype, pd.StringDtype)})
    return anndata.AnnData(X=frame[features].to_numpy(), obs=obs, var=var)


def write_annotated_data(path: Path, data: Any) -> None:
    """Write an ``AnnData`` as ``.h5ad`` that appears whole, or not at all.

    Raises
    ------
    StoreError
        when it cannot be written.
    """
    whole = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        data.write_h5ad(whole, compression="gzip")
        whole.replace(path)
    except OSError as error:
        with suppress(OSError):
            whole.unlink(missing_ok=True)
        raise StoreError(f"{path} can be written", found=str(error)) from error


def write_feature_table(image: Path, label_name: str, frame: pd.DataFrame) -> None:
    """Write a feature table of ngio's specification beside the label image that it is about.

    Parameters
    ----------
    image : folder of the OME-Zarr image (a field).
    label_name : name of the label image, and of the table.
    frame : one row an object, with its number in the index, named ``label``.

    Raises
    ------
    UsageError
        when ngio is not installed.
    StoreError
        when the plate cannot be written.
    """
    ngio, tables = _library("ngio"), _library("ngio.tables")
    try:
        container = ngio.open_ome_zarr_container(str(image))
        table = tables.FeatureTable(frame, reference_label=label_name)
        container.add_table(label_name, table, backend="parquet", overwrite=True)
    except (OSError, ngio.utils.NgioFileNotFoundError) as error:
        raise StoreError(f"{image} can be written", found=str(error)) from error


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"the package {name.partition('.')[0]}, which writes this form",
            found=str(error),
            fix="pip install 'hts[exports]'",
        ) from error
