from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from hts.cli.app import app


def test_a_microscope_with_stacks_can_be_asked_for(tmp_path: Path) -> None:
    options = "--wells B02 --fields 1 --size-px 128 --cells 20 --microscope imagexpress_db --z-planes 2 --time-points 2"
    done = CliRunner().invoke(app, ["synth", str(tmp_path / "made"), *options.split(), "--json"])
    assert done.exit_code == 0, done.output
    plate = Path(json.loads(done.stdout)["plate"])
    steps = {path.relative_to(plate).as_posix() for path in plate.glob("*/*/*/ZStep_*")}
    assert steps == {f"2024-01-15/1001/TimePoint_{t}/ZStep_{z}" for t in (1, 2) for z in (1, 2)}
