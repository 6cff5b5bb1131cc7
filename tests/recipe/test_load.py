from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hts.errors import NotFoundError, RecipeError, UsageError
from hts.recipe import Recipe, builtin_names
from hts.recipe.load import apply_overrides, parse_overrides, read_recipe


def test_builtin_names():
    assert builtin_names() == ("cell-painting", "nuclei", "translocation")


@pytest.mark.parametrize("name", builtin_names())
def test_builtins_are_found_by_name(name):
    found, data = read_recipe(name)
    assert found == data["name"] == name
    assert data["description"]


def test_a_file_is_read(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("name: β\n", encoding="utf-8")
    assert read_recipe(file) == (str(file), {"name": "β"})
    assert read_recipe(str(file)) == (str(file), {"name": "β"})


def test_a_file_without_suffix_is_read(tmp_path):
    file = tmp_path / "recipe"
    file.write_text("name: x\n")
    assert read_recipe(file)[1] == {"name": "x"}


def test_an_unknown_name_lists_the_builtins_and_the_nearest():
    with pytest.raises(
        NotFoundError, match=r"cell-painting, nuclei, translocation\n  found: 'trans'\n.*mean translocation"
    ):
        read_recipe("trans")
    with pytest.raises(NotFoundError, match=r"found: 'nuclie'\n  what to do: did you mean nuclei\?"):
        read_recipe("nuclie")
    with pytest.raises(NotFoundError, match=r"found: 'qqq'\n  what to do: check the path"):
        read_recipe("qqq")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=rf"a recipe file at {tmp_path / 'no.yml'}\n  found: no such file"):
        read_recipe(tmp_path / "no.yml")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: \xff\xfe", r"my.yaml can be read as UTF-8 text\n  found: .*utf-8"),
        (b"name: [1, 2", r"my.yaml is YAML\n  found: "),
        (b"name: a\n\tb: c", r"my.yaml is YAML\n  found: "),
        (b"name: 2024-13-45", r"my.yaml is YAML\n  found: month"),
        (b"", r"my.yaml holds sections\n  found: NoneType"),
        (b"- a\n- b\n", r"my.yaml holds sections\n  found: list"),
        (b"just text", r"my.yaml holds sections\n  found: str"),
        (b"a: !!python/object/apply:os.getcwd []", r"my.yaml is YAML\n  found: .*python/object"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, content, expected):
    (tmp_path / "my.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=expected):
        Recipe.load(tmp_path / "my.yaml")


def test_a_folder_is_no_recipe(tmp_path):
    (tmp_path / "my.yaml").mkdir()
    with pytest.raises(RecipeError, match=r"my.yaml can be read as UTF-8 text\n  found: .*directory"):
        read_recipe(tmp_path / "my.yaml")


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("channels.dna=Channel2", "channels.dna", "Channel2"),
        (" channels.dna =Channel2", "channels.dna", "Channel2"),
        ("profile.controls.negative=SBS_Controls == -1", "profile.controls.negative", "SBS_Controls == -1"),
        ('profile.controls.negative=Compound == "DMSO"', "profile.controls.negative", 'Compound == "DMSO"'),
        ('profile.controls.negative="DMSO" == Compound', "profile.controls.negative", '"DMSO" == Compound'),
        ("profile.controls.negative=`Dose (µM)` <= 0", "profile.controls.negative", "`Dose (µM)` <= 0"),
        ("a.b==", "a.b", "="),
        ("a.b=", "a.b", None),
        ("a.b=null", "a.b", None),
        ("a.b=3", "a.b", 3),
        ("a.b=-0.5", "a.b", -0.5),
        ("a.b=true", "a.b", True),
        ("a.b=[mean, sd]", "a.b", ["mean", "sd"]),
        ("a.b={c: 1}", "a.b", {"c": 1}),
        ("a.b=2024-13-45", "a.b", "2024-13-45"),
        ("a.b=[1, 2", "a.b", "[1, 2"),
    ],
)
def test_settings(setting, key, value):
    assert parse_overrides([setting]) == {key: value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("01", "01"),
        ("1", "1"),
        ("DNA: 405", "DNA: 405"),
        ("Alexa #488", "Alexa #488"),
        ("on", "on"),
        (" DAPI ", "DAPI"),
        ('"01"', "01"),
        ("'null'", "null"),
        ("null", None),
        ("", None),
    ],
)
def test_channel_names_are_taken_as_they_stand(text, value):
    assert parse_overrides([f"channels.dna={text}"]) == {"channels.dna": value}


@pytest.mark.parametrize("setting", ["channels.dna", "=Channel2", " =3", ""])
def test_settings_without_key_or_value_are_refused(setting):
    with pytest.raises(UsageError, match=rf"--set section.key=value\n  found: '{setting}'"):
        parse_overrides([setting])


def test_the_last_setting_of_a_key_counts():
    assert parse_overrides(["a.b=1", "a.b=2"]) == {"a.b": 2}


def test_overrides_make_sections_and_leave_the_original_alone():
    data = {"a": {"b": 1, "l": [{"x": 1}]}, "n": None}
    before = yaml.safe_dump(data)
    result = apply_overrides(data, {"a.c": 2, "new.deep.key": 3, "n.k": 4, "top": 5})
    assert result == {"a": {"b": 1, "l": [{"x": 1}], "c": 2}, "n": {"k": 4}, "top": 5, "new": {"deep": {"key": 3}}}
    result["a"]["l"][0]["x"] = 9
    assert yaml.safe_dump(data) == before


def test_a_setting_inside_a_value_is_refused():
    with pytest.raises(
        RecipeError, match=r"segment.cytoplasm.method leads to a key inside cytoplasm\n.*cells - nuclei"
    ):
        Recipe.load("translocation", ["segment.cytoplasm.method=threshold"])


@given(st.dictionaries(st.sampled_from(["a", "b", "c.d", "c.e.f"]), st.integers(), max_size=4))
def test_every_override_is_found_where_its_key_says(overrides):
    result = apply_overrides({"c": {"old": 1}}, overrides)
    assert result["c"]["old"] == 1
    for dotted, value in overrides.items():
        place = result
        for part in dotted.split("."):
            place = place[part]
        assert place == value


def test_load_takes_pairs_texts_and_paths(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("channels: {dna: w1}\nsegment:\n  nuclei: {method: threshold}\n")
    assert Recipe.load(file).name == "my"
    pairs = Recipe.load(str(file), {"channels.dna": "w2", "report.overlays": 2})
    texts = Recipe.load(Path(file), ["channels.dna=w2", "report.overlays=2"])
    assert pairs == texts
    assert (pairs.channels, pairs.report.overlays) == ({"dna": "w2"}, 2)
