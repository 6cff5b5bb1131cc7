"""What a report shows, as plain values: filled by the caller, drawn by :mod:`hts.report.page`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlay:
    """One picture of the gallery.

    Parameters
    ----------
    well, field : where it was taken (``B03``; the microscope's field number).
    title : caption, such as ``B03 field 1``.
    reason : why it is shown: ``random``, ``highest translocation``, ``lowest Count_Nuclei``.
    image : (Y, X, 3) uint8, contrast already stretched (see :func:`hts.pictures.composite`).
    outlines : (Y, X, 4) uint8 RGBA of the same size, transparent where there is no outline.
    legend : object set or channel → RRGGBB, listed once above the gallery.
    """

    well: str
    field: int
    title: str
    reason: str
    image: NDArray[np.uint8]
    outlines: NDArray[np.uint8]
    legend: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class ReportData:
    """A finished run of one plate.

    Parameters
    ----------
    plate : name of the plate.
    rows, columns : size of the plate's layout.
    profiles : one row a well: ``Metadata_Well``, layout columns ``Metadata_*``, ``Metadata_FieldsUsed``,
        ``Metadata_FieldsExpected``, ``Count_Nuclei`` and numeric features; may be empty.
    wells : every expected well: ``Well, Status (done|failed|queued), Reason, Cells, FieldsUsed, FieldsExpected,
        Seconds``.
    planes : problem planes only: ``Well, Field, Channel, Z, T, Status (missing|unreadable|duplicate), Reason, File``.
    quality : ``readout, z_prime, ssmd, n_negative, n_positive, nuclei, ec50`` and ``features``, a list of
        ``{"feature", "z_prime", "ssmd"}``; any key may be absent or None.
    dose : ``Dose, Value, Well, Kind (negative|positive|sample)`` of the readout, one row a well, or None. Rows
        whose Dose is missing count as controls and are left out of the dose response.
    fit : ``bottom, top, ec50, hill`` of ``bottom + (top - bottom) / (1 + (ec50 / dose) ** hill)``, or None.
    dose_name, readout_name : names for the axes.
    overlays : pictures of the gallery.
    recipe_yaml : the recipe, verbatim.
    provenance : versions, hardware, fingerprints; ``recipe``, ``run started`` and ``seconds`` also go to the header.
    notes : what must not be silent, one sentence each.
    """

    plate: str
    rows: int
    columns: int
    profiles: pd.DataFrame
    wells: pd.DataFrame
    planes: pd.DataFrame
    quality: Mapping[str, Any]
    dose: pd.DataFrame | None
    fit: Mapping[str, float] | None
    dose_name: str
    readout_name: str
    overlays: tuple[Overlay, ...]
    recipe_yaml: str
    provenance: Mapping[str, str]
    notes: tuple[str, ...]
