"""Weights by name, in their folders, with their hash; everything that is no network is refused and nothing executed."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hts.errors import NotFoundError, StageError
from hts.stages.segment.networks import weights as module
from hts.stages.segment.networks.weights import (
    builtin_names,
    find_weights,
    installed_names,
    library_folder,
    load_state,
    models_folder,
)
from tests.stages.segment.checkpoints import random_state, save


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Ours and cellpose's folder of models, both empty."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    monkeypatch.setenv("HTS_MODELS", str(ours))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(theirs))
    return ours, theirs


def test_a_path_with_its_hash_and_what_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.pt", widths=(8, 16), diameter_px=21.5)
    found = find_weights(str(path))
    assert found.path == path
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.kind, found.diameter_px, found.width, found.size_model) == ("unet", 21.5, 8, None)
    assert found.to_json()["bytes"] == path.stat().st_size


def test_names_are_looked_up_in_our_folder_first_then_in_that_of_the_library(folders: tuple[Path, Path]) -> None:
    ours, theirs = folders
    save(theirs / "cyto3", seed=1)
    assert find_weights("cyto3").path == theirs / "cyto3"
    save(ours / "cyto3", seed=2)
    assert find_weights("cyto3").path == ours / "cyto3"
    assert find_weights("cyto3").sha256 != find_weights(str(theirs / "cyto3")).sha256


def test_published_files_with_other_names_than_their_models(folders: tuple[Path, Path]) -> None:
    save(folders[1] / "cyto2torch_0")
    save(folders[1] / "nucleitorch_0", diameter_px=30.0)
    (folders[1] / "size_cyto2torch_0.npy").write_bytes(b"")
    (folders[1] / "gui_models.txt").write_text("mine\n")
    assert find_weights("cyto2").size_model == folders[1] / "size_cyto2torch_0.npy"
    assert find_weights("nuclei").diameter_px == 17.0
    assert installed_names() == ("cyto2", "nuclei")


@pytest.mark.parametrize(
    ("file", "size"),
    [
        ("mine.pt", "mine.pt_size.npy"),
        ("mine.pt", "mine_size.npy"),
        ("mine", "size_mine.npy"),
        ("weights.pt", "size.npy"),
    ],
)
def test_where_a_size_model_may_lie(tmp_path: Path, file: str, size: str) -> None:
    save(tmp_path / file)
    (tmp_path / size).write_bytes(b"")
    assert find_weights(str(tmp_path / file)).size_model == tmp_path / size


def test_a_size_model_without_a_name_belongs_to_trained_weights_only(tmp_path: Path) -> None:
    save(tmp_path / "mine.pt")
    (tmp_path / "size.npy").write_bytes(b"")
    assert find_weights(str(tmp_path / "mine.pt")).size_model is None


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.pt", seed=1)
    first = find_weights(str(path))
    save(path, seed=2, widths=(4, 8, 16))
    os.utime(path, ns=(1, 1))
    second = find_weights(str(path))
    assert (first.width, second.width) == (8, 4)
    assert first.sha256 != second.sha256


def test_shipped_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUILTIN_FOLDER", tmp_path)
    save(tmp_path / "nuclei.pt")
    (tmp_path / "nuclei_size.npy").write_bytes(b"")
    assert builtin_names() == ("builtin:nuclei",)
    found = find_weights("builtin:nuclei")
    assert (found.name, found.size_model) == ("builtin:nuclei", tmp_path / "nuclei_size.npy")
    with pytest.raises(NotFoundError, match="one of the models that are shipped: builtin:nuclei\n  found: 'builtin:x'"):
        find_weights("builtin:x")
    with pytest.raises(NotFoundError, match="shipped"):
        find_weights("builtin:../../../etc/passwd")


def test_what_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    save(tmp_path / "ours" / "other")
    with pytest.raises(
        NotFoundError, match=r"(?s)the model 'cyto3' in .*ours or .*theirs.*other.*hts models pull cyto3"
    ):
        find_weights("cyto3")
    with pytest.raises(NotFoundError, match=r"a file of weights\n  found: nothing at .*none\.pt"):
        find_weights(str(tmp_path / "none.pt"))
    with pytest.raises(NotFoundError, match=r"nothing at mine\.pt"):
        find_weights("mine.pt")


def test_parameters_of_parallel_training_lose_their_prefix(tmp_path: Path) -> None:
    state = random_state()
    path = save(tmp_path / "parallel.pt", {f"module.{name}": value for name, value in state.items()})
    assert load_state(path).keys() == state.keys()
    assert find_weights(str(path)).kind == "unet"


def test_files_in_torchs_old_format_are_read(tmp_path: Path) -> None:
    torch.save(random_state(), tmp_path / "old", _use_new_zipfile_serialization=False)
    assert find_weights(str(tmp_path / "old")).width == 8


def test_a_transformer_is_told_from_a_unet(tmp_path: Path) -> None:
    path = save(
        tmp_path / "sam", {"W2": torch.zeros(2), "encoder.pos_embed": torch.zeros(2), "diam_mean": torch.tensor([99.0])}
    )
    found = find_weights(str(path))
    assert (found.kind, found.diameter_px, found.width) == ("transformer", 30.0, 0)


class _Explodes:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def _truncated(path: Path) -> None:
    save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _truncated_old(path: Path) -> None:
    torch.save(random_state(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_truncated, "torch can read.*truncated download"),
        (_truncated_old, "torch can read.*truncated download"),
        (lambda path: path.write_bytes(b""), "torch can read"),
        (lambda path: path.write_text("<html>404</html>"), "torch can read"),
        (lambda path: path.write_bytes(np.random.default_rng(0).bytes(4096)), "torch can read"),
        (lambda path: path.write_bytes(pickle.dumps(_Explodes())), "torch can read"),
        (lambda path: torch.save(_Explodes(), path), "torch can read"),
        (lambda path: torch.save(torch.zeros(3), path), "names and tensors.*Tensor"),
        (lambda path: torch.save({}, path), "names and tensors.*a dictionary of 0"),
        (lambda path: torch.save({"epoch": 3}, path), "names and tensors.*epoch"),
        (lambda path: torch.save({"conv1.weight": torch.zeros(3)}, path), "a network of Cellpose.*conv1.weight"),
    ],
)
def test_everything_else_is_refused_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "bad.pt")  # type: ignore[operator]
    with pytest.raises(StageError, match=f"(?s){message}"):
        find_weights(str(tmp_path / "bad.pt"))
    assert not (tmp_path / "executed").exists()


def test_folders_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTS_MODELS", "CELLPOSE_LOCAL_MODELS_PATH", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_folder() == tmp_path / ".local" / "share" / "hts" / "models"
    assert library_folder() == tmp_path / ".cellpose" / "models"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert models_folder() == tmp_path / "data" / "hts" / "models"
    assert installed_names() == ()
