from __future__ import annotations

import subprocess
import sys

import pytest

import hts.report


def test_the_values_load_neither_bokeh_nor_an_imaging_library() -> None:
    code = "import sys, hts.report.data; sys.exit(bool({'bokeh', 'PIL', 'jinja2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", hts.report.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert callable(getattr(hts.report, name))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plate_movie'"):
        _ = hts.report.plate_movie
