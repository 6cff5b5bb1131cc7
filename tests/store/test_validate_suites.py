"""The official JSON suites of OME-NGFF 0.4 and 0.5, and ome-zarr-models, against our rules."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hts.store.validate import Finding, check_image, check_label, check_labels, check_plate, check_well
from tests.store import validate_plates as made
from tests.store.validate_mutations import METADATA
from tests.store.validate_plates import IMAGE, LABEL

CHECKS = {"image": check_image, "plate": check_plate, "well": check_well, "label": check_label}
SUITES = tuple(f"{strict}{kind}" for kind in CHECKS for strict in ("", "strict_"))

# Cases that the suites call valid and the text of both versions forbids; ome-zarr-models refuses them too.
COLUMN_BEFORE_ROW = {
    "plate/minimal_no_acquisitions",
    "plate/minimal_acquisitions",
    "plate/non_alphanumeric_row",
    "plate/strict_no_acquisitions",
    "plate/strict_acquisitions",
}
"""Rows are called 1 and columns A, and the path is "A/1": it MUST be the row's name, then the column's."""
TWO_NUMBERS_FOR_THREE_AXES = {"valid/mismatch_axes_units.json"}
"""A scale of two numbers for three axes: its length MUST be that of the axes."""
AGAINST_THE_TEXT = {
    **dict.fromkeys(COLUMN_BEFORE_ROW, "plate.well.path"),
    **dict.fromkeys(TWO_NUMBERS_FOR_THREE_AXES, "image.scale.length"),
}

# Cases that the strict suites call invalid: a SHOULD of the text. Not one of them is an error.
STRICT = {
    ("label", "image-label/no_version"): ("warning", "label.version"),
    ("label", "image-label/no_colors"): ("note", "label.colors"),
    ("plate", "plate/missing_name"): ("warning", "plate.name"),
    ("plate", "plate/missing_version"): ("warning", "plate.version"),
    ("plate", "plate/missing_acquisition_name"): ("warning", "plate.acquisitions.name"),
    ("plate", "plate/missing_acquisition_maximumfieldcount"): ("warning", "plate.acquisitions.maximumfieldcount"),
    ("well", "plate/missing_version"): ("warning", "well.version"),
}


def _cases(data_dir: Path, version: str, suite: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    file = data_dir / f"ngff_tests_v{version.replace('.', '')}" / "tests" / f"{suite}_suite.json"
    for case in json.loads(file.read_text())["tests"]:
        yield case["formerly"], case["data"], case["valid"]


def _errors(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings if finding.severity == "error"]


def _swapped(document: dict[str, Any]) -> dict[str, Any]:
    """The same plate with paths as the text wants them, where the suite has the column first."""
    document = copy.deepcopy(document)
    plate = document.get("ome", document)["plate"]
    for well in plate["wells"] if isinstance(plate.get("wells"), list) else []:
        if isinstance(well.get("path"), str):
            well["path"] = "/".join(reversed(well["path"].split("/")))
    return document


@pytest.mark.real
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_valid_cases_have_no_error_unless_the_text_forbids_them(data_dir: Path, version: str, suite: str) -> None:
    kind = suite.removeprefix("strict_")
    valid = [(name, data) for name, data, is_valid in _cases(data_dir, version, suite) if is_valid]
    for name, data in valid:
        expected = [AGAINST_THE_TEXT[name]] if name in AGAINST_THE_TEXT and kind != "well" else []
        assert _errors(CHECKS[kind](data, version)) == expected, name
        if expected == ["plate.well.path"]:
            assert _errors(check_plate(_swapped(data), version)) == [], name
    assert valid or suite == "strict_label"


@pytest.mark.real
@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_invalid_cases_have_an_error(data_dir: Path, version: str, kind: str) -> None:
    invalid = [(name, data) for name, data, is_valid in _cases(data_dir, version, kind) if not is_valid]
    assert len(invalid) >= 3
    for name, data in invalid:
        assert _errors(CHECKS[kind](data, version)), name
        if kind == "plate":
            # The suite's paths are an error by themselves: what the case is about must be one too.
            assert _errors(check_plate(_swapped(data), version)), name
        if kind == "well" and "ome" not in data and version == "0.5":
            # These forgot the key ome; what they are about must be an error under it as well.
            wrapped = {"ome": {"version": "0.5", **data}}
            assert _errors(check_well(wrapped, version)), name


@pytest.mark.real
@pytest.mark.parametrize("kind", ["label", "plate", "well"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_strict_cases_have_a_warning_and_no_error(data_dir: Path, version: str, kind: str) -> None:
    for name, data, is_valid in _cases(data_dir, version, f"strict_{kind}"):
        if is_valid:
            continue
        findings = CHECKS[kind](_swapped(data) if kind == "plate" else data, version)
        assert _errors(findings) == [], name
        assert STRICT[kind, name] in {(finding.severity, finding.rule) for finding in findings}, name


@pytest.mark.real
def test_plates_of_0_5_without_version_are_only_warned_about(data_dir: Path) -> None:
    """The text: a plate MUST contain a version. All plates that the suite calls valid lack it, and ``ome.version``
    says it anyway. Nobody's reader stops, so it is a warning; ome-zarr-models warns as well.
    """
    names = set()
    for suite in ("plate", "strict_plate"):
        for name, data, is_valid in _cases(data_dir, "0.5", suite):
            if is_valid:
                assert "version" not in data["ome"]["plate"]
                found = [f for f in check_plate(data, "0.5") if f.rule == "plate.version"]
                assert [finding.severity for finding in found] == ["warning"], name
                names.add(name)
    assert names == COLUMN_BEFORE_ROW


@pytest.mark.real
@pytest.mark.parametrize("version", ["v04", "v05"])
def test_examples_of_the_specification(data_dir: Path, version: str) -> None:
    kinds = {"multiscales_strict": check_image, "plate_strict": check_plate, "well_strict": check_well}
    folder = data_dir / f"ngff_tests_{version}" / "examples"
    for name, check in {**kinds, "label_strict": check_label}.items():
        files = sorted(file for file in (folder / name).glob("*.json") if not file.name.startswith("."))
        assert files
        for file in files:
            document = json.loads(
                "\n".join(line for line in file.read_text().splitlines() if "//" not in line or "http" in line)
            )
            attributes = document.get("attributes", document)
            assert _errors(check(attributes, f"0.{version[2]}")) == [], file.name


# --- ome-zarr-models ---------------------------------------------------------------------------------------------

# What ome-zarr-models refuses and we do not, by the name of the mutation, with what we say instead.
MODELS_REFUSE_MORE = {
    # The text does not ask for properties about the same values as the colours.
    "properties of others": ("warning", "label.values"),
    # The text: image-label SHOULD be there. Their class is that of label images which have it.
    "no image-label": ("warning", "label.block"),
}


MODELS = {
    "plate": "hcs.HCSAttrs",
    "well": "well.WellAttrs",
    "image": "image.ImageAttrs",
    "label": "image_label.ImageLabelAttrs",
    "labels": "labels.LabelsAttrs",
}


def _model(kind: str, version: str) -> Any:
    module, _, name = MODELS[kind].partition(".")
    return getattr(importlib.import_module(f"ome_zarr_models.v{version.replace('.', '')}.{module}"), name)


def _models_refuse(kind: str, version: str, document: dict[str, Any]) -> bool:
    holder = document.get("ome") if version == "0.5" else document
    if holder is None:
        return True
    try:
        _model(kind, version).model_validate(holder)
    except ValidationError:
        return True
    return False


@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_ome_zarr_models_refuses_of_the_suites_we_refuse(data_dir: Path, version: str, suite: str) -> None:
    kind = suite.removeprefix("strict_")
    for name, data, _ in _cases(data_dir, version, suite):
        # The label suite has no multiscales, which their model of a label image needs.
        document = copy.deepcopy(data)
        if kind == "label":
            document.get("ome", document)["multiscales"] = _good("label", version)["multiscales"]
        if _models_refuse(kind, version, document):
            assert _errors(CHECKS[kind](data, version)), name


PLACES = {"": "plate", "A/01": "well", IMAGE: "image", "A/01/0/labels": "labels", LABEL: "label"}


def _good(kind: str, version: str) -> dict[str, Any]:
    documents: dict[str, Any] = {
        "plate": made.plate_v04(),
        "well": {"well": {"version": "0.4", "images": [{"path": "0", "acquisition": 0}]}},
        "image": made.image_v04(),
        "labels": {"labels": ["nuclei"]},
        "label": made.label_v04(),
    }
    text = json.dumps(documents[kind])
    return json.loads(text) if version == "0.4" else {"version": "0.5", **json.loads(text.replace('"0.4"', '"0.5"'))}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("row", METADATA, ids=[row[0] for row in METADATA])
def test_what_ome_zarr_models_refuses_of_our_mutations_we_refuse(row: Any, version: str) -> None:
    """With the differences that are listed."""
    name, path, change, _ = row
    kind = PLACES[path]
    ome = _good(kind, version)
    document = {"ome": ome} if version == "0.5" else ome
    assert not _models_refuse(kind, version, document)
    change(ome)
    if not _models_refuse(kind, version, document):
        return
    checks = {**CHECKS, "labels": lambda *given: check_labels(*given)[0]}
    findings = checks[kind](document, version) + (check_image(document, version) if kind == "label" else [])
    if name in MODELS_REFUSE_MORE:
        assert [(finding.severity, finding.rule) for finding in findings] == [MODELS_REFUSE_MORE[name]]
    else:
        assert _errors(findings), name
