"""The diameter of objects: from the style of images by Cellpose's size model, and from the objects found."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StageError
from hts.stages.segment.networks.weights import Weights

MIN_STYLE_DIAMETER_PX = 5.0
"""The size model never says less (cellpose 3, ``SizeModel``)."""
FEWEST_OBJECTS = 5
"""With fewer objects at the diameter of training, other diameters are tried."""
_OTHER_SCALES = (0.5, 2.0)
_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


@dataclass(frozen=True)
class SizeModel:
    """A linear regression from the style of an image to the logarithm of the diameter of its objects.

    ``log(diameter / diam_mean) = a · (style - smean) + ymean``; arrays (k,) float64.
    """

    a: NDArray[np.float64]
    style_mean: NDArray[np.float64]
    log_mean: float
    diameter_mean_px: float

    def diameter_px(self, style: NDArray[Any]) -> float:
        """Diameter of the objects of an image with this style (k,), in its pixels at the scale that it was run at.

        Raises
        ------
        StageError
            when the style is that of another network.
        """
        if style.shape != self.a.shape:
            raise StageError(
                f"a style of {self.a.size} numbers, as the size model takes",
                found=str(style.size),
                cause="the size model belongs to another network",
            )
        log_ratio = float(self.a @ (style.astype(np.float64) - self.style_mean)) + self.log_mean
        estimate = float(np.exp(log_ratio)) * self.diameter_mean_px
        return max(MIN_STYLE_DIAMETER_PX, estimate) if np.isfinite(estimate) else self.diameter_mean_px


class _OnlyArrays(pickle.Unpickler):
    """Reads arrays and numbers and refuses everything else: a file of weights is data, not a program."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return super().find_class(module, name)


def load_size_model(path: Path) -> SizeModel:
    """A size model in Cellpose's format: a ``.npy`` file of one dictionary with A, smean, ymean and diam_mean.

    Raises
    ------
    StageError
        when the file is something else; nothing in it is executed.
    """
    try:
        with open(path, "rb") as file:
            shape, dtype = _header(file)
            if shape != () or dtype != np.dtype(object):
                raise ValueError(f"an array of {dtype}, shape {shape}")
            content = _OnlyArrays(file).load()
            params = content.item() if isinstance(content, np.ndarray) else content
            return SizeModel(
                _vector(params["A"]), _vector(params["smean"]), _number(params["ymean"]), _number(params["diam_mean"])
            )
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        pickle.UnpicklingError,
    ) as error:
        raise StageError(
            f"{path} is a size model of Cellpose: a dictionary with A, smean, ymean and diam_mean",
            found=f"{type(error).__name__}: {error}",
            cause="a truncated download, or a file of another kind",
        ) from error


def save_size_model(path: Path, model: SizeModel) -> None:
    """Write `model` in Cellpose's format."""
    params: Any = {
        "A": model.a,
        "smean": model.style_mean,
        "ymean": model.log_mean,
        "diam_mean": model.diameter_mean_px,
    }
    with open(path, "wb") as file:
        np.save(file, params, allow_pickle=True)


def size_model_of(weights: Weights) -> SizeModel | None:
    """The size model that lies beside the weights, if there is one."""
    return load_size_model(weights.size_model) if weights.size_model is not None else None


@dataclass(frozen=True)
class Diameter:
    """An estimate in pixels, the number of objects behind it, and where it comes from.

    ``source``: ``objects`` found, ``style`` (size model only: no objects were found) or ``training`` (nothing known).
    """

    px: float
    n_objects: int
    source: str


Looked = tuple[NDArray[np.float64], NDArray[Any] | None]
"""Areas of the objects found in an image, px² of the image, and its style."""


def estimate_diameter(
    look: Callable[[Any, float], Looked],
    images: Sequence[Any],
    training_px: float,
    size_model: SizeModel | None = None,
) -> Diameter:
    """Median diameter of the objects in a sample of images: looked at, resized accordingly, and looked at again.

    As Cellpose does for single images: the first estimate is the size model's, the second the median diameter of the
    objects found at the first. Without a size model the first comes from the objects found as if they had the diameter
    of training, or half or twice it where hardly any are found.

    Parameters
    ----------
    look : segments an image as if its objects had a diameter in px; gives areas in its own pixels, and the style.
    images : as `look` takes them.
    training_px : diameter that the network was trained at.
    """
    first, source = training_px, "training"
    if size_model is not None:
        styles = [style for _, style in (look(image, training_px) for image in images) if style is not None]
        if styles:
            first, source = float(np.median([size_model.diameter_px(style) for style in styles])), "style"
    else:
        first = _first_guess(look, images, training_px)
    areas = _areas(look, images, first)
    if not areas.size:
        return Diameter(first if source == "style" else training_px, 0, source)
    return Diameter(median_diameter(areas), int(areas.size), "objects")


def median_diameter(areas: NDArray[np.float64]) -> float:
    """Median diameter of the discs with these areas, as Cellpose reckons it."""
    return float(np.median(np.sqrt(areas)) * 2 / np.sqrt(np.pi))


def _first_guess(look: Callable[[Any, float], Looked], images: Sequence[Any], training_px: float) -> float:
    most: NDArray[np.float64] = np.zeros(0)
    for scale in (1.0, *_OTHER_SCALES):
        areas = _areas(look, images, training_px * scale)
        if areas.size > most.size:
            most = areas
        if areas.size >= FEWEST_OBJECTS:
            break
    return median_diameter(most) if most.size else training_px


def _areas(look: Callable[[Any, float], Looked], images: Sequence[Any], diameter_px: float) -> NDArray[np.float64]:
    found = [look(image, diameter_px)[0] for image in images]
    return np.concatenate(found) if found else np.zeros(0)


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    formats: Any = np.lib.format
    read = formats.read_array_header_1_0 if formats.read_magic(file) == (1, 0) else formats.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _vector(value: Any) -> NDArray[np.float64]:
    return np.asarray(value, np.float64).reshape(-1)


def _number(value: Any) -> float:
    return float(np.asarray(value, np.float64).reshape(-1)[0])
