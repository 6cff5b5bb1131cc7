"""``hts evaluate objects`` as people and scripts use it: real processes, exit codes, JSON on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.evaluate.images import scene


def hts(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hts.cli", "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for seed, name in enumerate(("a", "b")):
        for folder, labels in zip(("truth", "found"), scene(seed, 80, 12), strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", labels.astype(np.uint16))
    return tmp_path / "truth", tmp_path / "found"


def test_help_has_an_example_and_the_options():
    assert "objects" in hts("--help").stdout
    shown = hts("objects", "--help")
    assert shown.returncode == 0
    text = " ".join(shown.stdout.split())
    assert "Example: hts evaluate objects truth/ masks/ --out scores/" in text
    assert "--json" in text


def test_a_table_for_people(folders):
    done = hts("objects", *folders)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "2 of 2 images scored, paired by equal names" in lines
    (header,) = (line for line in lines if line.startswith("IoU at least"))
    (f1,) = (line for line in lines if line.startswith("F1         pooled"))
    assert len(header) == len(f1)
    assert sum(line.startswith(("  a: F1 0.", "  b: F1 0.")) for line in lines) == 2


def test_one_object_for_scripts(folders, tmp_path):
    done = hts("objects", *folders, "--json", "--out", tmp_path / "scores", "--worst", "1")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["images_scored"] == 2
    assert told["pooled"]["iou"][0]["f1"] < 1
    assert [Path(file).name.partition("-")[0] for file in told["files"]] == ["scores.csv", "scores.json", "worst"]
    assert all(Path(file).stat().st_size for file in told["files"])
    assert {"pooled": told["pooled"]}.items() <= json.loads((tmp_path / "scores" / "scores.json").read_text()).items()


def test_what_cannot_be_scored_is_told_and_ends_with_three_or_one(folders):
    truth, found = folders
    (found / "b.tif").write_bytes(b"")
    done = hts("objects", truth, found)
    assert done.returncode == 3
    assert "not scored b: " in done.stdout
    assert "1 of 2 images scored" in done.stdout
    (found / "a.tif").write_bytes(b"")
    done = hts("objects", truth, found, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["pooled"] is None


def test_wrong_usage_ends_with_two(folders, tmp_path):
    truth, found = folders
    done = hts("objects", truth, tmp_path / "nowhere", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["kind"] == "NotFoundError"
    assert hts("objects", truth).returncode == 2
    assert hts("objects", truth, found, "--worst", "-1").returncode == 2
