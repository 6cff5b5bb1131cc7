"""The benchmark of flows to masks runs, small, and finds cellpose's masks."""

from __future__ import annotations

import json

import pytest

from benchmarks import bench_flows


@pytest.mark.parametrize("device", [None, "cpu"])
def test_small_benchmark(device, capsys):
    where = [] if device is None else ["--device", device]
    assert bench_flows.main(["--small", "--rounds", "1", *where]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[0])
    assert result["f1_at_0.9"] == 1
    assert result["our_objects"] == result["peer_objects"] > 10
    if device is None:
        assert result["steps_equal_the_whole"]
        assert set(result["ratio"]) == {"follow", "sinks", "flow errors", "holes and small", "all"}
    else:
        assert result["device_equals_host"]["f1_at_0.9"] == 1
