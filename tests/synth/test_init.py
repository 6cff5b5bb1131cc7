from __future__ import annotations

import subprocess
import sys

import pytest

import hts.synth


def test_public_names_resolve():
    assert all(callable(getattr(hts.synth, name)) for name in hts.synth.__all__)
    with pytest.raises(AttributeError, match="no attribute 'plates'"):
        hts.synth.plates  # noqa: B018


def test_reading_the_knobs_loads_nothing_heavy():
    code = "import sys; from hts.synth import SynthSpec; SynthSpec(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "hts.synth.spec" in loaded
    assert not {"scipy", "skimage", "tifffile", "pandas", "pyarrow", "torch", "dask", "zarr", "numba"} & set(loaded)
