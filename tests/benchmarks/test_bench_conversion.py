"""The benchmarks of conversion run, small; the values are compared inside, no time is looked at."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from benchmarks import bench_convert, bench_memory_and_scaling, bench_metadata
from benchmarks._plates import PlateSize


def _result(text: str) -> dict:
    (line,) = [line for line in text.splitlines() if line.startswith("{")]
    return json.loads(line)


def test_conversion_beside_its_peers(capsys):
    assert bench_convert.main(["--quick", "--compression", "lzw"]) == 0
    result = _result(capsys.readouterr().out)
    assert result["planes"] == 20
    assert set(result["ways"]) == {"ome-zarr-py", "ome-zarr-py, default levels", "ngio"}
    assert {name for name in result["ratios"] if name.startswith("share")} == {
        "share_of_limit",
        "share_of_limit_without_start",
        "share_of_limit_without_levels",
    }


def test_metadata(capsys):
    assert bench_metadata.main(["--quick"]) == 0
    result = _result(capsys.readouterr().out)
    assert result["fields"] == 54
    # The plate, its rows, its wells, its images, and five levels of each.
    assert result["files"] == 1 + 2 + 6 + 54 * (1 + 5)


def test_memory_and_scaling(capsys):
    assert bench_memory_and_scaling.main(["--quick", "--workers", "2"]) == 0
    rows = _result(capsys.readouterr().out)["rows"]
    assert [row["planes"] for row in rows] == [10, 20]
    assert all(row["peak_mb"] > 1 for row in rows)


def test_a_contestant_that_changes_a_pixel_has_no_time(tmp_path):
    plane = np.arange(64, dtype=np.uint16).reshape(8, 8)
    tifffile.imwrite(tmp_path / "plane.tif", plane)
    ring = SimpleNamespace(fields=[[str(tmp_path / "plane.tif")]])
    bench_convert._compare(ring, [plane[None]])
    with pytest.raises(ValueError, match=r"plane\.tif was not written as it is"):
        bench_convert._compare(ring, [plane[None] + 1])


def test_a_peer_that_writes_other_chunks_has_no_time():
    ring = SimpleNamespace(size=PlateSize(1, side_px=256))
    codec = SimpleNamespace(to_dict=lambda: {"configuration": bench_convert.CODEC})
    levels = [
        SimpleNamespace(shape=(5, side, side), chunks=(1, side, side), compressors=(codec,)) for side in (256, 128)
    ]
    bench_convert._compare_form(ring, levels)
    levels[1].chunks = (1, 64, 64)
    with pytest.raises(ValueError, match="chunks of 128²"):
        bench_convert._compare_form(ring, levels)
    with pytest.raises(ValueError, match="1 levels were written instead of 2"):
        bench_convert._compare_form(ring, levels[:1])
