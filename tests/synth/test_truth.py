from __future__ import annotations

import shutil

import pytest

from hts.errors import NotFoundError, StoreError
from hts.synth import SynthSpec, Truth, write_plate

SPEC = SynthSpec(wells="B02-B05", fields=1, size_px=128, channels=1, cells_per_field=40)


def test_truth_is_found_again_even_when_moved(tmp_path):
    truth = write_plate(tmp_path / "plate", SPEC)
    assert Truth.load(tmp_path / "plate") == truth
    shutil.move(tmp_path / "plate", tmp_path / "moved")
    moved = Truth.load(tmp_path / "moved")
    assert (moved.spec, moved.missing, moved.blurred) == (SPEC, truth.missing, truth.blurred)
    assert moved.cells.exists()
    assert moved.plate == tmp_path / "moved" / "synthetic"


def test_no_plate_there(tmp_path):
    with pytest.raises(NotFoundError, match=r"a synthetic plate in .*\n.*no truth/truth.json"):
        Truth.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"spec": {"seed": -1}}', '{"spec": {}, "missing": [["moon", 1]]}'])
def test_unreadable_truth(tmp_path, text):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "truth.json").write_text(text)
    with pytest.raises(StoreError, match=r"a readable .*truth\.json"):
        Truth.load(tmp_path)
