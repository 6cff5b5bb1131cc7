from __future__ import annotations

import subprocess
import sys

import numpy as np
import scipy.ndimage

from hts.arrays import array_module, is_on_gpu, ndimage, to_gpu, to_numpy


def test_numpy_stays_numpy():
    array = np.arange(6.0).reshape(2, 3)
    assert not is_on_gpu(array)
    assert ndimage(array) is scipy.ndimage
    assert array_module(array) is np
    assert to_numpy(array) is array
    np.testing.assert_array_equal(to_numpy([[1, 2]]), np.array([[1, 2]]))


def test_without_cupy_nothing_goes_to_a_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    array = np.ones(3)
    assert to_gpu(array) is array


_WITHOUT = """
import sys
import numpy as np
from hts.arrays import is_on_gpu, ndimage, to_numpy
array = np.ones((3, 3))
assert not is_on_gpu(array)
to_numpy(ndimage(array).gaussian_filter(array, 1))
print([name for name in sys.modules if name.startswith("cupy")])
"""

# A stand-in with the two things that are asked of CuPy: its array type and its filters.
_WITH = """
import sys, types
import numpy as np

class ndarray:
    def __init__(self, values):
        self.values = np.asarray(values)
    def get(self):
        return self.values

def module(name, **content):
    made = types.ModuleType(name)
    made.__dict__.update(content, __path__=[])
    sys.modules[name] = made
    return made

cupy = module("cupy", ndarray=ndarray, asarray=ndarray)
filters = module("cupyx.scipy.ndimage")
module("cupyx.scipy", ndimage=filters)
module("cupyx", scipy=sys.modules["cupyx.scipy"])

from hts.arrays import array_module, is_on_gpu, ndimage, to_gpu, to_numpy
import scipy.ndimage
there, here = ndarray([1, 2]), np.array([1, 2])
assert is_on_gpu(there) and not is_on_gpu(here)
assert ndimage(there) is filters and ndimage(here) is scipy.ndimage
assert to_numpy(there) is there.values and to_numpy(here) is here
assert array_module(there) is cupy and array_module(here) is np
moved = to_gpu(here)
assert is_on_gpu(moved) and to_numpy(moved) is here
print("dispatched")
"""


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_cupy_is_never_imported_for_numpy_arrays():
    assert _run(_WITHOUT) == "[]"


def test_the_array_decides():
    assert _run(_WITH) == "dispatched"
