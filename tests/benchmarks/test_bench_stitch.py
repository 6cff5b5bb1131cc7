"""The benchmark of stitching runs, small; ours must join nothing and lose least."""

from __future__ import annotations

import json

import pytest

from benchmarks import bench_stitch


def test_stitching_beside_its_peers(capsys):
    pytest.importorskip("dask_image", reason="a peer of the benchmark only")
    pytest.importorskip("dask_jobqueue", reason="a peer of the benchmark only")
    assert bench_stitch.main(["--small", "--repeats", "1"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    scores = json.loads(line)["scores"]
    assert scores["none"]["hts"] == {"true": 1000, "found": 1000, "lost": 0, "split": 0, "merged": 0}
    assert scores["dropped and split"]["hts"]["merged"] == 0
    assert scores["and joined"]["hts"]["merged"] < scores["and joined"]["sopa's rule"]["merged"]
    assert "equal rank" in scores["none"]["cellpose, as shipped"]
