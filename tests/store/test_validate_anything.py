"""Whatever stands in a document, validation ends with findings, never with a crash."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hts.store.validate import check_image, check_label, check_labels, check_plate, check_well, validate
from tests.store import validate_plates as made
from tests.store.validate_plates import IMAGE, LABEL

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70_000)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "\0", "/", "..", "A/01", "0/"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
DOCUMENTS: dict[str, Any] = {
    "": made.plate_v04(),
    "A/01": {"well": {"version": "0.4", "images": [{"path": "0", "acquisition": 0}]}},
    IMAGE: made.image_v04(),
    "A/01/0/labels": {"labels": ["nuclei"]},
    LABEL: made.label_v04(),
}


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Pointers to everything in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, child in inner for place in _places(child, (*at, key)))]


def _replaced(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    document = copy.deepcopy(document)
    holder = document
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = value
    return document


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, Any]:
    """A document's group and its attributes with one or two places replaced by anything."""
    path = draw(st.sampled_from(sorted(DOCUMENTS)))
    document = DOCUMENTS[path]
    for _ in range(draw(st.integers(1, 2))):
        document = _replaced(document, draw(st.sampled_from(_places(document))), draw(VALUES))
    return path, document


@given(broken(), st.sampled_from(["0.4", "0.5"]))
@settings(max_examples=300, deadline=None)
def test_pure_checks_never_crash(case: tuple[str, Any], version: str) -> None:
    _, document = case
    attributes = {"ome": document} if version == "0.5" else document
    for check in (check_plate, check_well, check_image, check_label, check_labels):
        assert isinstance(check(attributes, version), list | tuple)
    assert isinstance(check_well(attributes, version, {0, 1}), list)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write_v04(tmp_path_factory.mktemp("good") / "plate.zarr")


@given(broken())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_walk_never_crashes(good: Path, tmp_path: Path, case: tuple[str, Any]) -> None:
    path, document = case
    file = good / path / ".zattrs"
    before = file.read_bytes()
    try:
        file.write_text(json.dumps(document))
        result = validate(good)
        assert json.dumps(result.to_json())
        assert result.lines()
    finally:
        file.write_bytes(before)


@given(at=st.sampled_from(_places({"shape": [2], "chunks": [1], "dtype": "", "compressor": {"id": ""}})), value=VALUES)
@settings(max_examples=40, deadline=None)
def test_array_documents_never_crash_it(good: Path, at: tuple[Any, ...], value: Any) -> None:
    file = good / IMAGE / "0" / ".zarray"
    before = file.read_bytes()
    document = json.loads(before)
    try:
        file.write_text(json.dumps(_replaced(document, at, value) if at else value))
        assert validate(good).lines()
    finally:
        file.write_bytes(before)


def test_the_good_plate_is_good_again(good: Path, tmp_path: Path) -> None:
    assert validate(shutil.copytree(good, tmp_path / "copy")).findings == []
