"""From a microscope folder to an OME-Zarr plate: read with `acquire`, write with `store`, well by well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hts.acquire import Source
from hts.acquire.layout import read_layout
from hts.acquire.select import select
from hts.engine.clusters import available_cores
from hts.engine.conversion.inputs import open_input, with_pixel_size
from hts.engine.conversion.options import CONVERT_STAGE, ConvertOptions, Progress
from hts.engine.conversion.plates import OME_ZARR
from hts.engine.conversion.records import keep_vendor_files, write_completeness, write_layout
from hts.engine.conversion.verification import Verification, verify
from hts.engine.conversion.wells import VERSION, WellJob, Writer, is_done, well_jobs
from hts.errors import UsageError
from hts.locations import Location, location, printable
from hts.recipe import Recipe, fingerprint
from hts.store import (
    Held,
    Markers,
    Plate,
    PlateSpec,
    address,
    create_plate,
    ensure_writable,
    exclusive,
    is_zip,
    looks_like_zarr,
    refuse_other_files,
)

if TYPE_CHECKING:
    from upath import UPath

__all__ = ["CONVERT_STAGE", "Conversion", "ConvertOptions", "Progress", "Verification", "convert", "open_input"]

MOST_WORKERS = 16
"""Threads share one interpreter: beyond these another one waits for the others."""


def convert(
    src: str | Path | UPath,
    dst: str | Path | UPath,
    *,
    recipe: Recipe | None = None,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Plate:
    """Convert the microscope folder `src` to the OME-Zarr plate `dst`.

    Parameters
    ----------
    src : folder that a microscope wrote, a single .nd2 or .czi file, a CSV manifest, or (with ``rewrite``) an OME-Zarr
        plate; a path, or an address such as ``s3://bucket/folder``.
    dst : the plate to make, such as ``plate.ome.zarr``. A conversion that was broken off goes on; one that
        is finished is left as it is; wells whose files changed are converted again.
    recipe : its section ``acquire`` names reader and pattern when `options` does not.
    options, settings : see :class:`hts.engine.ConvertOptions`; as an object or by keyword.
    progress : called after every well.

    Raises
    ------
    NotFoundError, SourceError
        when `src` is absent or no reader recognises it.
    StoreError
        when `dst` cannot be written.
    UsageError
        when `dst` is something else, or another conversion works on it.
    """
    conversion = Conversion.prepare(src, dst, replace(options or ConvertOptions(), **settings), recipe)
    return conversion.run(progress)


@dataclass(frozen=True)
class Conversion:
    """A conversion that is about to be: what is read, where it goes, and how."""

    source: Source
    destination: Location
    options: ConvertOptions

    @classmethod
    def prepare(
        cls,
        src: str | Path | UPath,
        dst: str | Path | UPath,
        options: ConvertOptions,
        recipe: Recipe | None = None,
    ) -> Conversion:
        """Read the listing of `src`; raises as :func:`convert` does. Nothing is written."""
        if recipe is not None:
            reader, pattern = recipe.acquire.reader, recipe.acquire.pattern
            options = replace(options, reader=options.reader or reader, pattern=options.pattern or pattern)
        source = open_input(location(src), options.reader, options.pattern)
        if source.reader == OME_ZARR and not options.rewrite:
            raise UsageError(
                "a microscope folder to convert",
                found=f"{src} is an OME-Zarr plate already",
                fix=f"use it as it is (hts run RECIPE {src}), or copy it into a plate of our own with --rewrite",
            )
        if is_zip(location(dst)):
            raise UsageError("a folder or an address to write the plate to", found=f"{dst}: zip files are only read")
        if address(source.root) == address(location(dst)):
            raise UsageError(f"a destination other than the source {src} itself", fix="choose another destination")
        source = with_pixel_size(select(source, options.part), options.pixel_size_um)
        return cls(_with_offset_notes(source, options), location(dst), options)

    @cached_property
    def offset(self) -> int:
        """What is subtracted from every pixel."""
        return self.source.offset if self.options.remove_offset else 0

    @cached_property
    def projected(self) -> bool:
        """Whether z stacks become one plane."""
        return self.options.project != "none" and self.source.n_z > 1

    @cached_property
    def jobs(self) -> list[WellJob]:
        """All wells."""
        return well_jobs(self.source, project=self.options.project, offset=self.offset)

    @cached_property
    def workers(self) -> int:
        """Threads at work."""
        return self.options.workers or min(available_cores(), MOST_WORKERS)

    @cached_property
    def spec(self) -> PlateSpec:
        """What all fields share, and where the plate comes from."""
        return plate_spec(self.source, self.destination, self.options)

    def run(self, progress: Progress | None = None) -> Plate:
        """Convert what is not committed yet; see :func:`convert`."""
        layout = read_layout(Path(self.options.layout)) if self.options.layout else None
        ensure_writable(self.destination.parent)
        self._refuse_foreign()
        with exclusive(self.destination / ".hts", "convert") as held:
            self._convert_wells(progress, held)
            if layout is not None:
                write_layout(self.destination, self.source.wells, layout, Path(self.options.layout or ""))
        return Plate.open(self.destination)

    def verify(self, progress: Progress | None = None) -> Verification:
        """Read every plane of the source and of the plate again and compare them."""
        plate = Plate.open(self.destination)
        return verify(plate, self.jobs, self.workers, _counter(progress, 0, len(self.jobs)))

    def _refuse_foreign(self) -> None:
        """Nothing that `hts convert` did not write is ever written into, and no committed well is ever forgotten."""
        refuse_other_files(self.destination)
        if not looks_like_zarr(self.destination):
            return
        plate = Plate.open(self.destination)
        if "conversion" not in plate.origin:
            raise UsageError(
                f"{self.destination} is new or was made by hts convert",
                found="another plate",
                fix="choose another destination",
            )
        if plate.version != self.options.ngff:
            raise UsageError(
                f"{self.destination} is OME-Zarr {self.options.ngff}",
                found=f"a plate of version {plate.version}",
                fix="choose another destination, or convert with the version that is there",
            )
        self._refuse_loss("wells", plate.wells, self.source.wells)
        self._refuse_loss("fields", plate.origin.get("fields", ()), _field_numbers(self.source))
        channels = [channel["name"] for channel in plate.origin["channels"]]
        self._refuse_loss("channels", channels, [channel.name for channel in self.source.channels])
        self._refuse_other_conversion(plate)

    def _refuse_loss(self, noun: str, there: Iterable[Any], coming: Iterable[Any]) -> None:
        known = set(coming)
        if lost := [str(one) for one in there if one not in known]:
            raise UsageError(
                f"the source has all {noun} of {self.destination}",
                found=f"{len(lost)} {noun} of the plate are not among them, such as {lost[0]}",
                fix=f"choose another destination, or leave --{noun} as it was",
            )

    def _refuse_other_conversion(self, plate: Plate) -> None:
        """A plate of another name, or one made with other options, is overwritten only when that is asked for."""
        now = self.spec.origin or {}
        if self.options.overwrite or (plate.name, plate.origin["conversion"]) == (self.spec.name, now["conversion"]):
            return
        there = {**plate.origin, "plate": plate.name}
        coming = {**now, "plate": self.spec.name}
        keys = [key for key in ("plate", "project", "removed_offset") if there.get(key) != coming[key]]
        told = "; ".join(f"{key} {there.get(key)} there, {coming[key]} now" for key in keys)
        raise UsageError(
            f"{self.destination} is new, or was converted from this plate with these options",
            found=told or "a conversion with other channels, planes, pixel size or pixel type",
            fix="choose another destination, or convert it again with --overwrite",
        )

    def _forget_other_conversion(self) -> None:
        """Wells that were committed for other options are about to be overwritten: they must not count as done later.

        The root still names the other conversion until this has come to its end, so it is also done after a kill.
        """
        if not looks_like_zarr(self.destination):
            return
        last = str(Plate.open(self.destination).origin["conversion"])
        if last == str((self.spec.origin or {})["conversion"]):
            return
        markers = Markers(self.destination / ".hts", CONVERT_STAGE, last)
        for well in markers.units():
            markers.discard(well)

    def _convert_wells(self, progress: Progress | None, held: Held) -> None:
        self._forget_other_conversion()
        create_plate(self.destination, self.spec)
        markers = Markers(self.destination / ".hts", CONVERT_STAGE, str((self.spec.origin or {})["conversion"]))
        todo = [job for job in self.jobs if self.options.overwrite or not is_done(job, markers)]
        committed = _counter(progress, len(self.jobs) - len(todo), len(self.jobs))
        Writer(self.destination, self.spec, markers, held).convert(todo, self.workers, committed)
        known = (markers.read(job.well.name) for job in self.jobs)
        issues = (issue for marker in known if marker for issue in marker["issues"])
        write_completeness(self.source, issues, self.destination, stacks=self.projected)
        keep_vendor_files(self.source, self.destination)


def _counter(progress: Progress | None, done: int, expected: int) -> Callable[[], None]:
    numbers = iter(range(done + 1, expected + 1))

    def count() -> None:
        number = next(numbers)
        if progress is not None:
            progress(number, expected)

    return count


def _with_offset_notes(source: Source, options: ConvertOptions) -> Source:
    if not options.remove_offset:
        return source
    said = f"the constant offset of {source.offset:,} was removed from every pixel"
    kept = tuple(note for note in source.notes if "constant offset" not in note)
    return replace(source, notes=(*kept, said if source.offset else "no constant offset was found, none was removed"))


def _field_numbers(source: Source) -> list[int]:
    return sorted({number for well in source.wells for number in source.fields(well)})


def plate_spec(source: Source, destination: Location, options: ConvertOptions | None = None) -> PlateSpec:
    """What all fields share, and where the plate comes from."""
    options = options or ConvertOptions()
    projected = options.project != "none" and source.n_z > 1
    size = source.pixel_size
    spec = PlateSpec(
        name=source.plate_name or printable(destination.name.removesuffix(".zarr").removesuffix(".ome")),
        fields={well: source.fields(well) for well in source.wells},
        channels=source.channels,
        shape=source.shape,
        dtype=np.dtype(source.dtype),
        pixel_size=replace(size, z_um=None) if size and projected else size,
        n_t=source.n_t,
        n_z=1 if projected else source.n_z,
        ngff=options.ngff,
        time_step_s=source.acquisition.time_step_s,
    )
    shared = {
        "channels": [asdict(channel) for channel in spec.channels],
        "shape": list(spec.shape),
        "dtype": spec.dtype.str,
        "pixel_size": asdict(spec.pixel_size) if spec.pixel_size else None,
        "n_t": spec.n_t,
        "n_z": spec.n_z,
        "ngff": spec.ngff,
        "time_step_s": spec.time_step_s,
        "project": options.project if projected else "none",
        "removed_offset": source.offset if options.remove_offset else 0,
    }
    notes = [f"z stacks of {source.n_z} planes were replaced by their {options.project}"] if projected else []
    origin = {
        "format": 2,
        "conversion": fingerprint(CONVERT_STAGE, VERSION, shared, {}),
        "reader": source.reader,
        "source": printable(source.root.name),
        "channels": shared["channels"],
        "fields": _field_numbers(source),
        "acquisition": {key: value for key, value in asdict(source.acquisition).items() if value not in ("", None)},
        "offset": source.offset,
        **{key: shared[key] for key in ("project", "removed_offset")},
        "notes": [*source.notes, *notes],
    }
    return replace(spec, origin=origin)
