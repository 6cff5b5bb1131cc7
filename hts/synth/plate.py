"""Write a synthetic plate: images in ImageXpress layout, the plate layout, and the truth beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import StoreError, UsageError
from hts.synth import metaxpress
from hts.synth.render import RenderedField, render_field
from hts.synth.spec import SynthSpec, faults, treatments
from hts.synth.truth import Truth

LAYOUT_COLUMNS = ("Well", "Dose_uM", "Control", "Compound")


def write_plate(dst: Path, spec: SynthSpec) -> Truth:
    """Make the plate of ``spec`` in ``dst`` and return what is true of it.

    ``dst`` gets ``<plate_name>/`` (the microscope's folder), ``layout.csv`` and ``truth/``. The same spec gives the
    same bytes of images. ``truth/truth.json`` is written last: without it the plate is not finished.

    Raises
    ------
    UsageError
        when ``dst`` is not a new or empty folder.
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


def _write(truth: Truth) -> None:
    images = truth.plate / metaxpress.TIME_POINT_FOLDER
    images.mkdir(parents=True)
    truth.labels.mkdir(parents=True)
    htd = metaxpress.htd_text(truth.spec).encode("latin-1")
    for folder in (truth.plate, images):
        (folder / f"{truth.spec.plate_name}.HTD").write_bytes(htd)
    _write_layout(truth)
    tables = []
    for index, field in enumerate(_fields(truth.spec)):
        if field.key not in truth.missing:
            _write_images(images, truth.spec, field, index)
        _write_labels(truth, field)
        tables.append(field.table)
    _write_cells(truth.cells, tables)
    truth.save()


def _fields(spec: SynthSpec) -> Iterator[RenderedField]:
    for well in spec.well_ids:
        for number in range(1, spec.fields + 1):
            yield render_field(spec, well, number)


def _write_layout(truth: Truth) -> None:
    with truth.layout.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(LAYOUT_COLUMNS)
        for well, treatment in treatments(truth.spec).items():
            writer.writerow([well.name, treatment.dose_uM, treatment.control, treatment.compound])


def _write_images(folder: Path, spec: SynthSpec, field: RenderedField, field_index: int) -> None:
    import tifffile

    for channel, plane in enumerate(field.images):
        acquired = metaxpress.acquisition_time(spec, field_index, channel)
        tifffile.imwrite(
            folder / metaxpress.file_name(spec, field.key, channel),
            plane,
            description=metaxpress.plane_xml(spec, field.key, channel, acquired),
            datetime=acquired,
            # Readers recognise the description by this name.
            software="MetaSeries",
            metadata=None,
        )


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
