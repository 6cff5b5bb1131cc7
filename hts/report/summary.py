"""The words and numbers of the page: headline tiles, what failed, and the quality table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from hts.model import WellId
from hts.report._style import duration_text, finite, number_text, quality_word
from hts.report.data import ReportData

MAX_PLANES = 500
PLANE_COLUMNS = ("Well", "Field", "Channel", "Z", "T", "Status", "Reason", "File")


@dataclass(frozen=True)
class Tile:
    """A headline figure with what it is counted in or out of; ``tone`` is a CSS class (good, warn, bad, none)."""

    label: str
    value: str
    unit: str = ""
    note: str = ""
    tone: str = "none"


@dataclass(frozen=True)
class Trouble:
    """What the reader must know: wells by reason, problem planes (at most ``MAX_PLANES``), notes."""

    failed: tuple[tuple[str, tuple[str, ...]], ...]
    queued: tuple[str, ...]
    plane_columns: tuple[str, ...]
    planes: tuple[tuple[str, ...], ...]
    plane_count: int
    notes: tuple[str, ...]
    well_count: int

    @property
    def failed_count(self) -> int:
        return sum(len(wells) for _, wells in self.failed)

    @property
    def any_failure(self) -> bool:
        return bool(self.failed or self.queued or self.planes)


@dataclass(frozen=True)
class QualityRow:
    """A feature's assay quality; ``bar`` is Z′ clipped to 0…1, in percent."""

    feature: str
    z_prime: str
    ssmd: str
    word: str
    tone: str
    bar: int


@dataclass(frozen=True)
class SegmentationRow:
    """How an object set was made, as text; a dash where something does not apply."""

    object_set: str
    method: str
    weights: str
    device: str
    diameter: str
    objects: str
    touching: str
    orphans: str
    seams: str
    tone: str


def segmentation_rows(data: ReportData) -> tuple[SegmentationRow, ...]:
    """One row an object set."""
    return tuple(_segmentation_row(entry) for entry in data.segmentation)


def recipe_name(data: ReportData) -> str:
    """From the provenance, else the recipe's own ``name``, else nothing."""
    if named := data.provenance.get("recipe"):
        return str(named)
    try:
        recipe = yaml.safe_load(data.recipe_yaml)
    except yaml.YAMLError:
        return ""
    return str(recipe.get("name", "")) if isinstance(recipe, dict) else ""


def tiles(data: ReportData) -> tuple[Tile, ...]:
    """The figures at the top of the page."""
    return (_wells_tile(data), _cells_tile(data), *_quality_tiles(data), _fields_tile(data), _time_tile(data))


def trouble(data: ReportData) -> Trouble:
    """Failures and notes, sorted by plate position."""
    columns = tuple(name for name in PLANE_COLUMNS if name in data.planes.columns)
    rows = data.planes.loc[:, list(columns)].head(MAX_PLANES)
    return Trouble(
        failed=_failed_by_reason(data),
        queued=_wells(data, "queued"),
        plane_columns=columns,
        planes=tuple(tuple(_cell_text(value) for value in row) for row in rows.itertuples(index=False, name=None)),
        plane_count=len(data.planes),
        notes=data.notes,
        well_count=len(data.wells),
    )


def quality_rows(data: ReportData) -> tuple[QualityRow, ...]:
    """The chosen features; the readout alone when no feature is listed; nothing without controls."""
    listed = data.quality.get("features") or []
    if not listed and finite(data.quality.get("z_prime")) is not None:
        listed = [{**data.quality, "feature": data.quality.get("readout") or data.readout_name}]
    return tuple(_quality_row(entry) for entry in listed)


def control_sentence(data: ReportData) -> str:
    """How many control wells there are."""
    counts = [_control_count(data, kind) for kind in ("negative", "positive")]
    if None in counts or not all(counts):
        return ""
    return f"{counts[0]} negative and {counts[1]} positive control wells"


def _quality_row(entry: Any) -> QualityRow:
    word, tone = quality_word(entry.get("z_prime"))
    share = min(max(finite(entry.get("z_prime")) or 0.0, 0.0), 1.0)
    return QualityRow(
        feature=str(entry.get("feature", "")),
        z_prime=number_text(entry.get("z_prime")),
        ssmd=number_text(entry.get("ssmd")),
        word=word,
        tone=tone,
        bar=round(share * 100),
    )


def _segmentation_row(entry: Mapping[str, Any]) -> SegmentationRow:
    model, dropped = entry.get("model"), int(entry.get("dropped_at_border") or 0)
    touching = number_text(entry.get("touching_border"))
    seams = entry.get("seams") or {}
    return SegmentationRow(
        object_set=str(entry.get("object_set", "")),
        method=f"{entry.get('method', '')} {model}" if model else str(entry.get("method", "")),
        weights=str(entry.get("weights_sha256") or "–")[:12],
        device=str(entry.get("device") or "–"),
        diameter=f"{number_text(entry['diameter_px'])} px" if entry.get("diameter_px") else "–",
        objects=number_text(entry.get("objects")),
        touching=f"{touching}, {number_text(dropped)} dropped" if dropped else touching,
        orphans=number_text(entry.get("orphans")),
        seams=str(seams.get("verdict") or "no seams"),
        tone=str(seams.get("tone") or "none"),
    )


def _wells_tile(data: ReportData) -> Tile:
    done, failed, queued = (len(_wells(data, status)) for status in ("done", "failed", "queued"))
    problems = [f"{count} {word}" for count, word in ((failed, "failed"), (queued, "not run")) if count]
    note = ", ".join(problems) or "none failed"
    tone = "bad" if failed else "warn" if queued else "good"
    return Tile("Wells done", str(done), f"of {len(data.wells)}", note, tone)


def _cells_tile(data: ReportData) -> Tile:
    cells = pd.to_numeric(data.wells.get("Cells", pd.Series(dtype=float)), errors="coerce").dropna()
    nuclei = finite(data.quality.get("nuclei"))
    total = float(cells.sum()) if nuclei is None and len(cells) else nuclei
    note = f"median {number_text(round(float(cells.median())))} a well" if len(cells) else ""
    return Tile("Cells", number_text(total), note=note)


def _quality_tiles(data: ReportData) -> tuple[Tile, ...]:
    quality = data.quality
    word, tone = quality_word(quality.get("z_prime"))
    verdict = "no controls" if tone == "none" else f"{word}, {data.readout_name}"
    controls = [_control_count(data, kind) for kind in ("negative", "positive")]
    pair = f"{controls[0]} negative, {controls[1]} positive wells" if None not in controls else "no controls"
    ec50 = finite(quality.get("ec50")) or finite((data.fit or {}).get("ec50"))
    return (
        Tile("Z′", number_text(quality.get("z_prime")), note=verdict, tone=tone),
        Tile("SSMD", number_text(quality.get("ssmd")), note=pair),
        Tile("EC50", number_text(ec50), note=data.dose_name if ec50 else "no fit"),
    )


def _fields_tile(data: ReportData) -> Tile:
    sums = {
        name: pd.to_numeric(data.wells.get(name, pd.Series(dtype=float)), errors="coerce").sum()
        for name in ("FieldsUsed", "FieldsExpected")
    }
    missing = sums["FieldsExpected"] - sums["FieldsUsed"]
    note = f"{number_text(missing)} missing" if missing > 0 else "complete"
    used, expected = number_text(sums["FieldsUsed"]), number_text(sums["FieldsExpected"])
    return Tile("Fields used", used, f"of {expected}", note, "warn" if missing > 0 else "good")


def _time_tile(data: ReportData) -> Tile:
    seconds = pd.to_numeric(data.wells.get("Seconds", pd.Series(dtype=float)), errors="coerce").dropna()
    each = f"{duration_text(float(seconds.median()))} a well" if len(seconds) else ""
    run = finite(data.provenance.get("seconds"))
    if run is not None:
        return Tile("Run time", duration_text(run), note=each)
    return Tile("Computing time", duration_text(float(seconds.sum()) if len(seconds) else None), note=each)


def _control_count(data: ReportData, kind: str) -> int | None:
    stated = finite(data.quality.get(f"n_{kind}"))
    if stated is not None:
        return int(stated)
    return None if data.dose is None else int((data.dose["Kind"] == kind).sum()) or None


def _wells(data: ReportData, status: str) -> tuple[str, ...]:
    if data.wells.empty:
        return ()
    return tuple(_plate_order(data.wells.loc[data.wells["Status"] == status, "Well"]))


def _failed_by_reason(data: ReportData) -> tuple[tuple[str, tuple[str, ...]], ...]:
    failed = data.wells.loc[data.wells["Status"] == "failed"] if not data.wells.empty else data.wells
    if failed.empty:
        return ()
    reasons = failed["Reason"].map(lambda reason: _cell_text(reason) or "no reason recorded")
    groups = [(str(reason), tuple(_plate_order(group["Well"]))) for reason, group in failed.groupby(reasons)]
    return tuple(sorted(groups, key=lambda group: (-len(group[1]), WellId.parse(group[1][0]))))


def _plate_order(names: pd.Series) -> list[str]:
    return sorted(map(str, names), key=WellId.parse)


def _cell_text(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value == int(value):
        return str(int(value))  # A column of integers with a gap comes as floats.
    return str(value)
