"""The benchmark runs, small, and finds the values equal."""

from __future__ import annotations

import json

import pytest

from benchmarks import bench_measure


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_small_benchmark(dtype, capsys):
    assert bench_measure.main(["--small", "--dtype", dtype]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[0])
    assert result["equal"]
    assert result["field"]["cells"] == 20
