"""Real images with the outlines of their nuclei, one way to read them for every benchmark.

    for image, truth, name in load("dsb2018_stage1_test", data_dir): ...

The folder is the one of the real data (see its README); nothing of it is part of this project. Only images whose
every nucleus is outlined are given: of GOWT1 that is four frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.io import imread

Files = tuple[Path, Path, str]


class Example(NamedTuple):
    """A plane (Y, X) as acquired, or the float32 mean of its three colours; its labels (Y, X) int32; its name."""

    image: NDArray[Any]
    truth: NDArray[np.int32]
    id: str


def load(name: str, data_dir: Path | str) -> Iterator[Example]:
    """The images of a set of `SETS`, in the order of their names.

    Raises
    ------
    KeyError
        when there is no set of this name.
    FileNotFoundError
        when the folder of the data does not have it.
    """
    folder = Path(data_dir) / name
    files = list(SETS[name](folder))
    if not files:
        raise FileNotFoundError(f"{folder} has no images of {name}")
    for picture, outlines, label in files:
        image, truth = gray(_read(picture)), _read(outlines)
        if image.shape != truth.shape:
            raise ValueError(f"{picture} is {image.shape}, its labels are {truth.shape}")
        yield Example(image, truth.astype(np.int32), label)


def gray(image: NDArray[Any]) -> NDArray[Any]:
    """A plane as it is; RGB and RGBA as the float32 mean of the three colours (the fourth channel is no light)."""
    return image if image.ndim == 2 else image[..., :3].mean(axis=-1, dtype=np.float32)


def _read(path: Path) -> NDArray[Any]:
    return np.asarray(imread(path) if path.suffix == ".png" else tifffile.imread(path))


def _science_bowl(folder: Path) -> Iterator[Files]:
    for labels in sorted((folder / "labels_derived").glob("*.png")):
        yield folder / "images" / labels.name, labels, labels.stem[:12]


def _stardist(folder: Path) -> Iterator[Files]:
    for image in sorted(folder.rglob("img2d.tif")):
        yield image, image.with_name("mask2d.tif"), "-".join(image.relative_to(folder).parts[:-1])


def _tracking(*frames: int) -> Callable[[Path], Iterator[Files]]:
    """Frames of sequence 01 of the Cell Tracking Challenge: those given, else all that have outlines."""

    def files(folder: Path) -> Iterator[Files]:
        for labels in sorted((folder / "01_GT" / "SEG").glob("man_seg*.tif")):
            number = labels.stem.removeprefix("man_seg")
            if not frames or int(number) in frames:
                yield folder / "01" / f"t{number}.tif", labels, f"t{number}"

    return files


SETS: dict[str, Callable[[Path], Iterator[Files]]] = {
    "dsb2018_stage1_test": _science_bowl,
    "stardist_demo": _stardist,
    "ctc_sim_plus_01": _tracking(),
    "ctc_gowt1": _tracking(21, 31, 33, 39),
}
