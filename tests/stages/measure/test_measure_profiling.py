"""Object tables go into pycytominer and copairs as they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import hts
from hts.stages.measure import MeasureParams, feature_catalogue, measure_field
from hts.store import read_table, write_table
from tests.reference.features.fields import simulated

CHANNELS = {"dna": "w1 DAPI", "mito_tracker 2": "w2", "β-tubulin": "w3"}
PARAMS = MeasureParams(features="all", precision="float32")


def _plate() -> pd.DataFrame:
    """Cells of 3 plates of 4 wells: the cells of a plate are the same, three of its wells dim a channel each."""
    tables = []
    for number in range(12):
        field, rng = simulated(seed=number // 4), np.random.default_rng(number)
        change = np.where(np.arange(1, 4) == number % 4, 0.5, 1.0)[:, None, None]
        noise = rng.normal(1, 0.02, (3, 1, 1))
        images = (field.images * change * noise).astype(np.uint16)
        nuclei = np.where(images[0] > np.median(images[0][field.labels > 0]), field.labels, 0)
        sets = {"nuclei": nuclei.astype(np.int32), "cells": field.labels}
        table = measure_field(sets, dict(zip(CHANNELS, images, strict=True)), PARAMS)
        table.insert(0, "Metadata_Well", f"A{number + 1:02}")
        table.insert(1, "Metadata_Treatment", f"t{number % 4}")
        table.insert(2, "Metadata_Plate", f"p{number // 4}")
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    return _plate()


def test_pycytominer_finds_the_features(cells):
    from pycytominer.cyto_utils import infer_cp_features

    expected = [info.column for info in feature_catalogue(("nuclei", "cells"), CHANNELS, PARAMS) if info.is_feature]
    assert infer_cp_features(cells) == expected
    metadata = infer_cp_features(cells, metadata=True)
    assert set(metadata) == set(cells) - set(expected)


def test_pycytominer_and_copairs_run_on_them(cells):
    from copairs.map import average_precision, mean_average_precision
    from pycytominer import aggregate, feature_select, normalize
    from pycytominer.cyto_utils import infer_cp_features

    wells = aggregate(cells, strata=["Metadata_Plate", "Metadata_Well", "Metadata_Treatment"], features="infer")
    assert len(wells) == 12
    np.testing.assert_allclose(
        wells["Cells_AreaShape_Area"], cells.groupby("Metadata_Well")["Cells_AreaShape_Area"].median()
    )
    about = ["Metadata_Plate", "Metadata_Well", "Metadata_Treatment"]
    plates = [normalize(each, features="infer", meta_features=about) for _, each in wells.groupby("Metadata_Plate")]
    scaled = pd.concat(plates, ignore_index=True)
    chosen = feature_select(scaled, operation=["variance_threshold", "drop_na_columns", "correlation_threshold"])
    features = infer_cp_features(chosen)
    assert 10 < len(features) < len(infer_cp_features(scaled))
    # The wells differ in gain alone: what does not depend on it (shapes, phases) is rounding, scaled up.
    told = [name for name in infer_cp_features(scaled) if "_Intensity_MeanIntensity_" in name]
    found = average_precision(
        scaled[about],
        scaled[told].to_numpy(),
        pos_sameby=["Metadata_Treatment"],
        pos_diffby=[],
        neg_sameby=[],
        neg_diffby=["Metadata_Treatment"],
    )
    scores = mean_average_precision(found, ["Metadata_Treatment"], null_size=200, threshold=0.05, seed=0)
    assert scores["mean_average_precision"].mean() > 0.8  # wells of one treatment find one another


def test_the_schema_says_what_every_column_is(cells, tmp_path):
    catalogue = feature_catalogue(("nuclei", "cells"), CHANNELS, PARAMS)
    write_table(tmp_path / "A01.parquet", cells, {info.column: info.described(CHANNELS) for info in catalogue})
    schema = pq.read_schema(tmp_path / "A01.parquet")
    told = {field.name: {k.decode(): v.decode() for k, v in (field.metadata or {}).items()} for field in schema}
    assert list(read_table(tmp_path)) == list(cells)
    for info in catalogue:
        if info.is_feature:
            found = told[info.column]
            assert {"compartment", "family", "unit"} <= found.keys(), info.column
            assert found["compartment"] == info.compartment
            assert (found.get("role"), "channel" in found) == (info.channel, info.channel is not None)
    mean = told["Cells_Intensity_MeanIntensity_mito_tracker 2"]
    assert (mean["role"], mean["channel"]) == ("mito_tracker 2", "w2")
    pair = told["Cells_Correlation_Correlation_mito_tracker 2_β-tubulin"]
    assert (pair["role"], pair["channel"]) == ("mito_tracker 2,β-tubulin", "w2,w3")
    assert schema.field("Cells_AreaShape_Area").type == "float"


def test_the_same_cells_give_the_same_file(tmp_path):
    field = simulated()
    for name in ("a", "b"):
        write_table(tmp_path / name, hts.measure(field.labels, field.images, field.channels, threads=1 + (name == "b")))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
