"""Segmentation inside the engine: streams of fields, facts of plates, linked sets, quality, identities of models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import Client

import hts
from hts.engine import prepare, submit
from hts.engine.prepare import _check_surveys
from hts.engine.quality import quality_notes
from hts.engine.run import _discard
from hts.engine.surveys import SURVEY_STAGE, discard_surveys, sample_order, survey_job, survey_plate
from hts.engine.threads import WORKER_CORES, task_threads
from hts.engine.work import run_well
from hts.errors import NotFoundError, RecipeError
from hts.model import Channel, FieldKey, PixelSize, WellId, parse_wells
from hts.recipe import Recipe
from hts.stages.measure import measuring_bytes
from hts.store import FieldImage, Markers, Plate, PlateSpec, create_plate, read_table, write_field
from tests.engine.oracle import Oracle, oracle  # noqa: F401

SHAPE = (48, 60)
WELLS = tuple(sorted(parse_wells("B02-B04")))
DATA = {
    "channels": {"dna": "DNA", "reporter": "GFP"},
    "segment": {
        "nuclei": {"method": "oracle", "channel": "dna"},
        "cells": {"method": "oracle", "channel": "reporter", "link": "nuclei"},
        "cytoplasm": "cells - nuclei",
    },
    "measure": {"features": ["shape"]},
    "profile": {"readout": "Count_Nuclei"},
}
pytestmark = pytest.mark.usefixtures("oracle")


def recipe(**nuclei: object) -> Recipe:
    """Cells found on their own and linked to the nuclei; `nuclei` are settings of both."""
    sets = {name: {**DATA["segment"][name], **nuclei} for name in ("nuclei", "cells")}
    return Recipe.from_dict({**DATA, "segment": {**DATA["segment"], **sets}})


def planes(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Three nuclei, one of them at the frame; two have a cell, one cell has no nucleus."""
    dna, gfp = np.full((2, *SHAPE), 10 + number, np.uint16)
    dna[0:5, 10:16] = dna[20:26, 20:26] = dna[36:42, 40:46] = 200
    gfp[0:8, 8:18] = gfp[18:30, 18:28] = gfp[20:28, 50:56] = 300
    return dna, gfp


def make_plate(path: Path, pixel_size: PixelSize | None = None) -> Plate:
    channels = (Channel("DNA"), Channel("GFP"))
    fields = dict.fromkeys(WELLS, (1, 2, 3))
    spec = PlateSpec("p", fields, channels, SHAPE, np.dtype(np.uint16), pixel_size=pixel_size)
    create_plate(path, spec)
    for i, well in enumerate(WELLS):
        for number in fields[well]:
            made = planes(10 * i + number)
            write_field(path, spec, FieldImage(FieldKey(well, number), [((0, c, 0), made[c]) for c in (0, 1)]))
    return Plate.open(path)


@pytest.fixture
def small(tmp_path: Path) -> Plate:
    return make_plate(tmp_path / "p.ome.zarr")


@pytest.fixture
def here() -> Iterator[Client]:
    """A cluster inside this process, so that its workers know the oracle."""
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def run_here(plate: Plate, chosen: Recipe, well: int = 0) -> tuple[hts.engine.prepare, dict]:
    """Compute one well in this process; what was prepared, and the marker of its segmentation."""
    prepared = prepare(plate, chosen)
    done = run_well(prepared.job(prepared.plan.tasks[well]))
    assert not done.failed, done.failed
    return prepared, Markers(prepared.results, "segment", prepared.prints.segment).read(done.well)


def test_linked_cells_and_orphans_reach_the_table_and_the_row(small: Plate) -> None:
    prepared, marker = run_here(small, recipe())
    table = read_table(prepared.results / "cells" / prepared.prints.measure / "B02.parquet")
    first = table[table["Metadata_Site"] == 1].set_index("Metadata_ObjectNumber")
    assert first.index.tolist() == [1, 2, 3, 4]
    assert first["Metadata_Nuclei_ObjectNumber"].tolist() == [1, 2, 3, 0]
    assert first["Metadata_Cells_ObjectNumber"].tolist() == [1, 2, 0, 4]
    assert first["Metadata_Nuclei_TouchesBorder"].tolist() == [True, False, False, False]
    assert first["Cytoplasm_AreaShape_Area"].isna().tolist() == [False, False, True, False]
    assert marker["quality"]["1"]["cells"]["orphans"] == 1
    assert marker["quality"]["1"]["cells"]["primary_without"] == 1
    row = read_table(prepared.results / "wells" / prepared.prints.aggregate / "B02.parquet").iloc[0]
    assert (row["Count_Nuclei"], row["Count_Cells"], row["Count_Cytoplasm"]) == (9, 9, 9)
    assert row["Mean_Nuclei_AreaShape_Area"] == pytest.approx((30 + 36 + 36) / 3)
    assert Markers(prepared.results, "aggregate", prepared.prints.aggregate).read("B02")["cells"] == 9


def test_a_field_that_cannot_be_segmented_costs_itself_only(small: Plate) -> None:
    Oracle.refused = {12}
    prepared, marker = run_here(small, recipe())
    assert marker["unsegmented"] == {"2": "a field that can be segmented found: 12"}
    assert sorted(marker["quality"]) == ["1", "3"]
    sites = read_table(prepared.results / "cells" / prepared.prints.measure / "B02.parquet")["Metadata_Site"]
    assert set(sites) == {1, 3}


def test_dropped_at_the_border_is_dropped_in_all_linked_sets(small: Plate) -> None:
    chosen = Recipe.from_dict({**recipe().to_dict(), "segment": {**recipe(border="drop").to_dict()["segment"]}})
    prepared, _ = run_here(small, chosen)
    table = read_table(prepared.results / "cells" / prepared.prints.measure / "B02.parquet")
    first = table[table["Metadata_Site"] == 1]
    assert first["Metadata_ObjectNumber"].tolist() == [2, 3, 4]
    assert not first.filter(like="TouchesBorder").to_numpy().any()
    labels = small["B02"].fields[0].read_labels(prepared.prints.label_name("cytoplasm"))
    assert set(np.unique(labels)) == {0, 2, 4}


def test_limits_of_a_well_come_from_all_its_fields(small: Plate) -> None:
    _, marker = run_here(small, recipe(normalize="well"))
    assert Oracle.calls == ["well 3", "well 3"]
    assert marker["surveys"]["nuclei"] == {"plate": {}, "well": {"limit": 100.0}}
    assert {marker["quality"][n]["cells"]["limits"]["dna"] for n in "123"} == {150.0}


def test_facts_of_the_plate_are_made_once_from_wells_that_are_not_selected_too(small: Plate, here: Client) -> None:
    chosen = recipe(diameter_px=None)
    first = submit(small, chosen, here, wells=parse_wells("B02")).result(120)
    assert Oracle.calls == ["plate 3", "plate 3"]
    prepared = prepare(small, chosen)
    marker = Markers(prepared.results, SURVEY_STAGE, prepared.prints.segment).read("nuclei")
    assert {well for well, _ in marker["fields"]} == {well.name for well in WELLS}
    assert any("diameter_px 17.5, n 3 from a sample of 3 fields of 3 wells" in note for note in first.notes)
    second = submit(small, chosen, here).result(120)
    assert Oracle.calls == ["plate 3", "plate 3"]
    table = second.segmentation
    assert table["diameter_px"].dropna().eq(17.5).all()
    assert table["Metadata_ObjectSet"].tolist() == ["nuclei", "cells", "cytoplasm"] * 9
    assert table.groupby("Metadata_ObjectSet")["orphans"].sum().to_dict() == {"nuclei": 0, "cells": 9, "cytoplasm": 9}
    submit(small, chosen, here, wells=parse_wells("B02"), overwrite=True).result(120)
    assert Oracle.calls == ["plate 3", "plate 3"]
    manifest = json.loads((prepared.results / "run.json").read_text())["current"]
    cells = manifest["segmentation"][1]
    assert (cells["model"], cells["weights_sha256"], cells["device"]) == ("small", "aa" * 32, "cpu")
    assert (cells["objects"], cells["orphans"], cells["diameter_px"]) == (27, 9, 17.5)
    assert {"scipy", "device"} <= set(manifest["provenance"])


def test_only_overwriting_the_whole_plate_samples_it_again(small: Plate) -> None:
    chosen = recipe(diameter_px=None)
    assert survey_plate(survey_job(prepare(small, chosen))) == ""
    assert survey_job(prepare(small, chosen)) is None
    for wells, expected in ((parse_wells("B02"), False), (None, True)):
        prepared = prepare(small, chosen, wells=wells, overwrite=True)
        _discard(prepared)
        assert (survey_job(prepared) is not None) == expected


def test_wells_that_only_lack_later_stages_need_no_survey(small: Plate) -> None:
    prepared = prepare(small, recipe(diameter_px=None))
    tasks = tuple(dataclasses.replace(task, stages=("measure", "aggregate")) for task in prepared.plan.tasks)
    later = dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, tasks=tasks))
    assert survey_job(later) is None
    discard_surveys(later)


def test_a_sampled_field_that_cannot_be_read_is_replaced(small: Plate) -> None:
    prepared = prepare(small, recipe(diameter_px=None))
    job = survey_job(prepared)
    well, number, _ = job.sample[0]
    next(Path(small[well].field(number).location / "0").rglob("c/*/*/*/*/*")).write_bytes(b"damaged")
    assert survey_plate(job) == ""
    used = Markers(prepared.results, SURVEY_STAGE, prepared.prints.segment).read("nuclei")["fields"]
    assert len(used) == 3
    assert [well, number] not in used


def test_a_plate_that_cannot_be_surveyed_says_so_and_computes_nothing(small: Plate, here: Client, monkeypatch) -> None:
    monkeypatch.setattr(Oracle, "survey", lambda *_: (_ for _ in ()).throw(NotFoundError("a survey", found="none")))
    with pytest.raises(hts.errors.StageError, match=r"surveyed before its wells(.|\n)*for nuclei: a survey"):
        submit(small, recipe(diameter_px=None), here).result(120)
    assert not list((small.path.parent / "p.hts").glob("markers/segment-*/*"))


def large_planes(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei of 6 × 9 px in cells of 12 px, some at the frame; nuclei without a cell, cells without a nucleus."""
    dna, gfp = np.full((2, *shape), 10, np.uint16)
    places = [(y, x) for y in range(0, shape[0], 19) for x in range(0, shape[1], 19)]
    for n, (y, x) in enumerate(places):
        if n % 5:
            dna[y : y + 9, x + 3 : x + 9] = 200
        if n % 7:
            gfp[y : y + 12, x : x + 12] = 300
    return dna, gfp


@pytest.mark.parametrize("border", ["keep", "drop"])
def test_fields_in_blocks_have_the_same_linked_objects(tmp_path: Path, here: Client, border: str) -> None:
    shape = (170, 200)
    spec = PlateSpec("p", {WELLS[0]: (1,)}, (Channel("DNA"), Channel("GFP")), shape, np.dtype(np.uint16))
    create_plate(tmp_path / "p.ome.zarr", spec)
    made = large_planes(shape)
    write_field(
        tmp_path / "p.ome.zarr", spec, FieldImage(FieldKey(WELLS[0], 1), [((0, c, 0), made[c]) for c in (0, 1)])
    )
    plate, tables, facts = Plate.open(tmp_path / "p.ome.zarr"), [], []
    for limit in (4096, 128):
        chosen = recipe(border=border, diameter_px=None).to_dict()
        chosen["blocks"] = {"limit_px": limit, "block_px": 64, "overlap_px": 32}
        result = submit(plate, Recipe.from_dict(chosen), here, out=tmp_path / str(limit)).result(120)
        table = result.cells.sort_values(
            [
                "Nuclei_AreaShape_Center_Y",
                "Nuclei_AreaShape_Center_X",
                "Cells_AreaShape_Center_Y",
                "Cells_AreaShape_Center_X",
            ],
            ignore_index=True,
        )
        numbers = [name for name in table if name.endswith(("ObjectNumber", "_Parent_Nuclei"))]
        there = table[numbers].gt(0)
        assert table[numbers].where(there).apply(lambda row: row.nunique() == 1, axis=1).all()
        tables.append(pd.concat([table.drop(columns=numbers), there], axis=1))
        told = result.segmentation
        facts.append(told[["objects", "touching_border", "dropped_at_border", "orphans", "primary_without"]])
        assert told["diameter_px"][:2].tolist() == [17.5, 17.5]
    pd.testing.assert_frame_equal(*tables)
    pd.testing.assert_frame_equal(*facts)
    assert told["seams.seam_px"].gt(0).all()
    assert tables[0]["Metadata_Cells_TouchesBorder"].any() == (border == "keep")
    assert facts[0]["dropped_at_border"].gt(0).all() == (border == "drop")
    assert facts[0]["orphans"][1] > 5


def test_facts_of_a_well_are_refused_where_no_task_has_a_whole_field(small: Plate) -> None:
    chosen = recipe(normalize="well").to_dict()
    prepare(small, Recipe.from_dict(chosen))
    chosen["blocks"] = {"limit_px": 128, "block_px": 64, "overlap_px": 32}
    prepare(small, Recipe.from_dict(chosen))
    with pytest.raises(RecipeError, match=r"segment.nuclei asks for nothing of a whole well(.|\n)*200 × 300 px"):
        _check_surveys(Recipe.from_dict(chosen), {"y": 200, "x": 300})


def test_a_sample_is_spread_over_the_wells_and_always_the_same() -> None:
    fields = {WellId(row, column): tuple(range(1, 5)) for row in range(8) for column in range(12)}
    order = sample_order(fields)
    assert len(order) == len(set(order)) == 384
    assert len({well for well, _ in order[:96]}) == 96
    assert order == sample_order(dict(reversed(fields.items())))
    sixteen = [well for well, _ in order[:16]]
    assert len({well.column for well in sixteen}) > 6
    assert len({well.row for well in sixteen}) > 4
    fewer = {well: numbers for well, numbers in fields.items() if well.row < 4}
    assert [well for well, _ in sample_order(fewer)[:48]] == [well for well, _ in order[:96] if well.row < 4]
    assert sample_order({WellId(0, 0): ()}) == []


def test_a_diameter_in_um_needs_a_pixel_size_before_anything_runs(small: Plate, tmp_path: Path) -> None:
    chosen = recipe(diameter_px=None, diameter_um=10)
    with pytest.raises(RecipeError, match=r"segment.nuclei has lengths in µm(.|\n)*--pixel-size-um"):
        prepare(small, chosen)
    prepare(make_plate(tmp_path / "sized.ome.zarr", PixelSize(0.5, 0.5)), chosen)


def test_the_content_of_a_model_is_in_the_fingerprint_and_its_device_is_not(small: Plate) -> None:
    prints = [prepare(small, recipe(**keys)).prints.segment for keys in ({}, {"device": "cuda"}, {"model": "large"})]
    assert prints[0] == prints[1] != prints[2]
    assert prepare(small, recipe(border="drop")).prints.segment != prints[0]
    with pytest.raises(NotFoundError, match="hts models pull huge"):
        prepare(small, recipe(model="huge"))


def test_sets_of_their_own_numbers_are_noted(small: Plate) -> None:
    sets = {name: {"method": "oracle", "channel": role} for name, role in (("nuclei", "dna"), ("spots", "reporter"))}
    notes = prepare(small, Recipe.from_dict({**DATA, "segment": sets})).notes
    assert any("spots are not linked to nuclei" in note and "segment.spots.link=nuclei" in note for note in notes)
    assert not any("linked" in note for note in prepare(small, recipe()).notes)


def test_memory_counts_the_fields_in_flight(small: Plate) -> None:
    prepared = prepare(small, recipe())
    plane = SHAPE[0] * SHAPE[1]
    # Two streams that hold two fields each: three in flight, one read ahead; the expression works on one.
    expected = 4 * plane * 2 * 2 + plane * 2 * 4 + 5 * plane * 3 * 4 + 2 * 64 * plane + 5 * plane + 4096
    expected += measuring_bytes(recipe().measure, SHAPE, 2)
    assert prepared.plan.worker_bytes == expected


def test_what_must_not_stay_silent_becomes_a_note() -> None:
    row = {"Metadata_ObjectSet": "nuclei", "device": "cpu"}
    rows = [
        {**row, "nan_pixels": 3},
        {**row, "nan_pixels": 1, "device": "cuda"},
        {**row, "batch_halvings": 1, "notes": '["a word"]'},
        {"Metadata_ObjectSet": "cells"},
    ]
    assert quality_notes(rows) == [
        "nuclei: computed on cpu and cuda",
        "nuclei, 2 fields: pixels that are not finite, taken for background",
        "nuclei, 1 field: batches were halved, because the device had not the memory for whole ones",
        "nuclei, 1 field: a word",
    ]
    assert quality_notes([{"Metadata_ObjectSet": "cells"}]) == []


@pytest.mark.parametrize(("owned", "expected"), [("", 1), ("8", 4), ("1", 1), ("many", 1)])
def test_threads_of_a_task_are_its_share_of_what_the_worker_owns(owned, expected, monkeypatch) -> None:
    assert task_threads() == 1
    monkeypatch.setenv(WORKER_CORES, owned)
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        assert client.submit(task_threads, pure=False).result(30) == expected
