"""The fields on which we and our peers measure: simulated, and real ones where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage
from skimage import filters, io, measure, segmentation

from tests.reference.features.peers import ParityField

DATA = Path(os.environ.get("HTS_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@cache
def simulated(bits: int = 16, side_px: int = 220, cells: int = 14, seed: int = 3) -> ParityField:
    """Touching cells, some at the frame, one with a hole, one in two pieces, one of one pixel, one line; 3 channels."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((side_px, side_px), np.int32)
    seeds[tuple(rng.integers(0, side_px, (2, cells)))] = np.arange(1, cells + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    labels = np.where(distance < side_px / 7, seeds[tuple(nearest)], 0).astype(np.int32)
    centres = ndimage.center_of_mass(labels > 0, labels, range(1, cells + 1))
    y, x = (round(each) for each in centres[0])
    labels[y - 2 : y + 3, x - 2 : x + 3] = 0
    y, x = (round(each) for each in centres[1])
    labels[:, x][labels[:, x] == 2] = 0
    free = np.flatnonzero(ndimage.binary_erosion(labels == 0, np.ones((9, 9))))
    y, x = np.unravel_index(free[len(free) // 2], labels.shape)
    labels[y, x] = cells + 1
    y, x = np.unravel_index(free[len(free) // 4], labels.shape)
    labels[y, x - 3 : x + 4] = cells + 2
    labels = segmentation.relabel_sequential(labels)[0].astype(np.int32)
    top = 2.0**bits - 1
    level = rng.uniform(0.05, 0.5, (3, labels.max() + 1))[:, labels]
    waves = ndimage.gaussian_filter(rng.normal(size=(3, *labels.shape)), (0, 2, 2))
    texture = 1 + 0.4 * waves / waves.std() + 0.1 * rng.normal(size=waves.shape)
    texture[1] = 0.5 * (texture[0] + texture[1])  # two channels that go together
    images = np.clip(level * texture * top, 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    return ParityField(f"simulated {bits} bit", labels, images, ("DNA", "ER", "Mito"))


def simulated_8() -> ParityField:
    """The same with 8 bits."""
    return simulated(8)


@cache
def translocation() -> ParityField:
    """A field of the 96-well translocation plate: nuclei by Otsu, reporter and DNA of 8 bits."""
    names = [sorted((DATA / "cp_sbs_96well").rglob(f"Channel{n}-30-*.tif"))[0] for n in (1, 2)]
    reporter, dna = (tifffile.imread(name) for name in names)
    return ParityField("cp_sbs_96well", _nuclei(dna), np.stack([dna, reporter]), ("DNA", "Reporter"))


@cache
def bowl() -> ParityField:
    """A picture of the Data Science Bowl with its own outlines."""
    folder = DATA / "dsb2018_stage1_test"
    outlines = sorted((folder / "labels_derived").glob("*.png"), key=lambda path: path.stat().st_size)[-3]
    (picture,) = [path for path in folder.rglob(f"{outlines.stem}*.png") if "labels_derived" not in path.parts][:1]
    image = io.imread(picture)[..., 0]
    labels = segmentation.relabel_sequential(io.imread(outlines).astype(np.int32))[0].astype(np.int32)
    return ParityField("dsb2018_stage1_test", labels, np.stack([image, 255 - image]), ("DNA", "Negative"))


@cache
def human() -> ParityField:
    """A part of CellProfiler's ExampleHuman: nuclei by Otsu, three stains of 8 bits."""
    names = sorted((DATA / "profiles_cytotable" / "cellprofiler" / "ExampleHuman").glob("*.tif"))
    planes = [tifffile.imread(name) for name in names]
    images = np.stack([plane if plane.ndim == 2 else plane.max(axis=-1) for plane in planes])[:, :400, :400]
    return ParityField("ExampleHuman", _nuclei(images[0]), np.ascontiguousarray(images), ("DNA", "PH3", "CellMask"))


def _nuclei(dna: np.ndarray) -> np.ndarray:
    smooth = filters.gaussian(dna.astype(float), 1)
    labels = measure.label(smooth > filters.threshold_otsu(smooth))
    kept = [region.label for region in measure.regionprops(labels) if region.area >= 30]
    return segmentation.relabel_sequential(np.where(np.isin(labels, kept), labels, 0))[0].astype(np.int32)


FIELDS: dict[str, Callable[[], ParityField]] = {"simulated-16": simulated, "simulated-8": simulated_8}
REAL_FIELDS: dict[str, Callable[[], ParityField]] = {"sbs": translocation, "dsb2018": bowl, "human": human}
