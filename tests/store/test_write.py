from __future__ import annotations

import json
import os
import tracemalloc

import numpy as np
import pytest

from hts.errors import StoreError, UsageError
from hts.store import (
    FieldImage,
    Markers,
    Plate,
    create_plate,
    list_labels,
    refuse_other_files,
    write_field,
    write_labels,
)
from hts.store.write import contrast
from tests.store.plates import KEY, WELL, planes_of, run_python, spec_for, stack, write_one


def _documents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("zarr.json"))}


def test_making_a_plate_twice_changes_nothing(tmp_path):
    spec = spec_for((40, 40))
    write_one(tmp_path / "p", spec, stack(spec))
    before = _documents(tmp_path / "p")
    create_plate(tmp_path / "p", spec)
    assert _documents(tmp_path / "p") == before
    assert set(before) == {
        "zarr.json",
        "B/zarr.json",
        "B/03/zarr.json",
        "B/03/1/zarr.json",
        "B/03/1/0/zarr.json",
    }


def test_a_folder_with_other_things_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(UsageError, match=rf"{tmp_path} is new, empty or a plate.*\n  found: other files"):
        create_plate(tmp_path, spec_for((40, 40)))
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_file_in_the_way_is_refused_and_kept(tmp_path):
    (tmp_path / "p").write_text("something")
    with pytest.raises(UsageError, match="is new, empty or a plate"):
        create_plate(tmp_path / "p", spec_for((40, 40)))
    assert (tmp_path / "p").read_text() == "something"


_KILLED_BEFORE = """
import os, signal, sys
from pathlib import Path
from hts.store import create_plate
from tests.store.plates import spec_for
rename = os.replace
def kill(old, new):
    if Path(new).name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(old, new)
os.replace = kill
create_plate(Path(sys.argv[1]), spec_for((40, 40), ngff=sys.argv[3]))
"""


@pytest.mark.parametrize(("document", "version"), [("zarr.json", "0.5"), (".zgroup", "0.4"), (".zattrs", "0.4")])
def test_a_process_that_is_killed_before_its_first_document_is_whole_blocks_nothing(tmp_path, document, version):
    done = run_python(_KILLED_BEFORE, tmp_path / "p", document, version)
    assert done.returncode == -9
    assert (tmp_path / "p" / f".{document}.part").exists()
    spec = spec_for((40, 40), ngff=version)
    assert write_one(tmp_path / "p", spec, stack(spec)).read_plane("DNA").any()
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", ["out.ozx", "out.zip", "OUT.ZIP"])
def test_a_plate_is_never_made_under_the_name_of_a_zip_file(tmp_path, name):
    for refuse in (lambda place: create_plate(place, spec_for((40, 40))), refuse_other_files):
        with pytest.raises(StoreError, match=rf"{name} can be written\n  found: a zip file.*read-only"):
            refuse(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.complex64, "M8[s]", object, "U3"])
def test_pixels_that_are_no_numbers_on_a_line_are_refused(tmp_path, dtype):
    with pytest.raises(UsageError, match="pixels that are integers, floats or true and false\n  found: "):
        create_plate(tmp_path / "p", spec_for((40, 40), pixel_size=None, dtype=np.dtype(dtype)))
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_planes_of_true_and_false_are_kept_with_their_pyramid(tmp_path, version):
    spec = spec_for((301, 300), bool, ngff=version)
    values = np.random.default_rng(0).random((1, 2, 1, 301, 300)) < 0.5
    field = write_one(tmp_path / "p", spec, values)
    np.testing.assert_array_equal(field.read_plane("Actin"), values[0, 1, 0])
    half = field.read_plane("Actin", level=1)
    means = np.pad(values[0, 1, 0], ((0, 1), (0, 0)), mode="edge").reshape(151, 2, 150, 2).mean((1, 3))
    np.testing.assert_array_equal(half, means >= 0.5)
    assert half.dtype == bool
    window = field.attributes["ome"]["omero"]["channels"][0]["window"]
    assert window == {"start": 0.0, "end": 1.0, "min": 0.0, "max": 1.0}


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_every_folder_is_made_once_and_without_failing_tries(tmp_path, monkeypatch, version):
    """Calls to the system are what a plane costs besides its compression."""
    spec = spec_for((1100, 300), n_z=2, ngff=version)
    create_plate(tmp_path / "p", spec)
    made, opened = [], []
    mkdir, true_open = os.mkdir, open
    monkeypatch.setattr(os, "mkdir", lambda path, *how: (made.append(str(path)), mkdir(path, *how)))
    monkeypatch.setattr(
        "builtins.open", lambda path, *how, **more: (opened.append(path), true_open(path, *how, **more))[1]
    )
    write_field(tmp_path / "p", spec, FieldImage(KEY, planes_of(stack(spec))))
    monkeypatch.undo()
    folder = tmp_path / "p" / "B" / "03" / "1"
    assert sorted(made) == sorted(str(path) for path in (folder, *folder.rglob("*")) if path.is_dir())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len([path for path in opened if str(path).startswith(str(folder))]) == len(files)


def test_the_image_document_comes_last(tmp_path):
    """A conversion that is killed leaves no field that looks whole."""
    spec = spec_for((40, 40))
    create_plate(tmp_path / "p", spec)

    def breaking():
        yield (0, 0, 0), stack(spec)[0, 0, 0]
        raise KeyboardInterrupt("by hand")

    with pytest.raises(KeyboardInterrupt, match="by hand"):
        write_field(tmp_path / "p", spec, FieldImage(KEY, breaking()))
    assert not (tmp_path / "p" / "B" / "03" / "1" / "zarr.json").exists()
    assert (tmp_path / "p" / "B" / "03" / "1" / "0" / "zarr.json").exists()


def test_contrast_leaves_out_the_tails():
    plane = np.arange(1000, dtype=np.uint16).reshape(25, 40)
    start, end = contrast(plane)
    assert (start, end) == pytest.approx((999 * 0.005, 999 * 0.998))
    assert contrast(np.full((9, 9), 7, np.uint8)) == (7.0, 8.0)


def test_contrast_of_floats_that_are_no_numbers():
    plane = np.full((20, 20), np.nan, np.float32)
    assert contrast(plane) == (0.0, 1.0)
    plane[:10], plane[10, 10] = 5, np.inf
    assert contrast(plane) == (5.0, 6.0)


def test_a_plane_with_nan_is_kept_and_its_document_is_json(tmp_path):
    spec = spec_for((40, 40), np.float32)
    values = stack(spec)
    values[0, 0, 0, 3, 4] = np.nan
    field = write_one(tmp_path / "p", spec, values)
    np.testing.assert_array_equal(field.read_plane("DNA"), values[0, 0, 0])
    text = (field.location / "zarr.json").read_text("utf-8")
    windows = [channel["window"] for channel in json.loads(text)["attributes"]["ome"]["omero"]["channels"]]
    assert all(np.isfinite(list(window.values())).all() for window in windows)


def test_contrast_window_covers_all_planes_of_a_channel(tmp_path):
    spec = spec_for((40, 40), n_z=2)
    values = np.ones((1, 2, 2, 40, 40), np.uint16)
    values[0, 0, 1] = 900
    field = write_one(tmp_path / "p", spec, values)
    windows = [channel["window"] for channel in field.attributes["ome"]["omero"]["channels"]]
    assert windows[0] == {"start": 1.0, "end": 901.0, "min": 0.0, "max": 65535.0}
    assert windows[1]["end"] == 2.0


def test_a_channel_without_planes_gets_the_full_range(tmp_path):
    spec = spec_for((40, 40))
    create_plate(tmp_path / "p", spec)
    without = {(0, 1, 0)}
    write_field(tmp_path / "p", spec, FieldImage(KEY, planes_of(stack(spec), without)))
    field = Plate.open(tmp_path / "p")[WELL].fields[0]
    assert field.attributes["ome"]["omero"]["channels"][1]["window"]["end"] == 65535.0


_WRITE_WITH_LIMIT = """
import resource, sys
from pathlib import Path
from hts.store import FieldImage, create_plate, write_field
from tests.store.plates import KEY, planes_of, spec_for, stack
spec = spec_for((600, 600))
path = Path(sys.argv[1])
create_plate(path, spec)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_field(path, spec, FieldImage(KEY, planes_of(stack(spec))))
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_takes_no_more_pixels_is_one_clear_error(tmp_path):
    """The system refuses files over a limit: a real failure in the middle of a shard."""
    done = run_python(_WRITE_WITH_LIMIT, tmp_path / "p")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f"StoreError {tmp_path / 'p' / 'B' / '03' / '1' / '0' / 'c'}/0/0/0/0/0 can be written\n"
    )
    assert "File too large" in done.stdout
    assert not (tmp_path / "p" / "B" / "03" / "1" / "zarr.json").exists()


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_only_markers_and_tables_wait_for_the_disk(tmp_path, monkeypatch, version):
    """A flush costs more than a document: 21,000 of them would take minutes."""
    flushed = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    spec = spec_for((300, 300), ngff=version)
    field = write_one(tmp_path / "p", spec, stack(spec))
    write_labels(field, {"nuclei-00000001": np.ones((300, 300), np.int32)})
    list_labels(field, ["nuclei-00000001"])
    assert flushed == []
    Markers(tmp_path, "measure", "0123456789ab").commit("B03", {})
    assert len(flushed) == 2


def test_writing_holds_a_few_planes_whatever_their_number(tmp_path):
    """Peak of what Python allocates, for 4 and for 24 planes."""
    peaks = []
    for n_z in (2, 12):
        spec = spec_for((600, 600), n_z=n_z)
        plane = stack(spec_for((600, 600)))[0, 0, 0]
        create_plate(tmp_path / str(n_z), spec)
        tracemalloc.start()
        planes = ((index, plane.copy()) for index in np.ndindex(1, 2, n_z))
        write_field(tmp_path / str(n_z), spec, FieldImage(KEY, planes))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + plane.nbytes // 2
    assert peaks[1] < 12 * plane.nbytes
