from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from hts.report import summary
from hts.report._style import duration_text, number_text, quality_word
from hts.report.data import ReportData

MakeData = Callable[..., ReportData]


def test_every_object_set_says_how_it_was_made(make_data: MakeData) -> None:
    nuclei, cells = summary.segmentation_rows(make_data())
    assert (nuclei.method, nuclei.weights, nuclei.device) == ("cellpose builtin:nuclei", "abababababab", "cpu")
    assert (nuclei.diameter, nuclei.objects, nuclei.touching) == ("17.3 px", "17,600", "812, 812 dropped")
    assert (nuclei.seams.split(":")[0], nuclei.tone) == ("none visible", "good")
    assert (cells.method, cells.weights, cells.diameter) == ("propagate", "–", "–")
    assert (cells.touching, cells.orphans, cells.seams, cells.tone) == ("900", "50", "no seams", "none")
    assert summary.segmentation_rows(make_data(segmentation=())) == ()


def tile(data: ReportData, label: str) -> summary.Tile:
    return next(tile for tile in summary.tiles(data) if tile.label == label)


@pytest.mark.parametrize(
    ("value", "text"),
    [(17600, "17,600"), (0.91234, "0.912"), (-4.7, "−4.7"), (3.0, "3"), (None, "–"), (np.nan, "–"), ("?", "–"),
     (1e-5, "1e−05"), (2.5e12, "2.5e+12")],
)  # fmt: skip
def test_numbers_read_well(value: object, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.2, "7.2 s"), (102.4, "1 min 42 s"), (59.99, "60 s"), (7300, "2 h 1 min"), (None, "–")]
)
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("z_prime", "word"),
    [(1, "excellent"), (0.5, "excellent"), (0.49, "marginal"), (0, "marginal"), (-0.01, "unusable"),
     (None, "not computed"), (np.nan, "not computed")],
)  # fmt: skip
def test_z_prime_has_a_word(z_prime: float | None, word: str) -> None:
    assert quality_word(z_prime)[0] == word


def test_tiles_of_a_run(make_data: MakeData) -> None:
    data = make_data(overlays=0)
    wells = tile(data, "Wells done")
    assert (wells.value, wells.unit, wells.note, wells.tone) == ("94", "of 96", "2 failed", "bad")
    assert tile(data, "Z′").note == "excellent, translocation"
    assert tile(data, "SSMD").note == "8 negative, 8 positive wells"
    assert (tile(data, "Fields used").value, tile(data, "Fields used").note) == ("376", "8 missing")
    assert tile(data, "Run time").value == "1 min 42 s"


def test_tiles_without_controls_fit_or_wells(make_data: MakeData) -> None:
    empty = make_data(overlays=0, quality={}, dose=None, fit=None, provenance={}, wells=pd.DataFrame())
    texts = {one.label: one.value for one in summary.tiles(empty)}
    assert texts == {"Wells done": "0", "Cells": "–", "Z′": "–", "SSMD": "–", "EC50": "–", "Fields used": "0",
                     "Computing time": "–"}  # fmt: skip
    assert tile(empty, "Z′").note == "no controls"


def test_failed_wells_are_grouped_by_reason_in_plate_order(make_data: MakeData) -> None:
    wells = pd.DataFrame(
        {"Well": ["A10", "A9", "B01", "A01", "C01"], "Status": ["failed"] * 3 + ["queued", "done"],
         "Reason": ["disk", "disk", None, "", ""]}
    )  # fmt: skip
    found = summary.trouble(make_data(overlays=0, wells=wells))
    assert found.failed == (("disk", ("A9", "A10")), ("no reason recorded", ("B01",)))
    assert found.queued == ("A01",)
    assert found.failed_count == 3


def test_long_plane_lists_are_cut_and_counted(make_data: MakeData) -> None:
    planes = pd.concat([make_data(overlays=0).planes] * 100, ignore_index=True)
    found = summary.trouble(make_data(overlays=0, planes=planes))
    assert (len(found.planes), found.plane_count) == (500, 800)


def test_gaps_in_integer_columns_are_shown_as_integers(make_data: MakeData) -> None:
    planes = make_data(overlays=0).planes.assign(Field=[1.0, np.nan] * 4)
    found = summary.trouble(make_data(overlays=0, planes=planes))
    assert [row[1] for row in found.planes[:2]] == ["1", ""]


def test_the_readout_stands_in_when_no_feature_is_listed(make_data: MakeData) -> None:
    rows = summary.quality_rows(make_data(overlays=0, quality={"z_prime": -2.0, "ssmd": 0.1}))
    assert [(row.feature, row.word, row.bar) for row in rows] == [("translocation", "unusable", 0)]
    assert summary.quality_rows(make_data(overlays=0, quality={"z_prime": None})) == ()


@pytest.mark.parametrize(
    ("text", "name"), [("name: nuclei\n", "nuclei"), ("- a\n", ""), ("a: [", ""), ("", ""), ("channels: {}", "")]
)
def test_the_recipe_names_itself(make_data: MakeData, text: str, name: str) -> None:
    assert summary.recipe_name(make_data(overlays=0, recipe_yaml=text)) == name
