"""docs/segmenters.md is executed: its recipe, its script, its plug-in, also as an installed package."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import ndimage

from hts.recipe import Recipe
from hts.stages.segment.cellpose import CellposeParams
from tests.conftest import REPOSITORY
from tests.stages.segment.conformance import SegmenterConformance, blobs, objects

TEXT = (REPOSITORY / "docs" / "segmenters.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def _plugin() -> types.SimpleNamespace:
    """The plug-in's names; StarDist, which is not installed, is a function that finds connected components."""

    class StarDist2D:
        @classmethod
        def from_pretrained(cls, name: str) -> StarDist2D:
            return cls()

        def predict_instances(self, tile: np.ndarray) -> tuple[np.ndarray, dict[str, object]]:
            return ndimage.label(tile > 0.5)[0], {}

    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "stardist", types.ModuleType("stardist"))
        patch.setitem(sys.modules, "stardist.models", types.SimpleNamespace(StarDist2D=StarDist2D))
        exec(blocks("python")[1], names)
    return types.SimpleNamespace(**names)


def test_its_recipe_is_valid() -> None:
    recipe = Recipe.from_dict(
        {
            **yaml.safe_load(blocks("yaml")[0]),
            "channels": {"dna": "DAPI", "reporter": "GFP"},
            "profile": {"readout": "Count_nuclei"},
        }
    )
    assert recipe.objects == ("nuclei", "cells", "cytoplasm")


def test_its_script_runs() -> None:
    names: dict[str, object] = {"image": blobs((96, 120))}
    exec(blocks("python")[0], names)
    assert names["labels"].dtype == np.uint32  # type: ignore[attr-defined]


def test_it_names_every_setting() -> None:
    table = TEXT.split("## cellpose")[1].split("## In a script")[0]
    missing = [name for name in CellposeParams.model_fields if name != "method" and f"`{name}`" not in table]
    assert missing == []


def test_its_plugin_segments_across_blocks() -> None:
    plugin = _plugin()
    truth = objects((1300, 1200), 11)
    segmenter = plugin.StarDistSegmenter()
    found = segmenter.segment({"dna": (truth > 0).astype(np.float32)}, {}, segmenter.Params())
    np.testing.assert_array_equal(found > 0, truth > 0)
    assert found.max() == len(np.unique(truth)) - 1


def test_its_plugin_does_what_every_segmenter_must() -> None:
    plugin = _plugin()
    conformance = SegmenterConformance()
    conformance.segmenter = plugin.StarDistSegmenter()
    params = plugin.StarDistParams()
    conformance.test_finds_objects_and_leaves_a_background(params)
    conformance.test_input_stays_as_it_is_and_may_be_read_only(params)
    conformance.test_the_same_again_and_from_any_memory_layout(params)


_USE = """
import numpy as np, hts
from hts.recipe import Recipe
image = np.zeros((40, 50), np.float32)
image[5:12, 5:12] = image[20:30, 30:40] = 1
assert hts.segment(image, "stardist").max() == 2
section = {"nuclei": {"method": "stardist"}}
print(Recipe.from_dict({"channels": {"dna": "x"}, "segment": section, "profile": {"readout": "Count_nuclei"}}).objects)
"""
_STARDIST = """
from scipy import ndimage
class StarDist2D:
    @classmethod
    def from_pretrained(cls, name):
        return cls()
    def predict_instances(self, tile):
        return ndimage.label(tile > 0.5)[0], {}
"""


def test_its_plugin_is_found_when_it_is_installed(tmp_path: Path) -> None:
    """As a package beside ours, with the entry point that the page shows."""
    (tmp_path / "stardist").mkdir()
    (tmp_path / "stardist" / "__init__.py").write_text("")
    (tmp_path / "stardist" / "models.py").write_text(_STARDIST)
    (tmp_path / "my_package.py").write_text(blocks("python")[1])
    info = tmp_path / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    section, line = blocks("toml")[0].strip().splitlines()
    group = section.split('"')[1]
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{_USE}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "('nuclei',)" in done.stdout
