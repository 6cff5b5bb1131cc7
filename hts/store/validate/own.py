"""Plates that hts made: whether their conversion has finished and which planes never came."""

from __future__ import annotations

import io
from typing import Any

from hts.errors import StoreError
from hts.locations import Location
from hts.store.validate.findings import Check, is_whole
from hts.store.validate.places import read, storage_failures

FORMAT_WITHOUT_GAPS = 2
"""From this format on, every plane that was acquired has its file, also a black one."""


def check_own(check: Check, root: Location, origin: dict[str, Any], wells: list[str]) -> None:
    """Check what ``.hts`` says of a plate whose top group has our own attributes (`origin`).

    Parameters
    ----------
    wells : paths such as ``B/03`` of the wells that the plate lists.
    """
    fingerprint = origin.get("conversion")
    if not isinstance(fingerprint, str):
        return
    folder = root / ".hts" / "markers" / f"convert-{fingerprint}"
    try:
        done = {file.name.removesuffix(".json") for file in folder.iterdir()} if folder.is_dir() else set()
    except storage_failures() as error:
        check.note("conversion", "hts", f"The markers in {folder} cannot be read ({error}).")
        return
    missing = [well for well in wells if well.replace("/", "") not in done]
    if missing and not done:
        text = (
            "The markers of the conversion (.hts) are expected, found none; it did not finish, or they were not copied."
        )
        check.warning("conversion", "hts.conversion", f"{text} Nothing tells whether the plate is whole.")
    elif missing:
        found = f"{len(missing)} of {len(wells)} wells not done, first {missing[0]}"
        text = f"A finished conversion is expected, found {found}."
        check.warning("conversion", "hts.conversion", f"{text} Give the hts convert command again: it goes on.")
    _check_planes(check, root)


def _check_planes(check: Check, root: Location) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = read(root / ".hts" / "completeness.parquet")
        if content is None:
            return
        counted = pq.read_table(io.BytesIO(content), columns=["Status"])["Status"].value_counts().to_pylist()
    except (StoreError, pa.ArrowException) as error:
        text = f"The completeness table is expected to be readable, found {' '.join(str(error).split())}."
        check.warning("completeness", ".hts/completeness.parquet", f"{text} Convert again to have it back.")
        return
    counts = {entry["values"]: entry["counts"] for entry in counted}
    broken = {status: n for status, n in counts.items() if status != "found"}
    if broken:
        listed = ", ".join(f"{n} {status}" for status, n in sorted(broken.items()))
        text = f"{sum(counts.values())} planes were expected when the plate was converted: {listed}."
        check.warning("planes", ".hts/completeness.parquet", f"{text} Their fields are measured without them.")


def absent_planes(image: dict[str, Any]) -> frozenset[tuple[int, ...]] | None:
    """Indices (t, c, z) of planes that our attributes of an image call never acquired.

    None when it is not ours, or of a format in which a black plane has no file: then an absent file tells nothing.
    """
    own = image.get("hts")
    if not isinstance(own, dict) or own.get("format") != FORMAT_WITHOUT_GAPS:
        return None
    listed = own.get("absent_planes", [])
    places = listed if isinstance(listed, list) else []
    return frozenset(tuple(place) for place in places if isinstance(place, list) and all(map(is_whole, place)))
