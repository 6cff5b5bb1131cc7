"""``hts models``: what is there, and fetching from a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import typer.testing

from hts.cli.app import app
from hts.errors import NotFoundError, SourceError, StageError
from hts.stages.segment.networks.pull import published_models, pull
from hts.stages.segment.networks.weights import find_weights
from tests.stages.segment.checkpoints import save

models = pytest.importorskip("cellpose.models")
pytestmark = pytest.mark.skipif(
    "cyto3" not in models.MODEL_NAMES, reason="names and addresses here are those of cellpose 3"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our folder of models, not there yet; cellpose's is empty."""
    monkeypatch.setenv("HTS_MODELS", str(tmp_path / "data" / "models"))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "none"))
    return tmp_path / "data" / "models"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the server publishes; cellpose's own address points to it."""
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    yield from _serve(partial(Quiet, directory=str(served)), monkeypatch, served)


def _serve(handler: object, monkeypatch: pytest.MonkeyPatch, result: Path) -> Iterator[Path]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(models, "_MODEL_URL", f"http://127.0.0.1:{server.server_port}/")
    yield result
    server.shutdown()
    server.server_close()
    thread.join()


def _size_model(path: Path) -> None:
    params = {"A": np.zeros(3), "smean": np.zeros(3), "ymean": 0.0, "diam_mean": 30.0}
    np.save(path, params, allow_pickle=True)  # type: ignore[arg-type]


def test_a_model_comes_with_its_size_model(folder: Path, published: Path) -> None:
    save(published / "cyto3", seed=3)
    _size_model(published / "size_cyto3.npy")
    with pytest.raises(NotFoundError, match="hts models pull cyto3"):
        find_weights("cyto3")
    found = pull("cyto3")
    assert (found.path, found.size_model) == (folder / "cyto3", folder / "size_cyto3.npy")
    assert found.path.read_bytes() == (published / "cyto3").read_bytes()
    assert find_weights("cyto3").sha256 == found.sha256
    assert sorted(path.name for path in folder.iterdir()) == ["cyto3", "size_cyto3.npy"]


def test_what_is_there_is_kept_unless_forced(folder: Path, published: Path) -> None:
    save(published / "livecell_cp3", seed=1)
    first = pull("livecell_cp3").sha256
    save(published / "livecell_cp3", seed=2)
    assert pull("livecell_cp3").sha256 == first
    assert pull("livecell_cp3", force=True).sha256 != first


def test_nothing_appears_when_the_fetch_fails(folder: Path, published: Path) -> None:
    with pytest.raises(SourceError, match=r"(?s)http://127.0.0.1:.*/CP can be fetched.*404.*put it at"):
        pull("CP")
    (published / "CP").write_text("<html>moved</html>")
    with pytest.raises(StageError, match=r"(?s)a model at http.*an address that has moved"):
        pull("CP")
    assert list(folder.iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = save(tmp_path / "whole").read_bytes()

    class Breaks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])

        def log_message(self, *_: object) -> None:
            pass

    for _ in _serve(Breaks, monkeypatch, tmp_path):
        with pytest.raises(SourceError, match=f"{len(content)} bytes of .*\n  found: {len(content) // 2} bytes"):
            pull("CP")
    assert list(folder.iterdir()) == []


def test_without_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_MODEL_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="can be fetched"):
        pull("CP")


def test_unknown_names(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"(?s)one of the models cyto3, nuclei.*found: 'cpsam'.*cellpose>=4"):
        pull("cpsam")
    with pytest.raises(NotFoundError, match=r"(?s)found: 'nothing'.*or give the path of a file"):
        pull("nothing")
    names = [model.name for model in published_models()]
    assert len(names) == len(set(names))
    assert not any("transformer" in name for name in names)


def test_addresses_are_those_of_the_library() -> None:
    known = {model.name: model for model in published_models()}
    assert known["cyto2"].address == "https://www.cellpose.org/models/cyto2torch_0"
    assert known["cyto2"].size_address == "https://www.cellpose.org/models/size_cyto2torch_0.npy"
    assert known["CP"].size_address is None


# --- the command line --------------------------------------------------------------------------------------------


def _hts(*words: str) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(app, ["models", *words])


def test_list_show_and_pull(folder: Path, published: Path) -> None:
    save(published / "CP")
    before = json.loads(_hts("list", "--json").stdout)
    assert "CP" in before["can_be_pulled"]
    assert before["folder"] == str(folder)
    assert "CP  (not here; hts models pull CP)" in _hts("list").stdout.splitlines()
    pulled = json.loads(_hts("pull", "CP", "--json").stdout)
    assert pulled["path"] == str(folder / "CP")
    assert "CP" in json.loads(_hts("list", "--json").stdout)["installed"]
    assert "CP" in _hts("list").stdout.splitlines()
    assert json.loads(_hts("show", "CP", "--json").stdout) == pulled
    shown = _hts("show", "CP").stdout
    assert f"sha256       {pulled['sha256']}" in shown
    assert "size_model" not in shown


def test_errors_have_their_exit_codes(folder: Path, tmp_path: Path, published: Path) -> None:
    assert _hts("show", "cyto3").exit_code == 2
    (tmp_path / "bad.pt").write_bytes(b"bad")
    assert _hts("show", str(tmp_path / "bad.pt")).exit_code == 1
    failed = _hts("pull", "CP", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["kind"] == "SourceError"
