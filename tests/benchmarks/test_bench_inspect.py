"""The benchmark runs, small, and hts inspect finds every plane."""

from __future__ import annotations

import json

import pytest

from benchmarks import bench_inspect


def test_small_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_inspect.main(["--small", "imagexpress"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["layout"], result["planes"], result["n"]) == ("imagexpress", 120, 1)
    assert 0 < result["listing_share"] < 1


def test_unknown_layouts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench_inspect.main(["imagexpres"])
    said = capsys.readouterr().err
    assert "unknown layouts imagexpres; known are pattern, " in said
    assert ", imagexpress," in said
