"""A finished run as AnnData and as feature tables inside the plate, read back by the tools that they are for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import anndata
import ngio
import numpy as np
import pytest
from typer.testing import CliRunner

import hts
from hts.cli.app import app
from hts.engine.exports import export_anndata, export_feature_tables
from hts.engine.results import read_manifest
from hts.errors import NotFoundError, StoreError, UsageError
from hts.store import Plate, read_table


@pytest.fixture
def plate(finished: Path, tmp_path: Path) -> Path:
    """A copy of a plate with a finished run."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy" / "small.ome.zarr"


def cells_of(plate: Path):
    results = plate.parent / "small.hts"
    return read_table(results / read_manifest(results)["current"]["cells"])


def test_cells_as_anndata(plate: Path, tmp_path: Path) -> None:
    cells = cells_of(plate)
    assert export_anndata(plate, tmp_path / "new" / "cells.h5ad") == len(cells)
    data = anndata.read_h5ad(tmp_path / "new" / "cells.h5ad")
    assert data.obs_names.is_unique
    features = [name for name in cells if not name.startswith("Metadata_")]
    assert list(data.var_names) == features
    np.testing.assert_array_equal(data.X, cells[features].to_numpy())
    assert data.obs["Metadata_Well"].tolist() == cells["Metadata_Well"].tolist()
    mean = data.var.loc["Cells_Intensity_MeanIntensity_Reporter"]
    expected = {
        "compartment": "cells",
        "role": "reporter",
        "channel": "Reporter",
        "family": "intensity",
        "unit": "count",
    }
    assert {key: mean[key] for key in expected} == expected
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cells.h5ad"]


def test_wells_as_anndata(plate: Path, tmp_path: Path) -> None:
    assert export_anndata(plate, tmp_path / "wells.h5ad", rows="wells") == 15
    data = anndata.read_h5ad(tmp_path / "wells.h5ad")
    median = data.var.loc["Median_Cells_Intensity_MeanIntensity_Reporter"]
    assert (median["statistic"], median["role"]) == ("Median", "reporter")
    assert "Dose_uM" in "".join(data.obs)


def test_feature_tables_lie_beside_their_label_images(plate: Path) -> None:
    count = export_feature_tables(plate)
    field = Plate.open(plate)["B02"].fields[0]
    container = ngio.open_ome_zarr_container(str(field.location))
    names = container.list_tables()
    assert len(names) == 3
    assert (
        count == 3 * sum(len(Plate.open(plate)[well].fields) for well in Plate.open(plate).wells) - 3
    )  # one is missing
    (name,) = [name for name in names if name.startswith("nuclei-")]
    table = container.get_table(name)
    assert table.table_type() == "feature_table"
    assert table.reference_label == name
    frame, cells = table.dataframe, cells_of(plate)
    rows = cells[(cells["Metadata_Well"] == "B02") & (cells["Metadata_Site"] == field.key.field)]
    rows = rows[rows["Metadata_Nuclei_ObjectNumber"] > 0]
    assert frame.index.tolist() == rows["Metadata_Nuclei_ObjectNumber"].tolist()
    np.testing.assert_array_equal(frame["Nuclei_AreaShape_Area"], rows["Nuclei_AreaShape_Area"])
    numbers = np.unique(container.get_label(name).get_as_numpy())
    assert set(frame.index) <= set(numbers.tolist())
    assert export_feature_tables(plate) == count  # again, over what is there
    assert hts.status(plate).count("done") == 15


def test_the_command_line_says_what_it_wrote(plate: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(plate), "--anndata", str(tmp_path / "x.h5ad"), "--rows", "wells"])
    assert done.exit_code == 0
    assert "rows: 15" in done.stdout
    nothing = CliRunner().invoke(app, ["export", str(plate)])
    assert nothing.exit_code == 2
    assert "add --anndata FILE.h5ad, --tables, or both" in nothing.output
    wrong = CliRunner().invoke(app, ["export", str(plate), "--anndata", str(tmp_path / "y.h5ad"), "--rows", "fields"])
    assert wrong.exit_code == 2
    assert "cells or wells" in wrong.output


def test_a_plate_without_a_run_is_refused(small_plate: Plate, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="a run in"):
        export_anndata(small_plate, tmp_path / "x.h5ad", results=tmp_path / "none")


def test_a_package_that_is_not_there_is_named(plate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    monkeypatch.setitem(sys.modules, "ngio", None)
    with pytest.raises(UsageError, match=r"(?s)the package anndata.*pip install 'hts\[exports\]'"):
        export_anndata(plate, tmp_path / "x.h5ad")
    with pytest.raises(UsageError, match="the package ngio"):
        export_feature_tables(plate)


def test_a_file_that_cannot_be_written_leaves_nothing(plate: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can be written"):
        export_anndata(plate, tmp_path / "file" / "x.h5ad")
