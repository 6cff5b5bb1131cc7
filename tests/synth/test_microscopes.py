"""What every simulated microscope must do; new ones are found by their name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hts.errors import UsageError
from hts.synth.microscopes import MICROSCOPES, microscope
from hts.synth.scan import PlateScan, Shot

from .scans import pixels_of, small_scan

SCANS = {
    "one plane": {"wells": small_scan().wells[:1], "fields": 1, "n_z": 1, "n_t": 1, "lost": frozenset()},
    "fields and channels": {"n_z": 1, "n_t": 1},
    "z": {"n_t": 1},
    "t": {"n_z": 1},
    "all": {},
}


def write(name: str, folder: Path, scan: PlateScan) -> tuple[dict[Shot, Path], list[Shot]]:
    """Files of the shots, and the shots in the order in which they were asked for."""
    asked: list[Shot] = []

    def pixels(shot: Shot) -> NDArray[np.generic]:
        asked.append(shot)
        return pixels_of(shot, scan.shape)

    folder.mkdir()
    try:
        return microscope(name).write(folder, scan, pixels), asked
    except UsageError as error:
        if scan.n_z * scan.n_t == 1:
            raise
        pytest.skip(f"{name} has no place for it: {error}")


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("name", MICROSCOPES)
def test_every_shot_is_asked_for_once_and_gets_a_file(name: str, scan: str, tmp_path: Path) -> None:
    plan = small_scan(**SCANS[scan])
    files, asked = write(name, tmp_path / "plate", plan)
    assert asked == list(plan.shots())
    assert list(files) == asked
    assert all(path.is_file() and path.is_relative_to(tmp_path / "plate") for path in files.values())


@pytest.mark.parametrize("name", MICROSCOPES)
def test_the_same_scan_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    plan = small_scan(n_z=1, n_t=1)
    contents: list[dict[Path, object]] = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        files, _ = write(name, folder, plan)
        contents.append({path.relative_to(folder): path.read_bytes() for path in files.values()})
    if name == "zeiss":
        # The library that writes CZI gives every file a new identifier: there only the sizes are the same.
        contents = [{path: len(content) for path, content in one.items()} for one in contents]
    assert contents[0] == contents[1]


def test_an_unknown_microscope_is_named() -> None:
    with pytest.raises(UsageError, match=r"a microscope: one of [\s\S]*did you mean imagexpress\?"):
        microscope("imageexpress")
