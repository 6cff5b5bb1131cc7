"""What a microscope folder or a plate holds, for people and programs, before anything is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts.acquire import Source
from hts.acquire.select import EVERYTHING, Part, select
from hts.engine.conversion import open_input
from hts.locations import location, printable
from hts.model import Channel, PlateLayout, WellId, row_name

if TYPE_CHECKING:
    from upath import UPath

MARKS = {"found": "●", "partly": "◐", "none": "○", "absent": "·"}
SHOWN_ISSUES = 30


@dataclass(frozen=True)
class Inspection:
    """A folder as a reader understands it."""

    source: Source

    @cached_property
    def counts(self) -> dict[str, int]:
        """Planes by status."""
        return {"found": len(self.source.planes), **Counter(issue.status for issue in self.source.issues)}

    @cached_property
    def fields_per_well(self) -> int:
        """Most fields that a well has."""
        return max((len(self.source.fields(well)) for well in self.source.wells), default=0)

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs; issues name well, field, channel, z, t, status, reason and file."""
        source = self.source
        return {
            "source": printable(str(source.root)),
            "reader": source.reader,
            "plate": source.plate_name,
            "wells": [well.name for well in source.wells],
            "fields": self.fields_per_well,
            "channels": [channel.name for channel in source.channels],
            "channel_facts": [asdict(channel) for channel in source.channels],
            "z": source.n_z,
            "t": source.n_t,
            "shape": list(source.shape),
            "dtype": str(source.dtype),
            "pixel_size_um": asdict(source.pixel_size) if source.pixel_size else None,
            "offset": source.offset,
            "acquisition": asdict(source.acquisition),
            "planes": self.counts,
            "issues": [asdict(issue) | {"well": issue.well.name} for issue in source.issues],
            "vendor_files": [printable(str(file)) for file in source.vendor_files],
            "notes": list(source.notes),
        }

    def lines(self) -> list[str]:
        """A summary, a plate map of completeness and what is wrong."""
        source = self.source
        size = source.pixel_size
        pixel = f"{size.x_um:g} µm a pixel" if size else "pixel size unknown"
        step = f", {size.z_um:g} µm between z planes" if size and size.z_um else ""
        text = [
            f"{source.root}: {source.plate_name or 'a plate'}, read as {source.reader}",
            f"{len(source.wells)} wells × {self.fields_per_well} fields × {len(source.channels)} channels "
            f"({', '.join(channel.name for channel in source.channels)}) × {source.n_z} z × {source.n_t} t",
            f"planes of {source.shape[0]} × {source.shape[1]} {source.dtype}, {pixel}{step}",
            *self._acquisition(),
            "planes: " + ", ".join(f"{number} {status}" for status, number in self.counts.items()),
            *self._map(),
        ]
        for issue in source.issues[:SHOWN_ISSUES]:
            place = f"z={issue.z} t={issue.t}" if source.n_z * source.n_t > 1 else ""
            text.append(f"  {issue.well} field {issue.field} {issue.channel} {place}: {issue.status}, {issue.reason}")
        if len(source.issues) > SHOWN_ISSUES:
            text.append(f"  … and {len(source.issues) - SHOWN_ISSUES} more; --json lists them all")
        return [printable(line) for line in (*text, *(f"note: {note}" for note in source.notes))]

    def _acquisition(self) -> list[str]:
        """What the metadata say of the microscope and its channels, where they say something."""
        known = self.source.acquisition
        facts = [
            f"barcode {known.barcode}" if known.barcode else "",
            known.instrument,
            known.objective or (f"{known.magnification:g}×" if known.magnification else ""),
            f"NA {known.numerical_aperture:g}" if known.numerical_aperture else "",
            f"begun {known.started}" if known.started else "",
            f"every {known.time_step_s:g} s" if known.time_step_s else "",
        ]
        said = ", ".join(fact for fact in facts if fact)
        channels = [text for channel in self.source.channels if (text := _channel(channel))]
        return [f"acquired: {said}"] * bool(said) + ["channels: " + "; ".join(channels)] * bool(channels)

    def _map(self) -> list[str]:
        """One mark a well: all planes found, some, none, or no such well."""
        found = {plane.well for plane in self.source.planes}
        broken = {issue.well for issue in self.source.issues}
        layout = PlateLayout.holding(found | broken)
        header = "    " + " ".join(f"{column + 1:>2}" for column in range(layout.columns))
        rows = [header]
        for row in range(layout.rows):
            marks = [_mark(WellId(row, column), found, broken) for column in range(layout.columns)]
            rows.append(f"{row_name(row):>3} " + " ".join(f" {mark}" for mark in marks))
        return [*rows, "    ● all planes   ◐ some   ○ none"]


def _channel(channel: Channel) -> str:
    parts = [
        f"{channel.excitation_nm:g} → " if channel.excitation_nm else "",
        f"{channel.wavelength_nm:g} nm " if channel.wavelength_nm else "",
        f"{channel.exposure_ms:g} ms" if channel.exposure_ms else "",
    ]
    said = "".join(parts).strip()
    return f"{channel.name} {said}" if said else ""


def _mark(well: WellId, found: set[WellId], broken: set[WellId]) -> str:
    if well in found:
        return MARKS["partly"] if well in broken else MARKS["found"]
    return MARKS["none"] if well in broken else MARKS["absent"]


def inspect_source(
    src: str | Path | UPath, *, reader: str | None = None, pattern: str | None = None, part: Part = EVERYTHING
) -> Inspection:
    """Read the listing of a folder, or an OME-Zarr plate; see :func:`hts.open_source` for what is raised."""
    return Inspection(select(open_input(location(src), reader, pattern), part))
