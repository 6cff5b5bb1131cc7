"""NumPy or CuPy: the only module that knows there are two.

The array decides: code that got its functions from here runs on whatever array it was given.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_on_gpu(array: Any) -> bool:
    """Whether `array` is a CuPy array; never imports CuPy."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def ndimage(array: Any) -> ModuleType:
    """The n-dimensional filters for `array`: ``scipy.ndimage`` or ``cupyx.scipy.ndimage``."""
    if is_on_gpu(array):
        import cupyx.scipy.ndimage as gpu_filters

        return gpu_filters  # type: ignore[no-any-return]
    import scipy.ndimage as filters

    return filters  # type: ignore[no-any-return]


def to_gpu(array: Any) -> Any:
    """`array` as a CuPy array where CuPy is installed; itself where it is not.

    For callers that know there is a GPU: this imports CuPy.
    """
    try:
        import cupy
    except ImportError:
        return array
    return cupy.asarray(array)


def array_module(array: Any) -> ModuleType:
    """The array functions for `array`: ``numpy`` or ``cupy``."""
    return sys.modules["cupy"] if is_on_gpu(array) else np


def to_numpy(array: Any) -> NDArray[Any]:
    """`array` in host memory; no copy when it is there already."""
    if is_on_gpu(array):
        return np.asarray(array.get())
    return np.asarray(array)


def in_memory(array: Any) -> tuple[Any, tuple[str, ...] | None]:
    """What people have as an image, as a NumPy or CuPy array in the machine's byte order, and its channels' names.

    Takes NumPy, CuPy, Dask and xarray. Axes of an xarray other than channel, Y and X are left out where they have
    length 1; the names are the coordinates of its axis ``c`` or ``channel``, None where it has none.
    """
    names = None
    if hasattr(array, "dims") and hasattr(array, "data"):
        names = _channel_names(array)
        dims = [str(name).lower() for name in array.dims]
        kept = [size for dim, size in zip(dims, array.shape, strict=True) if size > 1 or dim in ("c", "y", "x")]
        array = array.data.reshape(kept)
    if hasattr(array, "__dask_graph__"):
        array = array.compute()
    if is_on_gpu(array):
        return array, names
    found = np.asarray(array)
    if found.dtype.kind == "f" and found.dtype.itemsize > 8:
        return found.astype(np.float64), names
    return found.astype(found.dtype.newbyteorder("="), copy=False), names


def _channel_names(array: Any) -> tuple[str, ...] | None:
    for dim in array.dims:
        if str(dim).lower() in ("c", "channel") and dim in array.coords:
            return tuple(str(name) for name in np.atleast_1d(array.coords[dim].values))
    return None
