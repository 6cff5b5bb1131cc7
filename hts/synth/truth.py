"""The truth of a synthetic plate: where it lies on disk, and how it is found again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hts.errors import NotFoundError, StoreError
from hts.model import FieldKey, WellId
from hts.synth.spec import SynthSpec

TRUTH_FOLDER = "truth"
TRUTH_FILE = "truth.json"


@dataclass(frozen=True, slots=True)
class Truth:
    """A synthetic plate and what is true of it.

    Parameters
    ----------
    plate : the microscope's folder; what a reader is given.
    layout : CSV with the columns Well, Dose_uM (µM), Control (−1 negative, 1 positive, 0 otherwise), Compound.
    cells : Parquet with a row per cell, those of missing and blurred fields included: Metadata_Well, Metadata_Site,
        ObjectNumber, Nuclei_Location_Center_Y and _X (px), Nuclei_AreaShape_Area and Cells_AreaShape_Area (px),
        Truth_Dose_uM, Truth_NuclearFraction (the phenotype, 0 to 1), Truth_TouchesNucleus, Truth_TouchesEdge, and per
        channel Nuclei_ and Cytoplasm_Intensity_MeanIntensity_<channel> (grey levels before lens, uneven light,
        background and noise; not a number where a cell has no cytoplasm).
    labels : folder of uint16 TIFFs of true labels, see :meth:`label_path`; 0 is background.
    missing : fields without files.
    blurred : fields out of focus.
    spec : the knobs that made the plate.
    """

    plate: Path
    layout: Path
    cells: Path
    labels: Path
    missing: tuple[FieldKey, ...]
    blurred: tuple[FieldKey, ...]
    spec: SynthSpec

    @classmethod
    def at(
        cls, dst: Path, spec: SynthSpec, missing: tuple[FieldKey, ...] = (), blurred: tuple[FieldKey, ...] = ()
    ) -> Truth:
        """The truth of a plate made in ``dst``, files there or not."""
        truth = dst / TRUTH_FOLDER
        plate, layout = dst / spec.plate_name, dst / "layout.csv"
        return cls(plate, layout, truth / "cells.parquet", truth / "labels", missing, blurred, spec)

    @classmethod
    def load(cls, dst: Path) -> Truth:
        """Read back what :func:`hts.synth.write_plate` has written into ``dst``.

        Raises
        ------
        NotFoundError
            when ``dst`` holds no finished synthetic plate.
        StoreError
            when its ``truth.json`` cannot be read.
        """
        path = Path(dst) / TRUTH_FOLDER / TRUTH_FILE
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            spec = SynthSpec(**record["spec"])
            missing, blurred = (tuple(map(_key, record[name])) for name in ("missing", "blurred"))
        except FileNotFoundError as error:
            raise NotFoundError(
                f"a synthetic plate in {dst}",
                found=f"no {TRUTH_FOLDER}/{TRUTH_FILE}, which is written last",
                cause="another folder, or a plate that was not finished",
                fix="write the plate again into a new folder",
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"a readable {path}", found=str(error), fix="write the plate again into a new folder"
            ) from error
        return cls.at(Path(dst), spec, missing, blurred)

    def save(self) -> Path:
        """Write ``truth.json``; the paths follow from the spec and are not kept, so that the folder may be moved."""
        path = self.cells.parent / TRUTH_FILE
        record = {
            "spec": self.spec.model_dump(),
            "missing": [[key.well.name, key.field] for key in self.missing],
            "blurred": [[key.well.name, key.field] for key in self.blurred],
        }
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        return path

    def label_path(self, key: FieldKey, role: str) -> Path:
        """True labels of a field; ``role`` is ``nuclei`` or ``cells``."""
        return self.labels / f"{key.well.name}_s{key.field}_{role}.tif"


def _key(pair: tuple[str, int]) -> FieldKey:
    well, field = pair
    return FieldKey(WellId.parse(well), int(field))
