"""From the microscope folder to profiles, against the truth of the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile
from numpy.typing import NDArray

import hts
from hts.model import FieldKey
from hts.store import Plate, read_table
from hts.synth import SynthSpec, Truth
from tests.conftest import SETTINGS

if TYPE_CHECKING:
    from distributed import Client


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Two replicates of a whole dose response, with touching cells, uneven light and noise."""
    spec = SynthSpec(wells="B02-C11", fields=1, size_px=512, seed=11, missing_field=False, blurred_field=False)
    return hts.write_plate(tmp_path_factory.mktemp("truth") / "made", spec)


@pytest.fixture(scope="module")
def result(truth: Truth, client: Client, tmp_path_factory: pytest.TempPathFactory) -> hts.RunResult:
    path = tmp_path_factory.mktemp("e2e") / "p.ome.zarr"
    plate = hts.convert(truth.plate, path, layout=truth.layout)
    return hts.submit(plate, hts.Recipe.load("translocation", SETTINGS), client).result(120)


def matches(found: NDArray[np.int32], true: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Pairs of labels that overlap with an IoU above one half; there can be only one partner for each."""
    overlap = np.zeros((found.max() + 1, true.max() + 1))
    np.add.at(overlap, (found.ravel(), true.ravel()), 1)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    iou = overlap[1:, 1:] / np.maximum(union[1:, 1:], 1)
    return [(int(i) + 1, int(j) + 1) for i, j in zip(*np.nonzero(iou > 0.5), strict=True)]


@pytest.fixture(scope="module")
def matched(truth: Truth, result: hts.RunResult) -> pd.DataFrame:
    """Measured and true cells of all fields, side by side."""
    plate = Plate.open(result.plate)
    names = json.loads((result.results / "run.json").read_text())["current"]["label_names"]
    pairs = []
    for well in plate.wells:
        field = plate[well].fields[0]
        true = tifffile.imread(truth.label_path(FieldKey(well, field.key.field), "nuclei")).astype(np.int32)
        for i, j in matches(field.read_labels(names["nuclei"]), true):
            pairs.append((well.name, i, j))
    frame = pd.DataFrame(pairs, columns=["Metadata_Well", "Metadata_ObjectNumber", "ObjectNumber"])
    frame = frame.merge(result.cells, on=["Metadata_Well", "Metadata_ObjectNumber"])
    return frame.merge(read_table(truth.cells), on=["Metadata_Well", "ObjectNumber"], suffixes=("", "_true"))


def test_nuclei_are_the_true_nuclei(truth: Truth, result: hts.RunResult, matched: pd.DataFrame) -> None:
    true, found = len(read_table(truth.cells)), len(result.cells)
    f1 = 2 * len(matched) / (true + found)
    assert f1 > 0.95


def test_measured_features_follow_the_true_ones(matched: pd.DataFrame) -> None:
    def correlation(measured: str, true: str) -> float:
        return float(matched[measured].corr(matched[true]))

    shift = np.hypot(
        matched["Nuclei_AreaShape_Center_Y"] - matched["Nuclei_Location_Center_Y"],
        matched["Nuclei_AreaShape_Center_X"] - matched["Nuclei_Location_Center_X"],
    )
    assert np.median(shift) < 0.7
    ratio = matched["Nuclei_AreaShape_Area"] / matched["Nuclei_AreaShape_Area_true"]
    assert 0.9 < np.median(ratio) < 1.1
    assert correlation("Nuclei_AreaShape_Area", "Nuclei_AreaShape_Area_true") > 0.9
    assert correlation("Nuclei_Intensity_MeanIntensity_DNA", "Nuclei_Intensity_MeanIntensity_DNA_true") > 0.9
    assert correlation("Nuclei_Intensity_MeanIntensity_Reporter", "Nuclei_Intensity_MeanIntensity_Reporter_true") > 0.9


def test_the_readout_follows_the_phenotype_of_every_cell(matched: pd.DataFrame) -> None:
    contrast = (
        matched["Nuclei_Intensity_MeanIntensity_Reporter"] - matched["Cytoplasm_Intensity_MeanIntensity_Reporter"]
    ) / matched["Cells_Intensity_StdIntensity_Reporter"]
    assert contrast.corr(matched["Truth_NuclearFraction"], method="spearman") > 0.85


def test_profiles_recover_the_dose_response(truth: Truth, result: hts.RunResult) -> None:
    assert result.quality["z_prime"] > 0.7
    assert result.quality["ec50"] == pytest.approx(truth.spec.ec50, rel=0.35)
    profiles = result.profiles.groupby("Metadata_Dose_uM")["Mean_Readout_translocated"].mean()
    assert profiles.iloc[0] < 0.1
    assert profiles.iloc[-3:].min() > 0.9


def test_normalized_controls_have_mean_zero_and_sd_one(result: hts.RunResult) -> None:
    negative = result.normalized[result.normalized["Metadata_Control"] == "negative"]
    features = [name for name in negative.columns if name.startswith("Median_") and negative[name].notna().all()]
    assert len(features) > 50
    np.testing.assert_allclose(negative[features].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(negative[features].std(ddof=0), 1, atol=1e-9)


def test_parents_and_children_are_linked(result: hts.RunResult) -> None:
    cells = result.cells
    assert (cells["Metadata_Cells_Parent_Nuclei"] == cells["Metadata_ObjectNumber"]).all()
    assert set(cells["Metadata_Cytoplasm_Parent_Nuclei"] - cells["Metadata_ObjectNumber"]) <= {
        0,
        *(-cells["Metadata_ObjectNumber"]),
    }
    area = cells["Cells_AreaShape_Area"] - cells["Nuclei_AreaShape_Area"]
    assert (cells["Cytoplasm_AreaShape_Area"] == area).all()


def test_cell_painting_runs_on_five_channels(tmp_path: Path, client: Client) -> None:
    spec = SynthSpec(wells="B02-B03", fields=1, channels=5, size_px=512, missing_field=False, blurred_field=False)
    truth = hts.write_plate(tmp_path / "made", spec)
    plate = hts.convert(truth.plate, tmp_path / "p.ome.zarr")
    settings = [f"channels.{name.lower()}={name}" for name in plate.channels]
    result = hts.submit(plate, hts.Recipe.load("cell-painting", settings), client).result(120)
    cells = result.cells
    assert len(cells) == pytest.approx(len(read_table(truth.cells)), rel=0.05)
    whole = cells.dropna(subset=["Cells_AreaShape_Area", "Nuclei_AreaShape_Area"])
    # The others are nuclei or cells whose partner was not found.
    assert len(whole) > 0.85 * len(cells)
    assert (whole["Cells_AreaShape_Area"] >= whole["Nuclei_AreaShape_Area"]).all()
    assert {"Cells_Correlation_Correlation_ER_RNA", "Cytoplasm_Intensity_MeanIntensity_Mito"} <= set(cells.columns)
    true_area = read_table(truth.cells)["Cells_AreaShape_Area"].median()
    assert cells["Cells_AreaShape_Area"].median() == pytest.approx(true_area, rel=0.35)


def test_every_written_column_is_described(result: hts.RunResult) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(next(result.cells_path.glob("*.parquet")))
    for field in schema:
        if not field.name.startswith("Metadata_"):
            assert {b"compartment", b"family", b"unit"} <= set(field.metadata), field.name
    assert schema.field("Nuclei_Intensity_MeanIntensity_DNA").metadata[b"role"] == b"dna"
    told = result.columns.set_index("column")
    assert [name for name in schema.names if name in told.index] == told.index.tolist()
    assert (told[["family", "unit", "definition"]] != "").all(axis=None)
    assert told.loc["Nuclei_Intensity_MeanIntensity_DNA", "role"] == "dna"
