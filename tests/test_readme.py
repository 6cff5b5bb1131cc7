"""The README is executed: its script on a small plate, its recipe, its command lines."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.testing
import yaml

from hts.cli.app import app
from hts.recipe import Recipe
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from hts.synth import Truth

README = (REPOSITORY / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_it_starts_with_the_two_commands() -> None:
    assert blocks("sh") == [
        "python -m pip install -e . && hts demo\n",
        'python -m pip install -e ".[test]" && pytest\n',
    ]


def test_its_script_runs(small_truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python")
    (tmp_path / "images").symlink_to(small_truth.plate)
    shutil.copy(small_truth.layout, tmp_path / "layout.csv")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["profiles"]) == 15  # type: ignore[arg-type]
    assert names["field"].dims == ("t", "c", "z", "y", "x")  # type: ignore[attr-defined]
    assert Path(str(names["report"])).is_file()
    assert len(names["table"]) == names["labels"].max()  # type: ignore[arg-type,attr-defined]
    assert "Objects_Texture_Contrast_Reporter_3_00_256" in names["table"]  # type: ignore[operator]


def test_its_figures_come_from_scripts_that_are_there() -> None:
    for text in (README, (REPOSITORY / "benchmarks" / "README.md").read_text("utf-8")):
        scripts = set(re.findall(r"`(\w+\.py)\b", text))
        assert len(scripts) > 5
        assert [name for name in scripts if not (REPOSITORY / "benchmarks" / name).is_file()] == []


def test_its_recipe_is_valid() -> None:
    (text,) = blocks("yaml")
    recipe = Recipe.from_dict(yaml.safe_load(text))
    assert recipe.objects == ("nuclei", "cells", "cytoplasm")


def test_its_command_lines_parse() -> None:
    """Every option that the README shows exists; nothing is run (the folders are not there)."""
    (text,) = blocks("bash")
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    assert len(lines) == 8
    for line in lines:
        result = typer.testing.CliRunner().invoke(app, line[1:])
        assert result.exit_code == 2
        assert "No such option" not in result.output
        assert any(name in result.output for name in ("images", "plate.ome.zarr", "layout.csv"))


def test_what_it_points_to_exists() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (REPOSITORY / target).is_file(), target
