"""Runs on real worker processes: what is computed, what is not computed again, what a broken run leaves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hts
from hts.engine.stages import WELL_STAGES
from hts.errors import NotFoundError, RecipeError, StageError, UsageError
from hts.model import WellId, parse_wells
from hts.recipe import Recipe
from hts.store import Markers, Plate, exclusive, read_table
from tests.conftest import SETTINGS

if TYPE_CHECKING:
    from distributed import Client

    from hts.synth import Truth


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Plate:
    """A copy of a finished plate and its results."""
    shutil.copytree(finished, tmp_path / "again")
    return Plate.open(tmp_path / "again" / "small.ome.zarr")


def results_of(plate: Plate) -> Path:
    return plate.path.parent / "small.hts"


def hashes(folder: Path, pattern: str = "*.parquet") -> dict[str, str]:
    """Content of every file by its name below the folder."""
    files = sorted(folder.rglob(pattern))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def segment_markers(plate: Plate) -> list[Path]:
    return sorted(results_of(plate).glob("markers/segment-*/*.json"))


def test_a_run_measures_every_cell_of_every_usable_field(finished: Path, small_truth: Truth) -> None:
    state = hts.status(finished / "small.ome.zarr")
    truth = read_table(small_truth.cells)
    lost = {(key.well.name, key.field) for key in small_truth.missing}
    places = zip(truth["Metadata_Well"], truth["Metadata_Site"], strict=True)
    expected = sum(place not in lost for place in places)
    assert state.count("done") == 15
    assert state.wells["Cells"].sum() == pytest.approx(expected, rel=0.05)


def test_the_plan_counts_the_files_that_a_run_makes(small_plate: Plate, finished: Path, recipe: Recipe) -> None:
    from hts.engine import prepare

    def files(folder: Path, *patterns: str) -> int:
        return sum(1 for pattern in patterns for path in folder.glob(pattern) if path.is_file())

    planned = prepare(small_plate, recipe, out=finished / "elsewhere").plan.files
    labels = files(finished / "small.ome.zarr", "*/*/*/labels/**/*")
    tables = files(
        finished / "small.hts",
        "cells/*/*",
        "wells/*/*",
        *(f"markers/{s}-*/*" for s in WELL_STAGES),
    )
    assert labels + tables == planned


def test_the_log_tells_how_every_well_ended(finished: Path) -> None:
    log = (finished / "small.hts" / "hts.log").read_text()
    assert log.count(" done: ") == 15
    assert "recipe translocation on" in log


def test_profiles_have_one_row_a_well_with_counts_statistics_and_layout(finished: Path) -> None:
    manifest = json.loads((finished / "small.hts" / "run.json").read_text())["current"]
    profiles = read_table(finished / "small.hts" / manifest["profiles"] / "profiles.parquet")
    assert sorted(profiles["Metadata_Well"]) == sorted(well.name for well in parse_wells("B02-D06"))
    assert {"Metadata_Dose_uM", "Metadata_Control", "Metadata_FieldsUsed", "Count_Nuclei"} <= set(profiles.columns)
    assert {"Mean_Nuclei_AreaShape_Area", "Median_Cells_Intensity_MeanIntensity_Reporter"} <= set(profiles.columns)
    assert profiles["Metadata_FieldsExpected"].eq(2).all()
    assert manifest["quality"]["z_prime"] > 0.5


def test_profiles_aggregate_exactly_the_cells_of_the_well(finished: Path) -> None:
    manifest = json.loads((finished / "small.hts" / "run.json").read_text())["current"]
    profiles = read_table(finished / "small.hts" / manifest["profiles"] / "profiles.parquet")
    cells = read_table(finished / "small.hts" / manifest["cells"])
    for row in profiles.to_dict("records"):
        area = cells.loc[cells["Metadata_Well"] == row["Metadata_Well"], "Nuclei_AreaShape_Area"]
        assert row["Count_Nuclei"] == len(area)
        assert row["Mean_Nuclei_AreaShape_Area"] == pytest.approx(np.mean(area))
        assert row["StDev_Nuclei_AreaShape_Area"] == pytest.approx(np.std(area, ddof=1))


def test_the_same_command_again_computes_nothing(again: Plate, recipe: Recipe, client: Client) -> None:
    before = stamps(again.path.parent)
    run = hts.submit(again, recipe, client)
    result = run.result(60)
    assert run.plan.tasks == ()
    assert result.wells == {"expected": 15, "done": 15, "failed": 0, "skipped": 15}
    assert stamps(again.path.parent) == before


def test_changing_only_the_profile_segments_and_measures_nothing(again: Plate, client: Client) -> None:
    markers = {path: path.stat().st_mtime_ns for path in segment_markers(again)}
    cells = stamps(results_of(again) / "cells")
    changed = Recipe.load("translocation", [*SETTINGS, "profile.aggregate=[median]"])
    changed = Recipe.from_dict(
        {**changed.to_dict(), "profile": {**changed.to_dict()["profile"], "readout": "Count_Nuclei", "features": []}}
    )
    run = hts.submit(again, changed, client)
    result = run.result(60)
    assert {task.stages for task in run.plan.tasks} == {("aggregate",)}
    assert {path: path.stat().st_mtime_ns for path in segment_markers(again)} == markers
    assert stamps(results_of(again) / "cells") == cells
    assert not [name for name in result.profiles.columns if name.startswith("Mean_")]


def test_changing_only_controls_runs_no_task_at_all(again: Plate, client: Client) -> None:
    changed = Recipe.load("translocation", [*SETTINGS, "profile.normalize=mad_robustize"])
    run = hts.submit(again, changed, client)
    assert run.result(60).wells["skipped"] == 15
    assert run.plan.tasks == ()


def test_changing_only_measure_segments_nothing(again: Plate, client: Client) -> None:
    markers = {path: path.stat().st_mtime_ns for path in segment_markers(again)}
    changed = Recipe.load("translocation", [*SETTINGS, "measure.features=[intensity]", "profile.features=[]"])
    run = hts.submit(again, changed, client, wells=parse_wells("B02,B06"))
    result = run.result(60)
    assert {task.stages for task in run.plan.tasks} == {("measure", "aggregate")}
    assert {path: path.stat().st_mtime_ns for path in segment_markers(again)} == markers
    assert not [name for name in result.profiles.columns if "AreaShape" in name]


def test_measuring_stored_labels_gives_the_same_as_measuring_fresh_ones(
    again: Plate, recipe: Recipe, client: Client
) -> None:
    prints = hts.submit(again, recipe, client)
    prints.result(60)
    results = results_of(again)
    before = hashes(results / "cells")
    manifest = json.loads((results / "run.json").read_text())["current"]
    Markers(results, "measure", manifest["fingerprints"]["measure"]).discard("B03")
    hts.submit(again, recipe, client).result(60)
    assert hashes(results / "cells") == before


def test_overwrite_computes_the_chosen_wells_again_and_gives_the_same_bytes(
    again: Plate, recipe: Recipe, client: Client
) -> None:
    before, times = hashes(results_of(again)), stamps(results_of(again) / "cells")
    run = hts.submit(again, recipe, client, wells=parse_wells("C03"), overwrite=True)
    run.result(60)
    assert [task.well.name for task in run.plan.tasks] == ["C03"]
    assert hashes(results_of(again)) == before
    changed = {path for path, time_ns in stamps(results_of(again) / "cells").items() if times[path] != time_ns}
    assert {Path(path).stem for path in changed} == {"C03"}


def test_other_segmentation_settings_keep_the_earlier_labels_on_disk(
    again: Plate, client: Client, recipe: Recipe
) -> None:
    first = again["B02"].fields[0].label_names()
    changed = Recipe.load("translocation", [*SETTINGS, "segment.nuclei.diameter_px=22"])
    hts.submit(again, changed, client, wells=parse_wells("B02")).result(60)
    field = again["B02"].fields[0]
    assert not set(first) & set(field.label_names())
    assert field.read_labels(first[0]).max() > 0
    hts.submit(again, recipe, client).result(60)
    assert again["B02"].fields[0].label_names() == first


def test_a_few_wells_add_to_the_profiles_of_the_others(plate: Plate, recipe: Recipe, client: Client) -> None:
    simple = Recipe.from_dict({**recipe.to_dict(), "profile": {"readout": "Count_Nuclei"}})
    hts.submit(plate, simple, client, wells=parse_wells("B02")).result(60)
    result = hts.submit(plate, simple, client, wells=parse_wells("B03")).result(60)
    assert result.wells == {"expected": 1, "done": 1, "failed": 0, "skipped": 0}
    assert list(result.profiles["Metadata_Well"]) == ["B02", "B03"]


def test_labels_in_the_plate_are_the_objects_of_the_table(finished: Path) -> None:
    field = Plate.open(finished / "small.ome.zarr")["B03"].fields[0]
    manifest = json.loads((finished / "small.hts" / "run.json").read_text())["current"]
    cells = read_table(finished / "small.hts" / manifest["cells"] / "B03.parquet")
    cells = cells[cells["Metadata_Site"] == field.key.field]
    nuclei = field.read_labels(manifest["label_names"]["nuclei"])
    ids, areas = np.unique(nuclei[nuclei > 0], return_counts=True)
    assert list(cells["Metadata_ObjectNumber"]) == list(ids)
    assert list(cells["Nuclei_AreaShape_Area"]) == list(areas)


def test_a_missing_field_is_left_out_and_said_so(finished: Path, small_truth: Truth) -> None:
    key = small_truth.missing[0]
    state = hts.status(finished / "small.ome.zarr")
    assert [(drop["well"], drop["field"]) for drop in state.dropped_fields] == [(key.well.name, key.field)]
    row = state.wells.set_index("Well").loc[key.well.name]
    assert (row["Status"], row["FieldsUsed"], row["FieldsExpected"]) == ("done", 1, 2)
    assert set(state.planes["Status"]) == {"missing"}


def test_a_recipe_that_does_not_fit_is_refused_before_anything_runs(plate: Plate, client: Client) -> None:
    wrong = Recipe.load("translocation", ["channels.dna=DAPI", "channels.reporter=Reporter"])
    with pytest.raises(RecipeError, match=r"channels\.dna names a channel of the plate \(DNA, Reporter\)"):
        hts.submit(plate, wrong, client)
    with pytest.raises(RecipeError, match=r"profile\.controls\.negative is a query"):
        hts.submit(plate, Recipe.load("translocation", [*SETTINGS, "profile.controls.negative=Nope == 1"]), client)
    with pytest.raises(RecipeError, match="nearest: Mean_Readout_translocated"):
        hts.submit(plate, Recipe.load("translocation", [*SETTINGS, "profile.readout=Mean_Readout_translocate"]), client)
    with pytest.raises(NotFoundError, match="H12 is not on"):
        hts.submit(plate, Recipe.load("translocation", SETTINGS), client, wells=frozenset({WellId(7, 11)}))
    assert not results_of(plate).exists()


def test_a_damaged_table_of_cells_costs_its_well_and_overwrite_mends_it(
    again: Plate, client: Client, recipe: Recipe
) -> None:
    before = hashes(results_of(again) / "cells")
    (table,) = results_of(again).glob("cells/*/C03.parquet")
    table.write_bytes(table.read_bytes()[:100])
    for marker in results_of(again).glob("markers/aggregate-*/C03.json"):
        marker.unlink()
    result = hts.submit(again, recipe, client).result(60)
    assert result.wells == {"expected": 15, "done": 14, "failed": 1, "skipped": 14}
    assert str(table) in result.failures["C03"]
    assert "--overwrite" in result.failures["C03"]
    hts.submit(again, recipe, client, wells=parse_wells("C03"), overwrite=True).result(60)
    assert hashes(results_of(again) / "cells") == before


def test_a_plane_that_the_plate_does_not_have_is_refused(plate: Plate, client: Client) -> None:
    with pytest.raises(RecipeError, match=r"acquire\.t is a plane of the plate, from 0 to 0"):
        hts.submit(plate, Recipe.load("translocation", [*SETTINGS, "acquire.t=1"]), client)


def test_two_runs_on_one_plate_are_refused(plate: Plate, recipe: Recipe, client: Client, tmp_path: Path) -> None:
    with exclusive(results_of(plate), "run"), pytest.raises(UsageError, match="another process works on it"):
        hts.submit(plate, recipe, client)
    with exclusive(plate.path / ".hts", "run"), pytest.raises(UsageError, match="another process works on it"):
        hts.submit(plate, recipe, client, out=tmp_path / "elsewhere")


def test_a_cancelled_run_goes_on_where_it_stopped(plate: Plate, recipe: Recipe, client: Client, finished: Path) -> None:
    run = hts.submit(plate, recipe, client)
    while run.progress().done < 2:
        assert not run.wait(0.02)
    run.cancel()
    with pytest.raises(StageError, match="it was cancelled"):
        run.result(60)
    assert hts.status(plate).state == "stopped"
    following = hts.submit(plate, recipe, client)
    assert 0 < len(following.plan.done) < 15
    following.result(120)
    assert hashes(results_of(plate)) == hashes(finished / "small.hts")


def test_a_killed_run_continued_gives_the_same_bytes(
    plate: Plate, recipe: Recipe, client: Client, finished: Path
) -> None:
    """SIGKILL of the whole process group, twice, then the same again."""
    results = results_of(plate)
    command = [sys.executable, "-m", "hts.cli", "run", str(plate.path), "translocation", "--workers", "2"]
    command += [part for setting in SETTINGS for part in ("--set", setting)]
    for goal in (1, 5):
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while len(list(results.glob("markers/aggregate-*/*.json"))) < goal and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert hts.status(plate).state == "interrupted"
    run = hts.submit(plate, recipe, client)
    assert 5 <= len(run.plan.done) < 15
    run.result(120)
    assert hashes(results) == hashes(finished / "small.hts")


def test_the_death_of_a_worker_costs_nothing(plate: Plate, recipe: Recipe, finished: Path) -> None:
    with hts.connect("local", 2) as own:
        run = hts.submit(plate, recipe, own)
        while run.progress().done < 2:
            assert not run.wait(0.02)
        victim = next(iter(own.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        assert run.result(120).wells["done"] == 15
    assert hashes(results_of(plate)) == hashes(finished / "small.hts")


def test_tasks_and_their_results_stay_small(plate: Plate, recipe: Recipe, client: Client) -> None:
    """One task a well, under 8 kB to send and under 1 kB to return."""
    import cloudpickle

    from hts.engine.prepare import prepare
    from hts.engine.work import WellDone

    prepared = prepare(plate, recipe)
    assert len(prepared.plan.tasks) == 15
    job = prepared.job(prepared.plan.tasks[0])
    assert len(cloudpickle.dumps(job)) < 8_000
    assert len(cloudpickle.dumps(WellDone("B02", cells=10_000, seconds=12.0))) < 1_000
