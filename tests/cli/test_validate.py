"""``hts validate`` as people and scripts use it: real processes, exit codes, JSON on stdout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store import validate_plates as made


def hts(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hts.cli", "validate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write_v04(tmp_path_factory.mktemp("good") / "plate.zarr")


def test_help_has_an_example_and_the_options() -> None:
    shown = hts("--help")
    assert shown.returncode == 0
    text = " ".join(shown.stdout.split())
    assert "Example: hts validate plate.ome.zarr --pixels" in text
    assert "--json" in text


def test_a_good_plate_ends_with_zero(good: Path) -> None:
    done = hts(good, "--pixels")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{good}: OME-Zarr 0.4 plate, 2 wells, 2 images, 1 label images, 20 chunk files decoded",
        "nothing to mend",
    ]


def test_warnings_end_with_zero_and_errors_with_one(good: Path, tmp_path: Path) -> None:
    plate = shutil.copytree(good, tmp_path / "plate.zarr")
    made.edit(plate, "", lambda ome: ome["plate"].pop("name"))
    warned = hts(plate)
    assert (warned.returncode, warned.stdout.splitlines()[-1]) == (0, "1 warning")
    made.edit(plate, made.IMAGE, lambda ome: ome["omero"]["channels"][0].update(color="blue"))
    failed = hts(plate)
    assert (failed.returncode, failed.stdout.splitlines()[-1]) == (1, "1 error, 1 warning")
    assert "error: A/01/0 (omero.channels[0].color): A colour of six hexadecimal digits" in failed.stdout

    spoken = json.loads(hts(plate, "--json").stdout)
    assert (spoken["version"], spoken["ok"], spoken["errors"], spoken["warnings"]) == ("0.4", False, 1, 1)
    assert [finding["rule"] for finding in spoken["findings"]] == ["image.omero.color", "plate.name"]


def test_nothing_there_is_wrong_usage(tmp_path: Path) -> None:
    done = hts(tmp_path / "nowhere", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["kind"] == "NotFoundError"
    assert hts("gopher://plate").returncode == 2


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from hts.cli import main
sys.argv = ["hts", "validate", "--help"]
try:
    main()
except SystemExit:
    print([name for name in ("zarr", "numpy", "pandas", "dask", "numba", "fsspec") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
