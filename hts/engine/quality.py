"""How the segmentation went: a row for every field and object set, beside the profiles and in the report."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hts.engine.prepare import Prepared
from hts.locations import Location
from hts.model import WellId
from hts.store import Markers, exists, read_table, write_table

QUALITY_NAME = "quality.parquet"
IDENTITY = ["Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectSet"]
_SEAMS = "seams."
COUNTS = ("objects", "touching_border", "dropped_at_border", "orphans", "primary_without")


def quality_rows(prepared: Prepared, wells: Iterable[WellId]) -> list[dict[str, Any]]:
    """What the markers of these wells tell, a record for every field and object set, in the order of the plate.

    ``objects``, ``touching_border``, ``dropped_at_border``, ``orphans`` (without a primary object) and
    ``primary_without`` (primary objects without one of these) are there for every set; the rest is what its segmenter
    told, parts of a mapping joined by a dot.
    """
    markers = Markers(prepared.results, "segment", prepared.prints.segment)
    rows = []
    for well in sorted(wells):
        told = (markers.read(well.name) or {}).get("quality", {})
        for number, sets in sorted(told.items(), key=lambda item: int(item[0])):
            for name, facts in sets.items():
                values = (prepared.plate.name, well.name, int(number), name)
                method = prepared.recipe.segment[name].method
                rows.append({**dict(zip(IDENTITY, values, strict=True)), "method": method, **_flat(facts)})
    return rows


def write_quality(place: Location, rows: list[dict[str, Any]]) -> None:
    """Write the table, unless the same is there already."""
    table = pd.DataFrame(rows, columns=None if rows else [*IDENTITY, "method", *COUNTS])
    if not exists(place) or read_table(place).to_json(orient="records") != table.to_json(orient="records"):
        write_table(place, table)


def quality_notes(rows: list[dict[str, Any]]) -> list[str]:
    """What must not stay silent: pixels that were no numbers, batches that did not fit, and what segmenters say."""
    said: Counter[tuple[str, str]] = Counter()
    devices: dict[str, set[str]] = {}
    said_of_seams: list[str] = []
    for row in rows:
        name = row["Metadata_ObjectSet"]
        devices.setdefault(name, set()).add(str(row.get("device", "cpu")))
        if row.get("nan_pixels"):
            said[name, "pixels that are not finite, taken for background"] += 1
        if row.get("batch_halvings"):
            said[name, "batches were halved, because the device had not the memory for whole ones"] += 1
        for note in json.loads(row.get("notes") or "[]"):
            said[name, note] += 1
    for name in devices:
        verdict = seam_verdict([row for row in rows if row["Metadata_ObjectSet"] == name])
        if verdict is not None and verdict["tone"] != "good":
            said_of_seams.append(f"{name}, seams of blocks {verdict['verdict']}")
    mixed = [f"{name}: computed on {' and '.join(sorted(on))}" for name, on in devices.items() if len(on) > 1]
    fields = [f"{name}, {count} field{'s' if count > 1 else ''}: {text}" for (name, text), count in said.items()]
    return said_of_seams + mixed + fields


def segmentation_summary(prepared: Prepared, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record for every object set: with what it was made, and its sums over all fields."""
    return [
        {
            "object_set": name,
            "method": params.method,
            **_sums([row for row in rows if row["Metadata_ObjectSet"] == name]),
        }
        for name, params in prepared.recipe.segment.items()
    ]


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    diameters = sorted(row["diameter_px"] for row in rows if row.get("diameter_px"))
    # Of sets that are segmented and not measured, fields cut into blocks tell no counts.
    told = {key: [row[key] for row in rows if row.get(key) is not None] for key in COUNTS}
    counts = {key: sum(values) if values else None for key, values in told.items()}
    return {
        "fields": len(rows),
        "model": _distinct(rows, "model"),
        "weights_sha256": _distinct(rows, "weights_sha256"),
        "device": _distinct(rows, "device") or "cpu",
        "diameter_px": diameters[len(diameters) // 2] if diameters else None,
        "seams": seam_verdict(rows),
        **counts,
    }


def seam_verdict(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Whether tiling shows in the objects of all fields together; None where there were no seams.

    Objects that end straight along a line are counted along the seams. As many are expected there as along lines where
    no seam can be; more than three standard deviations above that, tiling shows.
    """
    seams = [row for row in rows if row.get(f"{_SEAMS}seam_px")]
    if not seams:
        return None
    length_px = sum(row[f"{_SEAMS}seam_px"] for row in seams)
    found = sum(row.get(f"{_SEAMS}seam_straight_edges", 0) for row in seams)
    rate = f"{_SEAMS}inner_straight_edges_per_1000_px"
    expected = sum(row.get(rate, 0.0) * row[f"{_SEAMS}seam_px"] / 1000 for row in seams)
    shows = found > expected + 3 * math.sqrt(max(expected, 1.0))
    said = f"{found} straight edges along {length_px} px of seams, {expected:.0f} expected"
    if cut := sum(row.get(f"{_SEAMS}cut_objects", 0) for row in seams):
        said += f"; {cut} objects that no block saw whole, larger than half of blocks.overlap_px"
    tone = "bad" if shows else "warn" if cut else "good"
    return {"verdict": f"visible: {said}" if shows else f"none visible: {said}", "tone": tone}


def _distinct(rows: list[dict[str, Any]], key: str) -> str | None:
    return ", ".join(sorted({str(row[key]) for row in rows if row.get(key)})) or None


def _flat(facts: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one; lists as JSON, because a column has one type."""
    flat: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return flat
