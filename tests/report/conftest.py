"""Plausible runs to report on, made up with a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hts.model import WellId
from hts.pictures import composite, outline_colors, outline_rgba
from hts.report.data import Overlay, ReportData

FIT = {"bottom": 0.82, "top": 2.4, "ec50": 3.2, "hill": 2.1}
RECIPE = """name: translocation
channels: {dna: Channel2, reporter: Channel1}
segment:
  nuclei: {segmenter: threshold, method: otsu, diameter_um: 12}
profile:
  controls:
    negative: "SBS_Controls == -1"
    positive: "SBS_Controls == 1"
"""


def fake_overlay(well: str, reason: str, size_px: int, seed: int) -> Overlay:
    """A field of round nuclei in larger cells, with noise."""
    random = np.random.default_rng(seed)
    count = max(8, int(90 * (size_px / 512) ** 2 / 2))
    centres = random.uniform(0, size_px, (count, 2))
    radius = random.uniform(8, 12, count)
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    nearest, label = np.full((size_px, size_px), np.inf, np.float32), np.zeros((size_px, size_px), np.int32)
    for index, (row, column) in enumerate(centres):
        distance = np.hypot(y - row, x - column) / radius[index]
        closer = distance < nearest
        nearest[closer], label[closer] = distance[closer], index + 1
    cells = np.where(nearest < 2.4, label, 0).astype(np.int32)
    nuclei = np.where(nearest < 1, label, 0).astype(np.int32)
    dna = 60 + 900 * np.clip(1.3 - nearest, 0, 1) + random.normal(0, 25, nearest.shape)
    reporter = 80 + 500 * (cells > 0) * np.exp(-nearest / 2) + random.normal(0, 25, nearest.shape)
    labels = {"Nuclei": nuclei, "Cells": cells}
    return Overlay(
        well=well,
        field=1,
        title=f"{well} field 1",
        reason=reason,
        image=composite([dna, reporter], ["3D7BFF", "33FF66"]),
        outlines=outline_rgba(labels),
        legend=outline_colors(labels),
    )


def fake_dose(wells: list[str], columns: int, random: np.random.Generator) -> pd.DataFrame:
    doses = np.array([0, 0.1, 0.3, 0.6, 1, 2, 3, 5, 10, 20, 30, 100], float)
    column = np.array([WellId.parse(well).column for well in wells]) * len(doses) // columns
    dose = doses[column]
    with np.errstate(divide="ignore"):
        value = FIT["bottom"] + (FIT["top"] - FIT["bottom"]) / (1 + (FIT["ec50"] / dose) ** FIT["hill"])
    kind = np.where(dose == 0, "negative", np.where(dose == 100, "positive", "sample"))
    noise = random.normal(0, 0.06, len(wells))
    return pd.DataFrame({"Dose": dose, "Value": value + noise, "Well": wells, "Kind": kind})


def fake_profiles(wells: list[str], dose: pd.DataFrame, features: int, random: np.random.Generator) -> pd.DataFrame:
    names = ["Nuclei_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_DNA", "Cells_Intensity_MeanIntensity_Reporter"]
    columns: dict[str, Any] = {
        "Metadata_Plate": "SBS",
        "Metadata_Well": wells,
        "Metadata_Compound": ["DMSO" if kind == "negative" else "wortmannin" for kind in dose["Kind"]],
        "Metadata_Dose": dose["Dose"].to_numpy(),
        "Metadata_FieldsUsed": 4,
        "Metadata_FieldsExpected": 4,
        "Count_Nuclei": random.poisson(183, len(wells)),
    }
    slope = np.linspace(0, 1, len(wells))
    for index in range(features):
        statistic = ("Mean", "Median", "StDev")[index % 3]
        name = names[index // 3] if index // 3 < len(names) else f"Cells_Texture_Contrast_{index // 3}"
        columns[f"{statistic}_{name}"] = 100 * (index + 1) + 20 * slope + random.normal(0, 4, len(wells))
    return pd.DataFrame(columns)


def fake_data(rows: int = 8, columns: int = 12, features: int = 9, overlays: int = 6, size_px: int = 256) -> ReportData:
    random = np.random.default_rng(7)
    expected = [WellId(row, column).name for row in range(rows) for column in range(columns)]
    failed = dict.fromkeys(expected[40:42], "all planes of channel Channel2 are unreadable") if rows > 4 else {}
    wells = pd.DataFrame(
        {
            "Well": expected,
            "Status": ["failed" if well in failed else "done" for well in expected],
            "Reason": [failed.get(well, "") for well in expected],
            "Cells": [np.nan if well in failed else float(random.poisson(183)) for well in expected],
            "FieldsUsed": [0 if well in failed else 4 for well in expected],
            "FieldsExpected": 4,
            "Seconds": random.uniform(1.5, 2.4, len(expected)),
        }
    )
    done = [well for well in expected if well not in failed]
    dose = fake_dose(done, columns, random)
    planes = pd.DataFrame(
        [
            (well, field, "Channel2", 0, 0, "unreadable", "truncated TIFF: 4,096 of 409,600 bytes",
             f"Channel2-{number:02d}-{well}.tif")
            for number, well in enumerate(failed, 1) for field in (1, 2, 3, 4)
        ],
        columns=["Well", "Field", "Channel", "Z", "T", "Status", "Reason", "File"],
    )  # fmt: skip
    reasons = ["random", "random", "highest translocation", "lowest translocation", "lowest Count_Nuclei", "random"]
    return ReportData(
        plate="SBS 1049",
        rows=rows,
        columns=columns,
        profiles=fake_profiles(done, dose, features, random),
        wells=wells,
        planes=planes,
        quality={
            "readout": "translocation", "z_prime": 0.91, "ssmd": 17.8, "nuclei": 17600, "ec50": 3.2,
            "n_negative": int((dose["Kind"] == "negative").sum()),
            "n_positive": int((dose["Kind"] == "positive").sum()),
            "features": [
                {"feature": "translocation", "z_prime": 0.91, "ssmd": 17.8},
                {"feature": "Mean_Cells_Correlation_Correlation_DNA_Reporter", "z_prime": 0.81, "ssmd": 12.4},
                {"feature": "Median_Nuclei_Intensity_MeanIntensity_Reporter", "z_prime": 0.34, "ssmd": 5.2},
                {"feature": "Count_Nuclei", "z_prime": -4.7, "ssmd": -0.31},
            ],
        },
        dose=dose,
        fit=FIT,
        dose_name="Dose (nM)",
        readout_name="translocation",
        overlays=tuple(
            fake_overlay(done[index * 7 % len(done)], reasons[index % 6], size_px, index) for index in range(overlays)
        ),
        recipe_yaml=RECIPE,
        provenance={
            "run started": "2025-11-20 14:03 UTC", "seconds": "102.4", "hts": "0.1.0", "python": "3.12.3",
            "cpu": "2 cores",
            "cluster": "local, 2 workers of 1 thread", "device": "CPU", "compilation": "6.1 s",
            "segment fingerprint": "9f2c4b7e1d0a66c3", "measure fingerprint": "51b1c0e9a7724f10",
        },
        notes=("No GPU was found: everything ran on the CPU.",),
        segmentation=(
            {
                "object_set": "nuclei", "method": "cellpose", "model": "builtin:nuclei", "weights_sha256": "ab" * 32,
                "device": "cpu", "diameter_px": 17.3, "fields": 384, "objects": 17600, "touching_border": 812,
                "dropped_at_border": 812, "orphans": 0,
                "seams": {"verdict": "none visible: 3 straight edges along 92160 px of seams, 4 expected",
                          "tone": "good"},
            },
            {
                "object_set": "cells", "method": "propagate", "model": None, "weights_sha256": None, "device": "cpu",
                "diameter_px": None, "fields": 384, "objects": 17650, "touching_border": 900, "dropped_at_border": 0,
                "orphans": 50, "seams": None,
            },
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_data() -> Callable[..., ReportData]:
    """``make_data(rows=8, …, **replaced)``: a plausible run with some of its parts replaced."""

    def make(rows: int = 8, columns: int = 12, **options: Any) -> ReportData:
        names = [name for name in ("features", "overlays", "size_px") if isinstance(options.get(name), int)]
        sizes = {name: options.pop(name) for name in names}
        return replace(fake_data(rows, columns, **sizes), **options)

    return make
