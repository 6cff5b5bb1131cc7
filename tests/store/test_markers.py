from __future__ import annotations

import errno
from pathlib import Path

import pytest

from hts.errors import StoreError
from hts.store import Markers
from tests.store.plates import run_python


@pytest.fixture
def markers(tmp_path) -> Markers:
    return Markers(tmp_path, "measure", "0123456789ab")


def test_commit_read_units_discard(markers):
    assert markers.units() == frozenset()
    assert markers.read("B03") is None
    markers.commit("B03", {"cells": 12, "note": "β"})
    markers.commit("C11", {})
    assert markers.read("B03") == {"cells": 12, "note": "β"}
    assert markers.read("C11") == {}
    assert markers.units() == {"B03", "C11"}
    markers.commit("B03", {"cells": 13})
    assert markers.read("B03") == {"cells": 13}
    markers.discard("B03")
    markers.discard("B03")
    assert markers.read("B03") is None
    assert markers.units() == {"C11"}


def test_markers_of_another_fingerprint_or_stage_do_not_count(markers, tmp_path):
    markers.commit("B03", {})
    assert Markers(tmp_path, "measure", "ba9876543210").read("B03") is None
    assert Markers(tmp_path, "segment", "0123456789ab").units() == frozenset()
    assert (tmp_path / "markers" / "measure-0123456789ab" / "B03.json").is_file()


@pytest.mark.parametrize("content", [b"", b"{", b'{"cells": 1', b"[1]", b"null", b"\x00\x00\x00", b"\xff\xfe"])
def test_a_damaged_marker_counts_as_none(markers, content):
    markers.commit("B03", {"cells": 1})
    (markers.folder / "B03.json").write_bytes(content)
    assert markers.read("B03") is None


def test_half_written_temporaries_are_no_units(markers):
    markers.commit("B03", {})
    (markers.folder / ".C11.json.k2j4h5").write_bytes(b"{")
    (markers.folder / ".D04.json").write_bytes(b"{}")
    assert markers.units() == {"B03"}


def test_discard_says_when_the_disk_refuses(markers, monkeypatch):
    markers.commit("B03", {})

    def refuse(path, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match=r"B03.json can be written\n.*\n  likely cause: the file system is read-only"):
        markers.discard("B03")


# The parent imports once and forks a writer for every kill; each writer says by a pipe that it has begun.
_KILL_WRITERS = """
import json, os, random, signal, sys, time
from pathlib import Path
import pandas as pd
from hts.store import Markers, write_table

root = Path(sys.argv[1])
markers = Markers(root, "measure", "f" * 12)
filler = "x" * 300_000
areas = [float(i % 977) for i in range(20_000)]
frame = pd.DataFrame({"Metadata_Well": "B03", "Nuclei_AreaShape_Area": areas})
write_table(root / "warm.parquet", frame)
random.seed(5)
for attempt in range(10):
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        round = 0
        while True:
            for well in ("A01", "A02", "A03"):
                write_table(root / f"{well}.parquet", frame)
                markers.commit(well, {"filler": filler, "whole": True})
                os.write(begun, b".")
    os.close(begun)
    os.read(ready, 1)
    time.sleep(random.uniform(0.0, 0.06))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    os.close(ready)
    for file in sorted(markers.folder.glob("*.json")):
        if not file.name.startswith("."):
            assert json.loads(file.read_bytes()) == {"filler": filler, "whole": True}, (attempt, file)
    for well in markers.units():
        assert pd.read_parquet(root / f"{well}.parquet").equals(frame), (attempt, well)
    for file in sorted(root.glob("*.parquet")):
        assert pd.read_parquet(file).equals(frame), (attempt, file)
print("whole", len(markers.units()))
"""


def test_a_killed_process_never_leaves_a_torn_marker_or_table(tmp_path):
    done = run_python(_KILL_WRITERS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("whole ")
