"""The table of segmenters on real images, small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import real_sets, verify_models


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "images", "objects"),
    [
        ("dsb2018_stage1_test", 23, 1443),
        ("stardist_demo", 2, 190),
        ("ctc_sim_plus_01", 65, 2607),
        ("ctc_gowt1", 4, 96),
    ],
)
def test_real_sets(data_dir: Path, name: str, images: int, objects: int):
    found = list(real_sets.load(name, data_dir))
    assert (len(found), len({one.id for one in found})) == (images, images)
    assert all(one.image.shape == one.truth.shape and one.image.ndim == 2 for one in found)
    assert sum(len(np.unique(one.truth)) - 1 for one in found) == objects


def test_sets_that_are_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="has no images of stardist_demo"):
        next(real_sets.load("stardist_demo", tmp_path))


@pytest.mark.real
def test_the_table(data_dir: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [str(data_dir), "--models", "threshold", "--sets", "stardist_demo", "cp_sbs_96well", "--every", "48"]
    assert verify_models.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scored"][0]["f1"] > 0.7
    assert told["without_outlines"][0]["images"] == 2
    assert 0 < told["without_outlines"][0]["implausible"] < 0.2
    assert verify_models.main(arguments) == 0
    assert "| stardist_demo | threshold | 2 | 190 |" in capsys.readouterr().out
