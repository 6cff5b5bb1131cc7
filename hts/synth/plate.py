"""Write a synthetic plate: images in a microscope's layout, the plate layout, and the truth beside them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StoreError, UsageError
from hts.model import FieldKey
from hts.synth.microscopes import microscope
from hts.synth.render import RenderedField, render_field, render_plane
from hts.synth.scan import PlateScan, ScanChannel, Shot
from hts.synth.spec import Z_STEP_UM, SynthSpec, faults, treatments
from hts.synth.stains import STAINS
from hts.synth.truth import Truth

LAYOUT_COLUMNS = ("Well", "Dose_uM", "Control", "Compound")


def write_plate(dst: Path, spec: SynthSpec) -> Truth:
    """Make the plate of ``spec`` in ``dst`` and return what is true of it.

    ``dst`` gets ``<plate_name>/`` (the microscope's folder), ``layout.csv`` and ``truth/``. The same spec gives the
    same bytes of images (in CZI files the same pixels: each has an identifier of its own). ``truth/truth.json`` is
    written last: without it the plate is not finished.

    Raises
    ------
    UsageError
        when ``dst`` is not a new or empty folder, or the microscope's layout has no place for what is asked.
    StoreError
        when a file cannot be written.
    """
    dst = Path(dst)
    if dst.exists() and not (dst.is_dir() and not any(dst.iterdir())):
        raise UsageError(
            "a new or empty folder for the synthetic plate",
            found=f"{dst} holds something already",
            fix="name a folder that does not exist, or remove this one",
        )
    truth = Truth.at(dst, spec, *faults(spec))
    try:
        _write(truth)
    except OSError as error:
        raise StoreError(
            f"a synthetic plate in {dst}",
            found=str(error),
            cause="the folder is not writable or the disk is full",
            fix="remove what is there and write to a folder with enough room",
        ) from error
    return truth


def plate_scan(spec: SynthSpec) -> PlateScan:
    """What the simulated microscope is asked to acquire; the spec's missing field is lost."""
    stains = [(name, STAINS[name]) for name in spec.channel_names]
    return PlateScan(
        plate_name=spec.plate_name,
        layout=spec.layout,
        wells=spec.well_ids,
        channels=tuple(
            ScanChannel(name, stain.wavelength_nm, stain.excitation_nm, stain.exposure_ms) for name, stain in stains
        ),
        fields=spec.fields,
        n_z=spec.z_planes,
        n_t=spec.time_points,
        shape=(spec.size_px, spec.size_px),
        pixel_size_um=spec.pixel_size_um,
        z_step_um=Z_STEP_UM,
        lost=frozenset(faults(spec)[0]),
        barcode=f"HTS{spec.seed:06d}",
    )


class _Camera:
    """Gives planes to the microscope's layout, one rendered field in memory; keeps the truth of each field."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._field: RenderedField | None = None
        self.tables: dict[FieldKey, dict[str, NDArray[Any]]] = {}

    def __call__(self, shot: Shot) -> NDArray[np.generic]:
        return render_plane(self._truth.spec, self.look_at(shot.key), shot.channel, shot.z, shot.t)

    def look_at(self, key: FieldKey) -> RenderedField:
        if self._field is None or self._field.key != key:
            self._field = None  # gone before the next one is made
            self._field = render_field(self._truth.spec, *key)
            _write_labels(self._truth, self._field)
            self.tables[key] = self._field.table
        return self._field


def _write(truth: Truth) -> None:
    spec, camera = truth.spec, _Camera(truth)
    truth.labels.mkdir(parents=True)
    _write_layout(truth)
    truth.plate.mkdir()
    microscope(spec.microscope).write(truth.plate, plate_scan(spec), camera)
    keys = [FieldKey(well, field) for well in spec.well_ids for field in range(1, spec.fields + 1)]
    for key in keys:
        if key not in camera.tables:
            camera.look_at(key)
    _write_cells(truth.cells, [camera.tables[key] for key in keys])
    truth.save()


def _write_layout(truth: Truth) -> None:
    with truth.layout.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(LAYOUT_COLUMNS)
        for well, treatment in treatments(truth.spec).items():
            writer.writerow([well.name, treatment.dose_uM, treatment.control, treatment.compound])


def _write_labels(truth: Truth, field: RenderedField) -> None:
    import tifffile

    for role, labels in (("nuclei", field.nuclei), ("cells", field.cells)):
        path = truth.label_path(field.key, role)
        tifffile.imwrite(path, labels.astype(np.uint16), compression="zlib", metadata=None)


def _write_cells(path: Path, tables: list[dict[str, NDArray[Any]]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    pq.write_table(pa.table(columns), path)
