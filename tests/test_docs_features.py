"""docs/features.md is executed: its recipe, script and plug-in, installed; its catalogue is the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from hts.recipe import Recipe
from hts.stages.measure.describe import catalogue_page
from hts.stages.measure.features import ORDER, family_names
from tests.conftest import REPOSITORY
from tests.reference.features.fields import simulated

PAGE = REPOSITORY / "docs" / "features.md"
TEXT = PAGE.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_its_catalogue_is_that_of_the_code() -> None:
    """When this fails: keep the page up to its last heading and append what `hts features --markdown` prints."""
    assert TEXT.split("measures it.\n\n")[1] == catalogue_page()


def test_every_built_in_family_has_its_place() -> None:
    assert set(ORDER) <= set(family_names())


def test_its_recipe_is_valid() -> None:
    segment = {"nuclei": {"method": "threshold"}, "cells": {"method": "propagate", "channel": "dna", "seeds": "nuclei"}}
    sections = {"segment": segment, "profile": {"readout": "Count_nuclei"}}
    recipe = Recipe.from_dict({"channels": {"dna": "DAPI"}, **sections, **yaml.safe_load(blocks("yaml")[0])})
    assert [family.name for family in recipe.measure.families()] == ["shape", "intensity", "texture", "neighbors"]


def test_its_script_runs() -> None:
    field = simulated()
    names: dict[str, object] = {"labels": field.labels, "nuclei": field.labels, "image": field.images[:2]}
    exec(blocks("python")[0], names)
    assert len(names["table"]) == field.labels.max()  # type: ignore[arg-type]
    assert "Nuclei_AreaShape_Area" in names["both"]  # type: ignore[operator]


_USE = """
import numpy as np, hts
labels = np.repeat([[1, 2]], 10, axis=0)
image = np.stack([np.arange(20).reshape(10, 2)])
table = hts.measure(labels, image, ("DNA",), families=["shape", "top_decile"])
print(table["Objects_Intensity_TopDecile_DNA"].tolist(), "top_decile" in set(hts.features()["family"]))
"""


def test_its_plugin_is_found_when_it_is_installed(tmp_path: Path) -> None:
    """As a package beside ours, with the entry point that the page shows; ten lines at most."""
    (tmp_path / "my_package.py").write_text(blocks("python")[1])
    assert len([line for line in blocks("python")[1].split("class")[1].splitlines() if line.strip()]) <= 10
    info = tmp_path / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    section, line = blocks("toml")[0].strip().splitlines()
    group = section.split('"')[1]
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{_USE}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[16.2, 17.2] True"
