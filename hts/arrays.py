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
