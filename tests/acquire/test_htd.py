from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.htd import parse_htd, read_htd
from hts.errors import SourceError
from hts.model import WellId

from .folders import htd

TEXT = htd(("DAPI", "Texas Red"), ((1, 2), (7, 11)), n_t=3, n_z=5)


def test_facts() -> None:
    facts = parse_htd(Path("p.HTD"), TEXT)
    assert (facts.n_t, facts.n_z, facts.n_sites) == (3, 5, None)
    assert facts.wells == {WellId(1, 2), WellId(7, 11)}
    assert facts.waves == {1: "DAPI", 2: "Texas Red"}


def test_keys_and_values_in_any_case_and_sites() -> None:
    text = TEXT.lower() + '"SiteSelection1", TRUE, FALSE\n"SiteSelection2", TRUE, TRUE\n'
    facts = parse_htd(Path("p.HTD"), text)
    assert facts.wells == {WellId(1, 2), WellId(7, 11)}
    assert facts.n_sites == 3


def test_waves_that_were_not_collected_are_not_announced() -> None:
    facts = parse_htd(Path("p.HTD"), TEXT.replace('"WaveCollect2", 1', '"WaveCollect2", 0'))
    assert facts.waves == {1: "DAPI"}


def test_steps_count_only_in_a_series() -> None:
    assert parse_htd(Path("p.HTD"), TEXT.replace('"ZSeries", TRUE', '"ZSeries", FALSE')).n_z is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "p.HTD"
    path.write_bytes(('"Description", "30 µm – °"\r\n'.replace("–", "-") + TEXT).encode(encoding))
    assert read_htd(path).waves == {1: "DAPI", 2: "Texas Red"}


@given(st.binary(max_size=400))
def test_no_content_fails(content: bytes) -> None:
    parse_htd(Path("p.HTD"), content.decode("latin-1"))
    parse_htd(Path("p.HTD"), '"WellsSelection1", ' + content.decode("latin-1"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"p\.HTD: file is not there any more"):
        read_htd(tmp_path / "p.HTD")
