"""What a microscope folder holds, for people and programs, before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hts.acquire import Source, open_source
from hts.model import PlateLayout, WellId, row_name

_MARKS = {"found": "●", "partly": "◐", "none": "○", "absent": "·"}


@dataclass(frozen=True)
class Inspection:
    """A folder as a reader understands it."""

    source: Source

    def counts(self) -> dict[str, int]:
        """Planes by status."""
        counts = {"found": len(self.source.planes)}
        for issue in self.source.issues:
            counts[issue.status] = counts.get(issue.status, 0) + 1
        return counts

    def to_json(self) -> dict[str, Any]:
        source = self.source
        return {
            "source": str(source.root),
            "reader": source.reader,
            "plate": source.plate_name,
            "wells": [well.name for well in source.wells],
            "fields": max((len(source.fields(well)) for well in source.wells), default=0),
            "channels": [channel.name for channel in source.channels],
            "z": source.n_z,
            "t": source.n_t,
            "shape": list(source.shape),
            "dtype": str(source.dtype),
            "pixel_size_um": asdict(source.pixel_size) if source.pixel_size else None,
            "planes": self.counts(),
            "issues": [asdict(issue) | {"well": issue.well.name} for issue in source.issues],
            "notes": list(source.notes),
        }

    def lines(self) -> list[str]:
        """A summary and a plate map of completeness."""
        source = self.source
        size = source.pixel_size
        fields = max((len(source.fields(well)) for well in source.wells), default=0)
        pixel = f"{size.x_um:g} µm a pixel" if size else "pixel size unknown"
        text = [
            f"{source.root}: {source.plate_name or 'a plate'}, read as {source.reader}",
            f"{len(source.wells)} wells × {fields} fields × {len(source.channels)} channels "
            f"({', '.join(channel.name for channel in source.channels)}) × {source.n_z} z × {source.n_t} t",
            f"planes of {source.shape[0]} × {source.shape[1]} {source.dtype}, {pixel}",
            "planes: " + ", ".join(f"{number} {status}" for status, number in self.counts().items()),
            *self._map(),
        ]
        for issue in source.issues[:30]:
            text.append(f"  {issue.well} field {issue.field} {issue.channel}: {issue.status}, {issue.reason}")
        if len(source.issues) > 30:
            text.append(f"  … and {len(source.issues) - 30} more; --json lists them all")
        return text + [f"note: {note}" for note in source.notes]

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


def _mark(well: WellId, found: set[WellId], broken: set[WellId]) -> str:
    if well in found:
        return _MARKS["partly"] if well in broken else _MARKS["found"]
    return _MARKS["none"] if well in broken else _MARKS["absent"]


def inspect_source(src: str | Path, *, reader: str | None = None, pattern: str | None = None) -> Inspection:
    """Read the listing of a folder; see :func:`hts.acquire.open_source` for what is raised."""
    return Inspection(open_source(Path(src), reader=reader, pattern=pattern))
