"""Conversions that are broken off: by SIGKILL, by a full disk, by another converter. Then the same command again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hts
from hts.cli.app import app
from hts.engine import Conversion, ConvertOptions
from hts.errors import StoreError
from hts.store import Plate, is_held
from tests.engine.folders import PATTERN, Key, assert_holds, content, keys, pixels, tiff_bytes, write_folder

ALL = keys("B02,B03,B04,C02,C03,C04,D02,D03,D04,E02,E03,E04,F02,F03", fields=3, n_z=2)
CUT, LOST = Key("C03", 2, "GFP", 1), Key("E03", 1, "DNA")
N_WELLS = 14
MOMENTS_SEED = 20261121
SHAPE = (260, 64)
"""Two levels."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate of 14 wells × 3 fields × 2 channels × 2 z, one plane lost and one cut; and a layout."""
    folder = tmp_path_factory.mktemp("killed")
    made = write_folder(folder / "s", [key for key in ALL if key != LOST], SHAPE)
    (folder / "s" / CUT.file).write_bytes(tiff_bytes(made[CUT])[:-100])
    wells = sorted({key.well for key in ALL})
    (folder / "layout.csv").write_text("Well,Dose\n" + "".join(f"{well},{n}\n" for n, well in enumerate(wells)))
    return folder / "s"


@pytest.fixture(scope="module")
def undisturbed(source: Path) -> dict[str, str]:
    """Hash of every file of the plate that nobody disturbs."""
    place = source.parent / "undisturbed" / "p.ome.zarr"
    plate = again(source, place)
    assert_holds(plate, {key: pixels(key, SHAPE) for key in ALL if key not in (CUT, LOST)})
    return content(place)


def command(source: Path, place: Path) -> list[str]:
    arguments = [str(source), str(place), "--pattern", PATTERN, "--layout", str(source.parent / "layout.csv")]
    return [sys.executable, "-m", "hts.cli", "convert", *arguments]


def run(source: Path, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(source, place), capture_output=True, text=True, check=False, timeout=120)


def again(source: Path, place: Path) -> Plate:
    """What the same command does, without a process of its own."""
    return hts.convert(source, place, pattern=PATTERN, layout=source.parent / "layout.csv")


def phase(place: Path) -> str:
    """How far a conversion has come, from what is on disk."""
    if (place / ".hts" / "layout.parquet").exists():
        return "end"
    markers = len(list(place.glob(".hts/markers/*/*.json")))
    if markers == N_WELLS:
        return "tables"
    if markers:
        return "markers"
    if any(place.glob("*/*/*/0/zarr.json")):
        return "fields"
    return "groups" if (place / "zarr.json").exists() else "listing"


def stamp_of(path: Path) -> int | None:
    """Time of a file that comes and goes."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return None


PHASES: dict[str, Callable[[Path], bool]] = {
    "listing": lambda place: True,
    "groups": lambda place: (place / "zarr.json").exists(),
    "fields": lambda place: any(place.glob("*/*/*/0/zarr.json")),
    "markers": lambda place: any(place.glob(".hts/markers/*/*.json")),
    "tables": lambda place: len(list(place.glob(".hts/markers/*/*.json"))) == N_WELLS,
}
LONGEST_S = {"listing": 0.6, "groups": 0.004, "fields": 0.02, "markers": 0.15, "tables": 0.05}


def kill_once(source: Path, place: Path, wait_for: str, delay_s: float) -> str:
    """Kill the converter and all it started, `delay_s` after it came to a phase; returns where it really was."""
    process = subprocess.Popen(
        command(source, place), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not PHASES[wait_for](place) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(delay_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return phase(place)


def killed(
    source: Path, undisturbed: dict[str, str], folder: Path, moments: int, finish: Callable[[Path, Path], object]
) -> Counter[str]:
    """Kill at so many moments, each followed by `finish`; returns where the kills landed."""
    chance = np.random.default_rng(MOMENTS_SEED + moments)
    landed: Counter[str] = Counter()
    for number in range(moments):
        wait_for = list(PHASES)[number % len(PHASES)]
        place = folder / str(number) / "p.ome.zarr"
        landed[kill_once(source, place, wait_for, float(chance.uniform(0, LONGEST_S[wait_for])))] += 1
        finish(source, place)
        assert content(place) == undisturbed, f"moment {number}, after {wait_for}"
        shutil.rmtree(place.parent)
    print(f"{moments} kills landed in: {dict(landed)}")
    return landed


def test_killed_at_five_random_moments_it_ends_in_the_same_bytes(
    source: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    landed = killed(source, undisturbed, tmp_path, 5, again)
    assert landed.total() - landed["end"] >= 3


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_in_the_same_bytes(
    source: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    landed = killed(source, undisturbed, tmp_path, 20, run)
    assert set(landed) >= {"listing", "fields", "markers", "tables"}


@pytest.mark.slow
def test_killed_again_and_again_it_ends_in_the_same_bytes(
    source: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """Without a whole run in between: what several of them left lies on top of each other."""
    place = tmp_path / "p.ome.zarr"
    for wait_for, delay_s in (("groups", 0.001), ("fields", 0.01), ("markers", 0.05)):
        kill_once(source, place, wait_for, delay_s)
    again(source, place)
    assert content(place) == undisturbed


def test_killed_while_a_changed_plate_is_converted_again_no_well_is_half_new(source: Path, tmp_path: Path) -> None:
    """The second conversion of a plate overwrites committed wells; each is the old one, the new one, or not done."""
    shutil.copytree(source, tmp_path / "s")
    shutil.copy(source.parent / "layout.csv", tmp_path / "layout.csv")
    place = tmp_path / "p.ome.zarr"
    again(tmp_path / "s", place)
    for key in ALL:
        (tmp_path / "s" / key.file).write_bytes(tiff_bytes(pixels(("new", key), SHAPE)))
    changed = {path: path.stat().st_mtime_ns for path in place.glob(".hts/markers/*/*.json")}
    process = subprocess.Popen(
        command(tmp_path / "s", place), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if sum(stamp_of(path) not in (None, stamp) for path, stamp in changed.items()) >= 3:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    plate = Plate.open(place)
    for path, stamp in changed.items():
        if path.exists():
            well = path.stem
            new = path.stat().st_mtime_ns != stamp
            mine = [key for key in ALL if key.well == well and key not in (CUT, LOST)]
            for key in mine:
                stored = plate[well].field(key.field).read_plane(key.channel, z=key.z)
                np.testing.assert_array_equal(stored, pixels(("new", key) if new else key, SHAPE), str(key))
    assert_holds(again(tmp_path / "s", place), {key: pixels(("new", key), SHAPE) for key in ALL})


# --- a full disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def plate_bytes(source: Path) -> int:
    place = source.parent / "undisturbed" / "p.ome.zarr"
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in place.rglob("*") if path.is_file())


@pytest.mark.parametrize("part", [0.005, 0.02, 0.2, 0.45, 0.7, 0.9, 0.99, 0.999])
def test_a_full_disk_commits_nothing_wrong_and_goes_on_when_there_is_room(
    source: Path, undisturbed: dict[str, str], small_disk: Path, part: float
) -> None:
    """At any point: in the groups, in fields, in markers, in tables."""
    place = small_disk / "p.ome.zarr"
    needed = plate_bytes(source)
    status = os.statvfs(small_disk)
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - int(part * needed))
    with pytest.raises(StoreError, match=r"can be written\n.*(No space|space left)(.|\n)*the disk is full"):
        again(source, place)
    assert not is_held(place / ".hts")
    committed = {path.stem for path in place.glob(".hts/markers/*/*.json")}
    print(f"{len(committed)} wells were committed with room for {part:.1%} of the plate")
    if committed:
        plate = Plate.open(place)
        for key in ALL:
            if key.well in committed and key not in (CUT, LOST):
                stored = plate[key.well].field(key.field).read_plane(key.channel, z=key.z)
                np.testing.assert_array_equal(stored, pixels(key, SHAPE))
    filler.unlink()
    again(source, place)
    assert content(place) == undisturbed


def test_a_full_disk_is_exit_code_1_and_one_message(source: Path, small_disk: Path) -> None:
    status = os.statvfs(small_disk)
    with open(small_disk / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - plate_bytes(source) // 2)
    done = CliRunner().invoke(app, command(source, small_disk / "p.ome.zarr")[3:], catch_exceptions=False)
    assert done.exit_code == 1
    assert "the disk is full" in done.stderr
    assert "give the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# --- two converters -----------------------------------------------------------------------------------------------


def test_the_second_converter_stops_and_says_who_is_at_work(
    source: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    place = tmp_path / "p.ome.zarr"
    first = subprocess.Popen(
        command(source, place), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not PHASES["groups"](place):
            assert first.poll() is None
            time.sleep(0.001)
        first.send_signal(signal.SIGSTOP)
        before = content(place)
        second = CliRunner().invoke(app, command(source, place)[3:], catch_exceptions=False)
        assert second.exit_code == 2
        assert f"another process works on it (process {first.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        assert content(place) == before
        first.send_signal(signal.SIGCONT)
        assert first.wait(60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert content(place) == undisturbed


# --- Ctrl-C -------------------------------------------------------------------------------------------------------


def hear_ctrl_c() -> None:
    """Whoever runs the tests in the background has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("wait_for", "to_all"), [("groups", False), ("markers", True)])
def test_ctrl_c_is_one_message_and_the_same_command_goes_on(
    source: Path, undisturbed: dict[str, str], tmp_path: Path, wait_for: str, to_all: bool
) -> None:
    place = tmp_path / "p.ome.zarr"
    process = subprocess.Popen(
        [*command(source, place), "--workers", "1"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    while not PHASES[wait_for](place):
        assert process.poll() is None
        time.sleep(0.0005)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "interrupted: what is committed is kept; the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert said == ""
    committed = {path: path.stat().st_mtime_ns for path in place.glob(".hts/markers/*/*.json")}
    assert len(committed) < N_WELLS
    again(source, place)
    assert {path: path.stat().st_mtime_ns for path in committed} == committed
    assert content(place) == undisturbed


# --- errors of one thread -----------------------------------------------------------------------------------------


def test_an_error_of_one_field_stops_all_threads_before_the_lock_is_let_go(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may write into a plate that is not held any more."""
    from hts.engine.conversion import wells

    place = tmp_path / "p.ome.zarr"
    original, writing = wells.write_field, []

    def write(where: Path, spec: object, image: object) -> None:
        assert is_held(where / ".hts")
        writing.append(1)
        if len(writing) == 5:
            raise StoreError("a disk that works", found="one that does not")
        original(where, spec, image)
        time.sleep(0.05)
        assert is_held(where / ".hts")

    monkeypatch.setattr(wells, "write_field", write)
    with pytest.raises(StoreError, match="a disk that works"):
        hts.convert(source, place, pattern=PATTERN, workers=3)
    n_begun = len(writing)
    time.sleep(0.2)
    assert len(writing) == n_begun < 20
    monkeypatch.undo()
    plate = hts.convert(source, place, pattern=PATTERN)
    assert_holds(plate, {key: pixels(key, SHAPE) for key in ALL if key not in (CUT, LOST)})


def test_a_file_that_changes_while_it_is_converted_is_converted_again_next_time(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "s", keys("B02,B03"))
    place = tmp_path / "p.ome.zarr"
    conversion = Conversion.prepare(tmp_path / "s", place, ConvertOptions(pattern=PATTERN, workers=1))
    key = Key("B03", 1, "GFP")
    new = pixels("written by the microscope meanwhile")

    def after_each_well(done: int, expected: int) -> None:
        if done == expected:
            (tmp_path / "s" / key.file).write_bytes(tiff_bytes(new))

    assert_holds(conversion.run(after_each_well), made)
    assert_holds(hts.convert(tmp_path / "s", place, pattern=PATTERN), {**made, key: new})
