from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from hts.errors import RecipeError
from hts.recipe import Recipe, builtin_names
from hts.recipe.model import SECTIONS

SMALL = {"channels": {"dna": "w1"}, "segment": {"nuclei": {"method": "threshold"}}}


def _with(**sections) -> dict:
    return {**SMALL, **sections}


# --- what a recipe holds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", builtin_names())
def test_builtins_load_with_every_section(name):
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert set(recipe.to_dict()) == set(SECTIONS)
    assert recipe.objects[0] == "nuclei"
    assert set(recipe.channels.values()) == {None}
    assert "dna" in recipe.channels


def test_builtin_translocation_is_the_documented_one():
    recipe = Recipe.load("translocation")
    assert recipe.objects == ("nuclei", "cells", "cytoplasm")
    assert tuple(recipe.channels) == ("dna", "reporter")
    assert recipe.segment["cells"].needs == ("nuclei",)
    assert set(recipe.segment["cytoplasm"].needs) == {"cells", "nuclei"}
    assert recipe.profile.readout == "Mean_Readout_translocated"


@pytest.mark.parametrize("name", builtin_names())
def test_yaml_round_trip(name):
    recipe = Recipe.load(name, ["profile.controls.negative=Compound == 'DMSO'", "description='β, 5 µm: # no comment'"])
    text = recipe.to_yaml()
    again = Recipe.from_dict(yaml.safe_load(text))
    assert again == recipe
    assert again.to_yaml() == text
    assert list(yaml.safe_load(text)) == list(SECTIONS)


def test_round_trip_through_a_file(tmp_path):
    recipe = Recipe.load("cell-painting", ["channels.dna=01", "acquire.z=3"])
    (tmp_path / "kept.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert Recipe.load(tmp_path / "kept.yaml") == recipe


def test_defaults_of_sections_that_are_not_written():
    recipe = Recipe.from_dict(SMALL, "folder/my.yaml")
    assert recipe.name == "my"
    assert (recipe.acquire.z, recipe.acquire.t, recipe.acquire.reader) == ("max", 0, None)
    assert recipe.report.overlays == 8
    assert recipe.profile.readout == "Count_Nuclei"
    assert recipe == Recipe.from_dict(_with(acquire=None, measure=None, profile=None, report=None), "my.yaml")


def test_an_expression_alone_is_an_object_set():
    recipe = Recipe.from_dict({**SMALL, "segment": {**SMALL["segment"], "rest": "nuclei - nuclei"}})
    assert recipe.segment["rest"].method == "expression"
    options = {"link": None, "border": "keep"}
    assert recipe.to_dict()["segment"]["rest"] == {"method": "expression", "expression": "nuclei - nuclei", **options}


def test_a_recipe_does_not_change():
    recipe = Recipe.from_dict(SMALL)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        recipe.acquire.t = 1


def test_settings_change_one_key_and_nothing_else():
    before, after = Recipe.load("nuclei").to_dict(), Recipe.load("nuclei", ["segment.nuclei.diameter_px=33"]).to_dict()
    assert after["segment"]["nuclei"].pop("diameter_px") == 33.0
    assert before["segment"]["nuclei"].pop("diameter_px") == 20.0
    assert after == before


# --- unknown keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("profil.readout=x", r"unknown key 'profil'; did you mean 'profile'\?"),
        ("zzz.x=1", r"unknown key 'zzz'; known keys: name, description, acquire, channels, segment"),
        ("acquire.patern=x", r"acquire.patern: unknown key 'patern'; did you mean 'pattern'\?"),
        ("measure.feature=[shape]", r"measure.feature: unknown key 'feature'; did you mean 'features'\?"),
        ("profile.normalise=none", r"profile.normalise: unknown key 'normalise'; did you mean 'normalize'\?"),
        ("profile.controls.negativ=x", r"profile.controls.negativ: unknown key 'negativ'; did you mean 'negative'\?"),
        ("report.overlay=3", r"report.overlay: unknown key 'overlay'; did you mean 'overlays'\?"),
        ("segment.nuclei.chanel=dna", r"segment.nuclei.chanel: unknown key 'chanel'; did you mean 'channel'\?"),
        ("segment.cells.sed=nuclei", r"segment.cells.sed: unknown key 'sed'; did you mean 'seeds'\?"),
    ],
)
def test_an_unknown_key_names_the_nearest(setting, expected):
    with pytest.raises(RecipeError, match=rf"recipe translocation is not valid:\n    {expected}"):
        Recipe.load("translocation", [setting])


def test_all_wrong_keys_are_told_at_once():
    with pytest.raises(
        RecipeError, match=r"(?s)acquire.t: .*acquire.redaer: unknown key 'redaer'; did you mean 'reader'"
    ):
        Recipe.from_dict(_with(acquire={"t": -1, "redaer": "x"}))


def test_an_unknown_method_lists_the_names_and_the_nearest():
    with pytest.raises(
        RecipeError,
        match=r"segment.nuclei.method: one of the segmenters cellpose, expression, propagate, threshold\n"
        r"  found: 'treshold'\n  what to do: did you mean threshold\?",
    ):
        Recipe.load("nuclei", ["segment.nuclei.method=treshold"])
    with pytest.raises(RecipeError, match=r"found: 'magic'\n  what to do: install the package that brings it"):
        Recipe.load("nuclei", ["segment.nuclei.method=magic"])


# --- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("acquire.t=-1", r"acquire.t: .*greater than or equal to 0, found -1"),
        ("acquire.z=-1", r"acquire.z: max, mean, or the number of one plane from 0, found -1"),
        ("acquire.z=median", r"acquire.z: max, mean, or the number of one plane from 0, found 'median'"),
        ("acquire.z=true", r"acquire.z: max, mean, or the number of one plane from 0, found True"),
        ("acquire.z=0.5", r"acquire.z: max, mean, or the number of one plane from 0, found 0.5"),
        ("report.overlays=65", r"report.overlays: .*less than or equal to 64, found 65"),
        ("report.overlays=-1", r"report.overlays: .*greater than or equal to 0, found -1"),
        ("segment.nuclei.diameter_px=1", r"segment.nuclei.diameter_px: .*greater than 1, found 1"),
        ("segment.nuclei.correction=0", r"segment.nuclei.correction: .*greater than 0, found 0"),
        ("segment.nuclei.smooth_px=-0.1", r"segment.nuclei.smooth_px: .*greater than or equal to 0, found -0.1"),
        ("segment.nuclei.min_area_px=0", r"segment.nuclei.min_area_px: .*greater than or equal to 1, found 0"),
        ("segment.nuclei.threshold=li", r"segment.nuclei.threshold: .*'otsu' or 'local', found 'li'"),
        ("profile.aggregate=[mean, max]", r"profile.aggregate.1: .*'mean', 'median' or 'sd', found 'max'"),
        ("profile.normalize=yes", r"profile.normalize: .*found True"),
        ("profile.readouts.x=1 +", r"profile.readouts: .*is not an expression"),
        ("profile.controls=DMSO", r"profile.controls: .*found 'DMSO'"),
        ("segment.cells=nuclei", r"segment.cells.expression: 'nuclei' is no expression over object sets"),
        ("segment.cells=nuclei + nuclei", r"segment.cells.expression: .*is no expression over object sets"),
        ("channels=[a]", r"channels: .*valid dictionary"),
        ("channels={dna: 7}", r"channels.dna: .*valid string, found 7"),
        ("measure={1: 2}", r"measure.1: Keys should be strings, found 1"),
        ("name=2024-10-05", r"name: .*valid string, found datetime.date"),
    ],
)
def test_values_out_of_bounds_name_the_key_and_the_value(setting, expected):
    with pytest.raises(RecipeError, match=rf"recipe nuclei is not valid:\n    {expected}"):
        Recipe.load("nuclei", [setting])


@pytest.mark.parametrize(
    "setting", ["acquire.z=0", "acquire.z=7", "acquire.z=mean", "report.overlays=0", "profile.dose=null"]
)
def test_values_at_the_bounds_are_taken(setting):
    section, key, value = setting.replace("=", ".").split(".")
    assert str(getattr(getattr(Recipe.load("nuclei", [setting]), section), key)) == value.replace("null", "None")


@pytest.mark.parametrize("section", ["acquire", "measure", "profile", "report"])
def test_sections_hold_keys_and_values(section):
    with pytest.raises(RecipeError, match=rf"section {section} holds keys and values\n  found: \[1\]"):
        Recipe.from_dict(_with(**{section: [1]}))


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ([1], r"section segment maps object sets to segmenters\n  found: \[1\]"),
        ({}, r"segments at least one object set\n  found: an empty section segment"),
        (None, r"segments at least one object set\n  found: an empty section segment"),
        (
            {"Nuclei": {"method": "threshold"}},
            r"object sets have names such as nuclei or lipid_droplets\n  found: 'Nuclei'",
        ),
        ({"a b": {"method": "threshold"}}, r"object sets have names such as .*\n  found: 'a b'"),
        ({3: {"method": "threshold"}}, r"object sets have names such as .*\n  found: 3"),
        (
            {"nuclei": None},
            r"segment.nuclei has a key method\n  found: None\n.*methods are cellpose, expression, propagate, threshold",
        ),
        ({"nuclei": {"metod": "threshold"}}, r"segment.nuclei has a key method\n  found: {'metod': 'threshold'}"),
    ],
)
def test_what_segment_holds(segment, expected):
    with pytest.raises(RecipeError, match=expected):
        Recipe.from_dict({**SMALL, "segment": segment})


def test_channels_are_needed():
    with pytest.raises(RecipeError, match=r"channels: this key is needed"):
        Recipe.from_dict({"segment": {"nuclei": "a - b"}})


# --- what belongs together ---------------------------------------------------------------------------------------


def test_a_segmenter_reads_a_role_that_there_is():
    expected = (
        r"segment.nuclei reads a role of the section channels\n"
        r"  found: 'hoechst'; roles are dna\n  what to do: --set channels.hoechst=<a channel of the plate>"
    )
    with pytest.raises(RecipeError, match=expected):
        Recipe.load("nuclei", ["segment.nuclei.channel=hoechst"])
    with pytest.raises(RecipeError, match=r"found: 'dna'; roles are none"):
        Recipe.from_dict({**SMALL, "channels": {}})


@pytest.mark.parametrize("order", [("cytoplasm", "nuclei", "cells"), ("nuclei", "cytoplasm", "cells")])
def test_object_sets_come_after_what_they_need(order):
    data = Recipe.load("translocation").to_dict()
    data["segment"] = {name: data["segment"][name] for name in order}
    with pytest.raises(
        RecipeError,
        match=r"segment.cytoplasm starts from object sets made before it\n  found: 'cells'\n.*put cells before",
    ):
        Recipe.from_dict(data)


def test_an_object_set_cannot_need_itself():
    with pytest.raises(RecipeError, match=r"segment.x starts from object sets made before it\n  found: 'x'"):
        Recipe.load("nuclei", ["segment.x=x - nuclei"])


def test_channels_of_gives_the_channel_of_every_role():
    recipe = Recipe.load("translocation", ["channels.dna=Channel2", "channels.reporter=Channel1"])
    assert recipe.channels_of(("Channel1", "Channel2")) == {"dna": "Channel2", "reporter": "Channel1"}


@pytest.mark.parametrize(
    ("settings", "found"),
    [(["channels.dna=DAPI"], r"no channel is named yet"), (["channels.dna=DAPI", "channels.reporter=GPF"], "'GPF'")],
)
def test_channels_of_lists_the_plate_and_the_key_to_set(settings, found):
    recipe = Recipe.load("translocation", settings)
    with pytest.raises(
        RecipeError,
        match=rf"channels.reporter names a channel of the plate \(DAPI, GFP\)\n  found: {found}\n"
        r"  what to do: --set channels.reporter=<channel>",
    ):
        recipe.channels_of(iter(["DAPI", "GFP"]))


def test_a_channel_named_like_the_role_is_advised_and_no_other():
    """The first channel of the plate may well be the wrong one."""
    with pytest.raises(RecipeError, match=r"--set channels\.dna=DNA$"):
        Recipe.load("nuclei").channels_of(["Reporter", "DNA"])
    with pytest.raises(RecipeError, match=r"--set channels\.dna=<channel>$"):
        Recipe.load("nuclei").channels_of(["Channel1", "Channel2"])


@pytest.mark.parametrize("name", ["01", "DNA: 405", "Alexa #488", "on"])
def test_the_setting_that_channels_of_advises_works(name):
    with pytest.raises(RecipeError, match=r"what to do: --set channels\.dna=") as caught:
        Recipe.load("nuclei").channels_of([name])
    advice = str(caught.value).rpartition("--set ")[2]
    assert Recipe.load("nuclei", [advice]).channels_of([name]) == {"dna": name}
