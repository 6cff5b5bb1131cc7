from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hts.errors import NotFoundError
from hts.recipe.plugins import load_plugin, plugin_names

PACKAGE = """
import numpy as np
from typing import Literal
from pydantic import BaseModel, ConfigDict, Field


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    method: Literal["stripes"] = "stripes"
    channel: str = "dna"
    width_px: int = Field(4, ge=1)

    @property
    def roles(self):
        return (self.channel,)

    @property
    def needs(self):
        return ()


class Stripes:
    version = 7
    Params = Params

    def segment(self, images, labels, params):
        rows, columns = images[params.channel].shape
        return np.tile(1 + np.arange(columns) // params.width_px, (rows, 1)).astype(np.int32)

    def working_bytes(self, params, shape):
        return 0
"""

USE = """
import numpy as np
from hts.errors import RecipeError
from hts.recipe import Recipe
from hts.recipe.plugins import load_plugin, plugin_names
from hts.stages.segment import segment_field

print(plugin_names("hts.segmenters"))
data = {"channels": {"dna": "w1"}, "segment": {"bands": {"method": "stripes", "width_px": 2}, "rest": "bands - bands"}}
recipe = Recipe.from_dict(data)
steps = {name: (load_plugin("hts.segmenters", params.method), params) for name, params in recipe.segment.items()}
print(segment_field({"dna": np.zeros((1, 6))}, steps)["bands"].tolist(), steps["bands"][0].version)
assert Recipe.from_dict(recipe.to_dict()) == recipe
for key, value in (("width_px", 0), ("widht_px", 3)):
    try:
        Recipe.from_dict({**data, "segment": {"bands": {"method": "stripes", key: value}}})
    except RecipeError as error:
        print(str(error).splitlines()[1].strip())
"""


def _install(folder: Path, module: str, entry: str) -> None:
    """What pip leaves behind: a module and its dist-info."""
    (folder / "stripes_for_hts.py").write_text(module)
    info = folder / "stripes_for_hts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stripes-for-hts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hts.segmenters]\nstripes = {entry}\n")


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )


def test_a_segmenter_of_another_package_works_in_a_recipe(tmp_path):
    _install(tmp_path, PACKAGE, "stripes_for_hts:Stripes")
    done = _run(USE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "('cellpose', 'expression', 'propagate', 'stripes', 'threshold')",
        "[[1, 1, 2, 2, 3, 3]] 7",
        "segment.bands.width_px: Input should be greater than or equal to 1, found 0",
        "segment.bands.widht_px: unknown key 'widht_px'; did you mean 'width_px'?",
    ]


@pytest.mark.parametrize(
    ("module", "entry", "found"),
    [
        ("import a_package_nobody_has", "stripes_for_hts:Stripes", "ModuleNotFoundError: No module named 'a_package_"),
        ("", "stripes_for_hts:Stripes", "AttributeError: "),
    ],
)
def test_a_broken_package_is_named(tmp_path, module, entry, found):
    _install(tmp_path, module, entry)
    code = """
from hts.errors import RecipeError
from hts.recipe import Recipe
try:
    Recipe.load("nuclei", ["segment.nuclei.method=stripes"])
except RecipeError as error:
    print(error)
Recipe.load("nuclei")
"""
    done = _run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"segment.nuclei.method: 'stripes' can be loaded from {entry}\n  found: {found}" in done.stdout
    assert "install or repair the package" in done.stdout


def test_ours_are_registered_the_same_way():
    assert {"expression", "propagate", "threshold"} <= set(plugin_names("hts.segmenters"))
    assert {"imagexpress", "pattern"} <= set(plugin_names("hts.readers"))
    assert {"shape", "intensity", "correlation"} <= set(plugin_names("hts.features"))
    assert plugin_names("hts.nothing") == ()


@pytest.mark.parametrize("group", ["hts.segmenters", "hts.features", "hts.stages", "hts.readers"])
def test_everything_registered_can_be_loaded_once(group):
    for name in plugin_names(group):
        assert load_plugin(group, name) is load_plugin(group, name)


def test_an_unknown_plugin_lists_the_names_and_the_nearest():
    with pytest.raises(
        NotFoundError, match=r"one of the segmenters cellpose, expression, .*\n  found: 'propagat'\n.*mean propagate"
    ):
        load_plugin("hts.segmenters", "propagat")
    with pytest.raises(
        NotFoundError, match=r"one of the readers .*imagexpress, .*pattern, .*\n.*\n.*install the package"
    ):
        load_plugin("hts.readers", "zzzz")
