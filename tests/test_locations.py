"""Paths and addresses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from upath import UPath

from hts.errors import UsageError
from hts.locations import file_errors, is_local, location, printable, relative_name


def test_text_without_a_protocol_is_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert location("plates/a") == Path("plates/a")
    assert location("~/a") == Path("/somewhere/a")
    assert location("file:///data/a") == Path("/data/a")
    assert is_local(location("plates/a"))
    assert location(UPath("file:///data/a")) == Path("/data/a")
    assert is_local(location(UPath("file:///data/a")))


def test_an_address_keeps_its_protocol_and_behaves_like_a_path() -> None:
    place = location("memory://locations-test/plate")
    assert not is_local(place)
    (place / "A").mkdir(parents=True)
    (place / "A" / "one").write_bytes(b"1")
    assert str(place).startswith("memory:")
    assert [child.name for child in (place / "A").iterdir()] == ["one"]
    assert location(place) is place


def test_an_unknown_protocol_is_refused_with_a_remedy() -> None:
    with pytest.raises(UsageError, match=r"carrier-pigeon.*\n.*pip install"):
        location("carrier-pigeon://plate")


@pytest.mark.parametrize("where", ["~nosuchuser-hts/x", "~nosuchuser-hts"])
def test_the_home_of_nobody_is_refused(where: str) -> None:
    with pytest.raises(UsageError, match=r"nosuchuser-hts.*\n.*in full"):
        location(where)


def test_a_name_that_is_no_utf8_is_escaped_and_any_other_kept() -> None:
    folder = Path("/data/plate")
    assert relative_name(folder / "a" / "10 µm.tif", folder) == "a/10 µm.tif"
    assert relative_name(Path(os.fsdecode(b"/data/plate/10_\xb5m.tif")), folder) == r"10_\xb5m.tif"
    assert printable("\ud800\udcff") == r"\ud800\xff"


def test_errors_of_object_stores_are_those_of_the_client_that_is_loaded() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    assert {OSError, exceptions.BotoCoreError, exceptions.ClientError, KeyError} <= set(file_errors(KeyError))
