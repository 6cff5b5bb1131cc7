"""Real plates, all the way, with the commands that people type."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import hts
from hts.store import Plate, read_table

pytestmark = pytest.mark.real

CONTROLS = ("profile.controls.negative=SBS_Controls == -1", "profile.controls.positive=SBS_Controls == 1")
SETTINGS = ("channels.dna=Channel2", "channels.reporter=Channel1", *CONTROLS)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hts.cli", *map(str, arguments)]


def run_command(plate: Path, *more: str) -> list[str]:
    return command("run", plate, "translocation", *(part for text in SETTINGS for part in ("--set", text)), *more)


def call(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.fixture(scope="module")
def sbs(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The translocation plate as OME-Zarr."""
    source = data_dir / "cp_sbs_96well"
    plate = tmp_path_factory.mktemp("sbs") / "sbs.ome.zarr"
    call(command("convert", source, plate, "--layout", source / "1049_Metadata.csv", "--json"))
    return plate


@pytest.fixture(scope="module")
def summary(sbs: Path) -> dict[str, Any]:
    """Its run, killed half-way, then continued: the figures must not know."""
    process = subprocess.Popen(
        run_command(sbs), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    results = sbs.with_name("sbs.hts")
    while len(list(results.glob("markers/aggregate-*/*.json"))) < 40 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    continued = call(run_command(sbs, "--json"))
    assert 40 <= continued["wells"]["skipped"] < 96
    return continued


def test_every_pixel_is_kept(sbs: Path, data_dir: Path) -> None:
    plate = Plate.open(sbs)
    assert (len(plate.wells), plate.channels) == (96, ("Channel1", "Channel2"))
    for index, well in enumerate(plate.wells, start=1):
        for channel in plate.channels:
            name = f"{channel}-{index:02d}-{well.row_name}-{well.column_name}.tif"
            image = tifffile.imread(data_dir / "cp_sbs_96well" / name)
            np.testing.assert_array_equal(plate[well].fields[0].read_plane(channel), image)


def test_the_assay_is_excellent_and_every_well_is_there(summary: dict[str, Any]) -> None:
    """Required: Z' of at least 0.70 for the nucleus against the cytoplasm; about 17,600 nuclei."""
    quality = summary["quality"]
    assert (summary["wells"]["expected"], summary["wells"]["done"], summary["wells"]["failed"]) == (96, 96, 0)
    assert (quality["n_negative"], quality["n_positive"]) == (16, 8)
    assert quality["nuclei"] == pytest.approx(17_600, rel=0.03)
    assert quality["z_prime"] >= 0.88
    by_feature = {entry["feature"]: entry["z_prime"] for entry in quality["features"]}
    assert by_feature["Median_Readout_contrast"] >= 0.80
    assert by_feature["Median_Cells_Correlation_Correlation_DNA_Reporter"] >= 0.81


def test_the_dose_response_rises_to_a_plateau(summary: dict[str, Any]) -> None:
    profiles = read_table(Path(summary["profiles"]))
    for readout, tolerance in (("Mean_Readout_translocated", 0.03), ("Median_Readout_contrast", 0.06)):
        curve = profiles.groupby("Metadata_SBS_Doses")[readout].median()
        span = curve.max() - curve.min()
        steps = np.diff(curve.to_numpy())
        assert len(curve) == 11
        assert steps.min() > -tolerance * span
        assert (curve.loc[6:] > curve.min() + 0.93 * span).all()
        assert (curve.loc[:2] < curve.min() + 0.10 * span).all()
    assert 3 < summary["quality"]["ec50"] < 5


def test_a_killed_and_continued_run_equals_an_undisturbed_one(summary: dict[str, Any], sbs: Path) -> None:
    other = sbs.with_name("undisturbed")
    undisturbed = call(run_command(sbs, "--out", str(other), "--json"))
    assert undisturbed["wells"]["skipped"] == 0
    assert _parquet(other) == _parquet(sbs.with_name("sbs.hts"))


def _parquet(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.parquet"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_repeating_the_command_computes_nothing(summary: dict[str, Any], sbs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in sbs.parent.rglob("*.parquet")}
    again = call(run_command(sbs, "--json"))
    assert again["wells"] == {"expected": 96, "done": 96, "failed": 0, "skipped": 96}
    assert {path: path.stat().st_mtime_ns for path in sbs.parent.rglob("*.parquet")} == before
    assert again["quality"] == summary["quality"]


@pytest.mark.parametrize("name", ["9987_Plate_3420", "9987_Plate_3434", "9987_Plate_3435"])
def test_metaxpress_exports_go_all_the_way(name: str, data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "faim_imagexpress_exported" / name
    plate = hts.convert(folder, tmp_path / "p.ome.zarr")
    assert "DAPI" in plate.channels
    assert plate.pixel_size is not None
    assert plate.pixel_size.x_um == pytest.approx(1.3672, abs=1e-4)
    # Nobody told how many nuclei there are: what counts is that every well comes to a row, with nothing dropped unsaid.
    done = call(
        command(
            "run",
            plate.path,
            "nuclei",
            "--set",
            "channels.dna=DAPI",
            "--set",
            "segment.nuclei.diameter_px=12",
            "--json",
        )
    )
    assert done["wells"]["done"] == len(plate.wells)
    assert done["quality"]["fields_used"] == sum(len(plate[well].fields) for well in plate.wells)
    if plate.shape["z"] > 1:
        assert "projected (max)" in Path(done["report"]).read_text()
