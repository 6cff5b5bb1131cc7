"""The command line as people and scripts use it: real processes, exit codes, JSON on stdout, logs on stderr."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hts.errors import HtsError
from hts.store import read_table

if TYPE_CHECKING:
    from hts.store import Plate
    from hts.synth import Truth

VERBS = ("demo", "synth", "inspect", "convert", "validate", "plan", "run", "status", "report")
SETTINGS = ["--set", "channels.dna=DNA", "--set", "channels.reporter=Reporter"]
CONTROLS = ["--set", "profile.controls.negative=Control == -1", "--set", "profile.controls.positive=Control == 1"]


def hts(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hts.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def spoken(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object on stdout."""
    value = json.loads(finished.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def plate(small_plate: Plate, tmp_path: Path) -> Path:
    shutil.copytree(small_plate.path, tmp_path / "small.ome.zarr")
    return tmp_path / "small.ome.zarr"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_and_json(verb: str) -> None:
    shown = hts(verb, "--help")
    assert shown.returncode == 0
    assert "Example: hts " + verb in " ".join(shown.stdout.split())
    assert "--json" in shown.stdout


def test_help_lists_the_verbs_in_the_order_of_the_work() -> None:
    text = hts("--help").stdout
    places = [text.index(f"\n  {verb} ") for verb in VERBS]
    assert places == sorted(places)


def test_run_says_what_scripts_rely_on(plate: Path) -> None:
    done = hts("run", plate, "translocation", *SETTINGS, *CONTROLS, "--workers", "2", "--json")
    summary = spoken(done)
    assert done.returncode == 0, done.stderr
    assert summary["wells"] == {"expected": 15, "done": 15, "failed": 0, "skipped": 0}
    assert summary["plate"] == str(plate)
    assert 0.5 < summary["quality"]["z_prime"] <= 1
    assert summary["seconds"] > 0
    assert len(list(Path(summary["cells"]).glob("*.parquet"))) == 15
    assert len(read_table(Path(summary["profiles"]))) == 15
    assert Path(summary["report"]).read_text().startswith("<!DOCTYPE html>")
    assert Path(summary["report"]).parent == plate.with_name("small.hts")

    again = spoken(hts("run", plate, "translocation", *SETTINGS, *CONTROLS, "--workers", "2", "--json"))
    assert again["wells"] == {"expected": 15, "done": 15, "failed": 0, "skipped": 15}

    state = spoken(hts("status", plate, "--json"))
    assert (state["state"], state["wells"]["done"]) == ("done", 15)
    page = spoken(hts("report", plate, "--json"))
    assert Path(page["report"]) == Path(summary["report"])
    shown = hts("status", plate)
    assert "15 done, 0 failed, 0 waiting" in shown.stdout


def test_failed_wells_are_exit_code_3(small_truth: Truth, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(small_truth.plate, source)
    for path in source.rglob("*_C03_*"):
        path.write_bytes(b"")
    converted = hts("convert", source, tmp_path / "p.ome.zarr", "--layout", small_truth.layout, "--json")
    assert converted.returncode == 3
    assert {issue["Well"] for issue in spoken(converted)["issues"]} == {"C03", small_truth.missing[0].well.name}
    done = hts("run", tmp_path / "p.ome.zarr", "nuclei", "--set", "channels.dna=DNA", "--wells", "B02,C03", "--json")
    assert done.returncode == 3
    summary = spoken(done)
    assert summary["wells"] == {"expected": 2, "done": 1, "failed": 1, "skipped": 0}
    assert "empty (0 bytes)" in summary["failures"]["C03"]
    assert "failed C03: no usable field" in hts("status", tmp_path / "p.ome.zarr").stdout
    assert "empty (0 bytes)" in Path(summary["report"]).read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "Missing argument"),
        (["run", "PLATE", "translocatoin"], "did you mean translocation?"),
        (["run", "PLATE", "nuclei"], "channels.dna names a channel of the plate (DNA, Reporter)"),
        (["run", "PLATE", "nuclei", "--set", "channels.dna=DAPI"], "--set channels.dna=DNA"),
        (["run", "PLATE", "nuclei", "--set", "segment.nuclei.metod=threshold"], "did you mean 'method'?"),
        (["run", "PLATE", "nuclei", "--set", "channels.dna"], "--set section.key=value"),
        (["run", "PLATE", "nuclei", "--set", "channels.dna=DNA", "--wells", "Z99"], "Z99 is not on"),
        (
            ["run", "PLATE", "nuclei", "--set", "channels.dna=DNA", "--wells", "oops"],
            "a well name is a row and a column",
        ),
        (["run", "nowhere.ome.zarr", "nuclei"], "a plate at nowhere.ome.zarr"),
        (
            ["run", "PLATE", "nuclei", "--set", "channels.dna=DNA", "--cluster", "tcp://127.0.0.1:9"],
            "a Dask scheduler at",
        ),
        (["plan", "PLATE", "nuclei.yaml"], "a recipe file at nuclei.yaml"),
        (["inspect", "nowhere"], "nowhere"),
        (["convert", "PLATE", "x.ome.zarr", "--reader", "imagexpres"], "imagexpress"),
        (["report", "PLATE"], "a run in"),
        (["synth", "PLATE"], "empty"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_message(plate: Path, arguments: list[str], said: str) -> None:
    finished = hts(*[str(plate) if part == "PLATE" else part for part in arguments])
    assert finished.returncode == 2, finished.stderr
    assert said in " ".join(finished.stderr.split())
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_an_error_with_json_is_json_too(plate: Path) -> None:
    finished = hts("run", plate, "translocatoin", "--json")
    assert finished.returncode == 2
    assert spoken(finished)["kind"] == "NotFoundError"


def test_results_that_cannot_be_written_are_exit_code_1(plate: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finished = hts("run", plate, "nuclei", "--set", "channels.dna=DNA", "--out", tmp_path / "file" / "out")
    assert finished.returncode == 1
    assert "a part of the path is a file" in finished.stderr


def test_plan_computes_nothing(plate: Path) -> None:
    planned = spoken(hts("plan", plate, "translocation", *SETTINGS, "--json"))
    assert planned["wells"] == {"expected": 15, "done": 0, "compute": 15}
    assert planned["read_bytes"] == 29 * 2 * 192 * 192 * 2
    assert not plate.with_name("small.hts").exists()


def test_inspect_writes_nothing_and_shows_a_map(small_truth: Truth, tmp_path: Path) -> None:
    shown = hts("inspect", small_truth.plate)
    assert shown.returncode == 0
    assert "15 wells × 2 fields × 2 channels (DNA, Reporter)" in shown.stdout
    assert "◐" in shown.stdout
    found = spoken(hts("inspect", small_truth.plate, "--json"))
    assert found["planes"] == {"found": 58, "missing": 2}


def test_a_recipe_file_can_name_the_pattern(tmp_path: Path, small_truth: Truth) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in small_truth.plate.rglob("*_B0[23]_*.TIF"):
        _, well, site, wave = path.stem.split("_")
        shutil.copy(path, flat / f"{wave}x{well}x{site[1:]}.tif")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "acquire: {pattern: '(?P<channel>w[0-9])x(?P<well>[A-Z][0-9]+)x(?P<field>[0-9]+)'}\n"
        "channels: {dna: w1}\nsegment: {nuclei: {method: threshold, channel: dna}}\n"
    )
    converted = spoken(hts("convert", flat, tmp_path / "p.ome.zarr", "--recipe", recipe, "--json"))
    assert (converted["wells"], converted["channels"], converted["planes"]) == (2, ["w1", "w2"], {"found": 8})
    assert spoken(hts("run", tmp_path / "p.ome.zarr", recipe, "--json"))["wells"]["done"] == 2


def _hear_ctrl_c() -> None:
    """Whoever runs the tests in the background has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("to_all", [False, True], ids=["to the command", "to its process group"])
def test_ctrl_c_keeps_what_is_committed_and_the_same_command_goes_on(plate: Path, to_all: bool) -> None:
    command = [
        sys.executable,
        "-m",
        "hts.cli",
        "run",
        str(plate),
        "translocation",
        *SETTINGS,
        *CONTROLS,
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,
    )
    results = plate.with_name("small.hts")
    deadline = time.monotonic() + 90
    while len(list(results.glob("markers/aggregate-*/*.json"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert spoken(hts("status", plate, "--json"))["state"] == "stopped"
    done = spoken(hts(*command[3:], "--json"))
    assert done["wells"]["done"] == 15
    assert 2 <= done["wells"]["skipped"] < 15


def test_a_scheduler_that_already_runs_is_used_wherever_its_workers_are(plate: Path) -> None:
    """The plate is named relative to a folder that is not the workers'."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster:
        where = ["--cluster", cluster.scheduler_address, "--wells", "B02-B03"]
        done = spoken(hts("run", plate.name, "nuclei", "--set", "channels.dna=DNA", *where, "--json", cwd=plate.parent))
    assert done["wells"]["done"] == 2
    assert done["plate"] == plate.name


def test_the_demo_goes_all_the_way(tmp_path: Path) -> None:
    """The first command of the README, as its user types it."""
    done = hts("demo", "--out", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stderr
    summary = spoken(done)
    assert summary["wells"] == {"expected": 30, "done": 30, "failed": 0, "skipped": 0}
    assert summary["quality"]["z_prime"] > 0.5
    assert (summary["quality"]["fields_used"], summary["quality"]["fields_expected"]) == (59, 60)
    assert summary["quality"]["ec50"] == pytest.approx(0.3, rel=0.3)
    for name in ("plate", "cells", "profiles", "report"):
        assert Path(summary[name]).exists()


def test_errors_survive_the_way_between_processes() -> None:
    import pickle

    for kind in HtsError.__subclasses__():
        error = kind("a thing", found="another", cause="chance", fix="look")
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (kind, str(error))
    assert len(HtsError.__subclasses__()) <= 6
