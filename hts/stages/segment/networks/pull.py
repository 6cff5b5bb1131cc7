"""Models fetched from where Cellpose publishes them: the only thing in segmentation that touches a network.

Names and addresses are read from the installed library (its module ``models``), so that each generation's own are used.
"""

from __future__ import annotations

import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hts.errors import NotFoundError, SourceError, StageError
from hts.stages.segment.networks.size import load_size_model
from hts.stages.segment.networks.weights import BUILTIN, Weights, file_of, find_weights, kind_of, models_folder

_TIMEOUT_S = 60.0
_WITH_SIZE_MODEL = ("cyto", "cyto2", "cyto3", "nuclei")
"""Models of cellpose 3 that have a size model (``models.size_model_path``)."""


@dataclass(frozen=True)
class Published:
    """A model that the installed library knows: its name, the address of its file, and that of its size model."""

    name: str
    address: str
    size_address: str | None = None


def published_models() -> tuple[Published, ...]:
    """The models that the installed cellpose publishes.

    Raises
    ------
    NotFoundError
        when cellpose cannot be imported.
    """
    try:
        from cellpose import models
    except ImportError as error:
        raise NotFoundError(
            "cellpose, which knows where its models are published", found=str(error), fix="pip install cellpose"
        ) from error
    base = str(models._MODEL_URL).rstrip("/")
    has_sizes = hasattr(models, "size_model_path")
    # The transformers of generation 3 are of an architecture of their own that nobody runs any more.
    names = [name for name in dict.fromkeys(models.MODEL_NAMES) if "transformer" not in name]
    return tuple(_published(name, base, has_sizes) for name in names)


def _published(name: str, base: str, has_sizes: bool) -> Published:
    sized = has_sizes and name in _WITH_SIZE_MODEL
    return Published(name, f"{base}/{file_of(name)}", f"{base}/size_{file_of(name)}.npy" if sized else None)


def pull(name: str, force: bool = False) -> Weights:
    """Fetch a model and its size model into our folder of models; what is there already is kept unless `force`.

    A file appears under its name when it is whole and can be read, not before.

    Raises
    ------
    NotFoundError
        when the installed library knows no such model.
    SourceError
        when it cannot be fetched.
    StageError
        when what was fetched is no network that we can run.
    """
    if name.startswith(BUILTIN):
        return find_weights(name)
    known = {model.name: model for model in published_models()}
    if name not in known:
        raise NotFoundError(f"one of the models {', '.join(known)}", found=repr(name), fix=_other_generation(name))
    folder, model = models_folder(), known[name]
    folder.mkdir(parents=True, exist_ok=True)
    if model.size_address is not None:
        _fetch(model.size_address, folder / f"size_{file_of(name)}.npy", load_size_model, force)
    _fetch(model.address, folder / file_of(name), kind_of, force)
    return find_weights(name)


def _other_generation(name: str) -> str:
    if name.startswith(("cpsam", "cpdino")):
        return "pip install 'cellpose>=4,<5' for models of generation 4"
    return "models of generations 1 to 3 are known to cellpose 3; or give the path of a file"


def _fetch(address: str, target: Path, check: Any, force: bool) -> None:
    """Fetch to a temporary file beside the target, look whether it can be read, and move it there."""
    if target.is_file() and not force:
        return
    with _temporary(target) as (path, file):
        try:
            # The library gives http and https addresses only; certificates are checked, as they are by default.
            with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response:
                expected = response.headers.get("Content-Length")
                shutil.copyfileobj(response, file, 1 << 20)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise SourceError(
                f"{address} can be fetched", found=str(error), fix=f"fetch it elsewhere and put it at {target}"
            ) from error
        file.flush()
        size = path.stat().st_size
        if expected is not None and size != int(expected):
            raise SourceError(f"{expected} bytes of {address}", found=f"{size} bytes", cause="a connection that broke")
        try:
            check(path)
        except StageError as error:
            raise StageError(f"a model at {address}", found=str(error), cause="an address that has moved") from error
        path.replace(target)


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file beside `target` that is gone afterwards unless it was moved."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part", delete=False) as file:
        path = Path(file.name)
        try:
            yield path, file
        finally:
            path.unlink(missing_ok=True)
