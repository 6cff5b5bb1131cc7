"""``hts train cellpose``: a small model from a recipe of one's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from typer.testing import CliRunner

from hts.cli.app import app

TINY = """
target: cells
widths: [4, 8]
diameter_px: 30
steps: 2
batch: 1
crop_px: 32
scene_px: 48
pool: 2
validate_every: 1
validation_scenes: 1
"""


def train(*arguments: str):
    return CliRunner().invoke(app, ["train", "cellpose", *arguments])


def test_a_model_is_made_and_said_where_it_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hts.train.cellpose.make.train_size.__defaults__", (6,))
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = train(str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "model"), "--device", "cpu", "--json")
    assert done.exit_code == 0, done.stderr
    made = json.loads(done.stdout)
    weights = Path(made["weights"])
    assert made["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert sorted(path.name for path in weights.parent.iterdir()) == [
        "log.csv",
        "recipe.yaml",
        "weights.pt",
        "weights_size.npy",
    ]
    assert "2 of 2 batches on cpu" in done.stderr


def test_an_unknown_recipe_or_key_is_wrong_usage(tmp_path: Path) -> None:
    assert train("yeast", "--out", str(tmp_path / "m")).exit_code == 2
    done = train("nuclei", "--out", str(tmp_path / "m"), "--set", "stepz=3")
    assert done.exit_code == 2
    assert "stepz" in done.stderr
