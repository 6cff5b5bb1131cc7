"""The benchmark of large fields runs, small: both paths give the same objects."""

from __future__ import annotations

import json

from benchmarks import bench_large_field


def test_blocks_beside_the_whole_field(capsys):
    assert bench_large_field.main(["--side", "700", "--block", "256"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    result = json.loads(line)
    assert result["agreement"]["identical"] == result["blocks"]["nuclei"] == result["whole"]["nuclei"] > 150
    assert result["blocks"]["seams"]["cut_objects"] == 0
