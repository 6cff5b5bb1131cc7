"""Weights by name or path: where they are, what they are, and the hash that identifies them.

Nothing here touches the network; :mod:`hts.stages.segment.networks.pull` does, when a user asks for it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hts.errors import NotFoundError, StageError

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["unet", "transformer"]

BUILTIN = "builtin:"
_BUILTIN_FOLDER = Path(__file__).parent / "builtin"
_FILE_OF = {"cyto": "cytotorch_0", "cyto2": "cyto2torch_0", "nuclei": "nucleitorch_0"}
"""Models whose published file has another name than the model (cellpose 3, ``models.model_path``)."""
TRAINING_DIAMETER_PX = 30.0
"""Mean diameter of objects in training, where a file does not say another one."""
NUCLEI_DIAMETER_PX = 17.0
"""Cellpose uses its published nuclei model at this diameter, whatever its file says."""
_FIRST_OF_UNET = "downsample.down.res_down_0.conv.conv_0.2.weight"
_READ_ERRORS = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    IndexError,
    struct.error,
    TypeError,
    OSError,
)
"""What torch raises for files that are damaged or no checkpoints."""


@dataclass(frozen=True)
class Weights:
    """A file of weights: what the user called it, its content hash and architecture, and its size model, if any.

    ``diameter_px`` is the mean diameter of objects that it was trained at; ``width`` the channels of a U-Net's finest
    level, from which its memory follows (0 for a transformer).
    """

    name: str
    path: Path
    sha256: str
    kind: Kind
    diameter_px: float
    width: int
    size_model: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name,
            "path": str(self.path),
            "bytes": self.path.stat().st_size,
            "sha256": self.sha256,
            "kind": self.kind,
            "diameter_px": self.diameter_px,
            "size_model": str(self.size_model) if self.size_model else None,
        }


def models_folder() -> Path:
    """Where ``hts models pull`` puts models: ``$HTS_MODELS``, else ``hts/models`` in the user's data folder."""
    given = os.environ.get("HTS_MODELS")
    if given:
        return Path(given).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(data) if data else Path.home() / ".local" / "share") / "hts" / "models"


def library_folder() -> Path:
    """Cellpose's own folder of models: ``$CELLPOSE_LOCAL_MODELS_PATH``, else ``~/.cellpose/models``."""
    given = os.environ.get("CELLPOSE_LOCAL_MODELS_PATH")
    return Path(given) if given else Path.home() / ".cellpose" / "models"


def file_of(name: str) -> str:
    """Name of the published file of a model of the library."""
    return _FILE_OF.get(name, name)


def builtin_names() -> tuple[str, ...]:
    """The models that are shipped: ``builtin:nuclei`` and so on."""
    return tuple(BUILTIN + path.stem for path in sorted(_BUILTIN_FOLDER.glob("*.pt")))


def installed_names() -> tuple[str, ...]:
    """Names of the models that lie in the two folders, sorted."""
    names = {file: name for name, file in _FILE_OF.items()}
    files = [path for folder in (models_folder(), library_folder()) if folder.is_dir() for path in folder.iterdir()]
    found = {
        names.get(path.name, path.name)
        for path in files
        if path.is_file() and path.suffix not in (".npy", ".txt", ".part") and not path.name.startswith((".", "size_"))
    }
    return tuple(sorted(found))


def find_weights(name: str) -> Weights:
    """The weights called `name`.

    Parameters
    ----------
    name : ``builtin:nuclei``; a model's name, looked up in our folder of models and in cellpose's; or a path.

    Raises
    ------
    NotFoundError
        when there is no such file; says how to get it.
    StageError
        when the file is damaged or of another architecture.
    """
    path = _locate(name)
    size_model = next((place for place in _size_places(path) if place.is_file()), None)
    sha256, kind, diameter_px, width = _identify(str(path), path.stat().st_size, path.stat().st_mtime_ns)
    if path.name == _FILE_OF["nuclei"]:
        diameter_px = NUCLEI_DIAMETER_PX
    return Weights(name, path, sha256, kind, diameter_px, width, size_model)


def load_state(path: Path) -> dict[str, Tensor]:
    """The parameters in a checkpoint by name, on the CPU. Nothing in the file is executed.

    Raises
    ------
    StageError
        when the file is damaged or no checkpoint.
    """
    import torch

    try:
        # Mapped into memory: a transformer has a gigabyte, and its names alone are asked for first.
        mapped = zipfile.is_zipfile(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except _READ_ERRORS as error:
        raise StageError(
            f"{path} is a file of weights that torch can read",
            found=f"{type(error).__name__}: {_first_line(error)}",
            cause="a truncated download, or a file of another kind",
            fix="get the file again; for a model of the library: hts models pull NAME --force",
        ) from error
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(value, torch.Tensor) for value in state.values())
    ):
        raise StageError(f"{path} holds a state dictionary: names and tensors", found=_describe(state))
    return {name.removeprefix("module."): value for name, value in state.items()}


def _locate(name: str) -> Path:
    if name.startswith(BUILTIN):
        path = _BUILTIN_FOLDER / f"{name.removeprefix(BUILTIN)}.pt"
        if name in builtin_names():
            return path
        raise NotFoundError(f"one of the models that are shipped: {', '.join(builtin_names())}", found=repr(name))
    if "/" not in name and os.sep not in name:
        for folder in (models_folder(), library_folder()):
            if (folder / file_of(name)).is_file():
                return folder / file_of(name)
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    if path.name != name or path.suffix:
        raise NotFoundError("a file of weights", found=f"nothing at {path}")
    raise NotFoundError(
        f"the model {name!r} in {models_folder()} or {library_folder()}",
        found=f"installed: {', '.join((*builtin_names(), *installed_names())) or 'none'}",
        fix=f"hts models pull {name} (where there is a network; the folder can be copied), or give a path",
    )


def _size_places(path: Path) -> Iterator[Path]:
    """Where a size model may lie: cellpose's names for trained and for published models, and those of ours."""
    yield path.with_name(f"{path.name}_size.npy")
    yield path.with_name(f"size_{path.name}.npy")
    yield path.with_name(f"{path.stem}_size.npy")
    if path.name == "weights.pt":  # of `hts train cellpose`
        yield path.with_name("size.npy")


@functools.lru_cache(maxsize=32)
def _identify(path: str, size_bytes: int, changed_ns: int) -> tuple[str, Kind, float, int]:
    """Hash, architecture, diameter and width of a file; looked at again only when size or time say that it changed."""
    state = load_state(Path(path))
    kind = _kind(Path(path), state)
    given = state.get("diam_mean")
    # A transformer's file carries the diameter, but it is run at 30 px whatever that says (cellpose 4, ``eval``).
    own = kind == "unet" and given is not None and given.numel() == 1
    diameter_px = float(given.float()) if own and given is not None else TRAINING_DIAMETER_PX
    width = int(state[_FIRST_OF_UNET].shape[0]) if kind == "unet" else 0
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), kind, diameter_px, width


def kind_of(path: Path) -> Kind:
    """The architecture of a checkpoint.

    Raises
    ------
    StageError
        when the file is damaged, no checkpoint, or a network that we cannot run.
    """
    return _kind(path, load_state(path))


def _kind(path: Path, state: Mapping[str, Tensor]) -> Kind:
    if _FIRST_OF_UNET in state:
        return "unet"
    if "W2" in state and any(name.startswith("encoder.") for name in state):
        return "transformer"
    raise StageError(
        f"{path} holds a network of Cellpose: a residual U-Net (generations 1 to 3) or a transformer (4)",
        found=f"{len(state)} tensors, the first {sorted(state)[:3]}",
        cause="a checkpoint of another program, or of Cellpose's other backbones",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]


def _describe(state: Any) -> str:
    if isinstance(state, Mapping):
        return f"a dictionary of {len(state)} entries, the first {sorted(map(str, state))[:3]}"
    return type(state).__name__
