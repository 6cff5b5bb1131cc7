"""The benchmark of the feature catalogue runs, and its values agree with the peers'."""

from __future__ import annotations

import json

from benchmarks import features
from tests.reference.features.table import PEERS


def test_small_benchmark(tmp_path, capsys):
    assert features.main(["--small", "--json", str(tmp_path / "figures.json")]) == 0
    result = json.loads((tmp_path / "figures.json").read_text())
    assert len(result["peers"]) == len(PEERS)
    assert all(row["equal"] and row["values"] > 0 for row in result["peers"])
    assert result["memory"]["field_bytes"] > 0
    assert "everything" in capsys.readouterr().out
