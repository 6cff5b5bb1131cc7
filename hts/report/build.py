"""From a results folder to the page: everything is read from disk, so that a report can be made at any time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from hts.engine import Status, read_manifest, read_projection, status
from hts.errors import HtsError, NotFoundError
from hts.locations import Location
from hts.pictures import composite, outline_colors, outline_rgba
from hts.recipe import Recipe
from hts.report.data import Overlay, ReportData
from hts.report.page import write_page
from hts.store import Field, Plate, read_json, read_table

REPORT_NAME = "report.html"
OVERLAY_LIMIT_PX = 1024
_FALLBACK_COLORS = ("4060FF", "30D050", "FF4040", "FFC020", "C040FF")


def write_report(plate: Plate | str | Location, results: str | Path | None = None) -> Path:
    """Write ``report.html`` of a plate's last run into its results folder.

    Parameters
    ----------
    plate : an open plate, its path or its address.
    results : folder of the run; ``<plate>.hts`` beside the plate when None.

    Raises
    ------
    NotFoundError
        when nothing ran on the plate, or the run never came to profiles.
    StoreError
        when the page cannot be written.
    """
    data = report_data(plate, results)
    return write_page(data, status(plate, results).results / REPORT_NAME)


def report_data(plate: Plate | str | Location, results: str | Path | None = None) -> ReportData:
    """Gather what the page shows; see :func:`write_report`."""
    opened = plate if isinstance(plate, Plate) else Plate.open(plate)
    state = status(opened, results, section="current")
    manifest = read_manifest(state.results).get("current", {})
    if not manifest:
        raise NotFoundError(
            f"profiles of {opened.name} in {state.results}",
            found=f"a run that is {state.state}",
            fix="give the hts run command again; it goes on where it ended",
        )
    folder = state.results / manifest["profiles"]
    profiles = read_table(folder / "profiles.parquet")
    quality = manifest["quality"]
    dose = read_json(folder / "dose.json")
    table = read_table(folder / "dose.parquet") if (folder / "dose.parquet").exists() else _controls(profiles, quality)
    return ReportData(
        plate=opened.name,
        rows=opened.layout.rows,
        columns=opened.layout.columns,
        profiles=profiles,
        wells=state.wells.replace({"Status": {"waiting": "queued"}}),
        planes=state.planes,
        quality=quality,
        dose=table,
        fit=dose["fit"],
        dose_name=dose["name"],
        readout_name=str(quality["readout"]),
        overlays=tuple(_overlays(opened, manifest, profiles)),
        recipe_yaml=manifest["recipe_yaml"],
        provenance=_provenance(manifest),
        notes=tuple(_notes(state, manifest)),
    )


def _controls(profiles: pd.DataFrame, quality: Mapping[str, Any]) -> pd.DataFrame:
    """Readout of the controls of a plate without doses, so that they are still shown side by side."""
    return pd.DataFrame(
        {
            "Well": profiles["Metadata_Well"],
            "Dose": np.nan,
            "Value": profiles[quality["readout"]],
            "Kind": profiles["Metadata_Control"],
        }
    )


def _provenance(manifest: Mapping[str, Any]) -> dict[str, str]:
    facts = {"recipe": str(manifest["recipe"]), "run started": str(manifest["computed"])}
    facts["seconds"] = str(manifest["seconds"])
    facts |= {str(key): str(value) for key, value in manifest["provenance"].items()}
    return facts | {f"fingerprint of {stage}": name for stage, name in manifest["fingerprints"].items()}


def _notes(state: Status, manifest: Mapping[str, Any]) -> Iterable[str]:
    yield from state.notes
    yield from manifest["notes"]
    for drop in state.dropped_fields:
        yield f"{drop['well']} field {drop['field']} was left out: {drop['reason']}"


def _overlays(plate: Plate, manifest: Mapping[str, Any], profiles: pd.DataFrame) -> Iterable[Overlay]:
    """Fields of random and of extreme wells with the outlines of their objects."""
    readout = str(manifest["quality"]["readout"])
    recipe = Recipe.from_dict(yaml.safe_load(manifest["recipe_yaml"]))
    for well, reason in _choose(profiles, readout, recipe.report.overlays, plate.name):
        for field in plate[well].fields:
            try:
                yield _overlay(field, recipe, manifest["label_names"], (reason, plate.channel_colors))
            except HtsError:
                # A field that cannot be shown is one picture less; why it is broken stands in the list of failures.
                continue
            break


def _choose(profiles: pd.DataFrame, readout: str, number: int, seed: str) -> list[tuple[str, str]]:
    """Wells to show with the reason: lowest and highest readout and count, the rest drawn by lot, always the same."""
    count = next(name for name in profiles.columns if name.startswith("Count_"))
    chosen: dict[str, str] = {}
    for column in dict.fromkeys((readout, count)):
        ranked = profiles.dropna(subset=[column]).sort_values([column, "Metadata_Well"])["Metadata_Well"].tolist()
        for well, side in ((ranked[:1], "lowest"), (ranked[-1:], "highest")):
            if well and len(chosen) < number:
                chosen.setdefault(well[0], f"{side} {column}")
    rest = sorted(set(profiles["Metadata_Well"]) - set(chosen))
    drawn = random.Random(seed).sample(rest, min(len(rest), max(0, number - len(chosen))))
    return [*chosen.items(), *((well, "random") for well in sorted(drawn))]


def _overlay(
    field: Field, recipe: Recipe, names: Mapping[str, str], shown_as: tuple[str, Mapping[str, str]]
) -> Overlay:
    reason, plate_colors = shown_as
    level = _level(field)
    channels = [str(channel) for channel in recipe.channels.values()]
    planes = [read_projection(field, channel, recipe.acquire, level) for channel in channels]
    colors = _colors(channels, plate_colors)
    # Derived sets share their edges with the sets they come from; two outlines are enough to judge.
    shown = {name: field.read_labels(names[name], level) for name in list(names)[:2]}
    return Overlay(
        well=field.key.well.name,
        field=field.key.field,
        title=str(field.key),
        reason=reason,
        image=composite(planes, colors),
        outlines=outline_rgba(shown),
        legend={**dict(zip(channels, colors, strict=True)), **outline_colors(shown)},
    )


def _level(field: Field) -> int:
    """The first pyramid level that is small enough to show."""
    for level in range(field.levels):
        if max(field.array(level).shape[-2:]) <= OVERLAY_LIMIT_PX:
            return level
    return field.levels - 1


def _colors(channels: list[str], plate_colors: Mapping[str, str]) -> list[str]:
    """The plate's own colours when they tell the channels apart, else ours."""
    known = [plate_colors.get(channel, "FFFFFF") for channel in channels]
    if len(set(known)) == len(known) and "FFFFFF" not in known:
        return known
    return [_FALLBACK_COLORS[i % len(_FALLBACK_COLORS)] for i in range(len(channels))]
