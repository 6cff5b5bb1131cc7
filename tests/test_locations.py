"""Paths and addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from upath import UPath

from hts.errors import UsageError
from hts.locations import is_local, location


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
