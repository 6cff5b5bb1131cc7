"""CellProfiler 4.0.6 on ExampleHuman: its objects made again, beside the tables that it exported.

The folder holds three images, the tables, and in ``Experiment.csv`` the pipeline with all its settings: nuclei by one
threshold and a watershed from local maxima, cells by propagation, cytoplasm as what is left of cells without nuclei.
Those steps are done here by their definitions, with the thresholds that ``Image.csv`` records. The watershed is written
out: scikit-image's floods today at the highest level passed so far, and that of CellProfiler's release at each pixel's
own level, which moves a few pixels between three pairs of nuclei.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

EIGHT = np.ones((3, 3), np.bool_)
NUCLEUS_PX = (8, 80)
PH3_PX = (7, 80)
REGULARIZATION = 0.05
CHANNELS = ("DNA", "PH3", "cellbody")
BOX = [f"AreaShape_BoundingBox{end}_{axis}" for end in ("Minimum", "Maximum") for axis in "YX"]


class Export:
    """What CellProfiler read and wrote.

    counts : (3, Y, X) uint8, the images in the order of `CHANNELS`
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "profiles_cytotable" / "cellprofiler" / "ExampleHuman"
        self.counts = np.stack([tifffile.imread(name) for name in sorted(self.folder.glob("*d?.tif"))])

    def table(self, name: str) -> pd.DataFrame:
        """The rows of ``<name>.csv``, objects 1 … n in order."""
        return pd.read_csv(self.folder / f"{name}.csv")

    def grey(self, channel: str) -> Image:
        """An image from 0 to 1, single precision as CellProfiler holds it."""
        scaled: Image = (self.counts[CHANNELS.index(channel)] / 255).astype(np.float32)
        return scaled

    def labels(self) -> dict[str, Labels]:
        """The object sets Nuclei, PH3, Cells and Cytoplasm, numbered as in the tables."""
        found = self.table("Image").iloc[0]
        cut = {name: np.float32(found[f"Threshold_FinalThreshold_{name}"]) for name in ("Nuclei", "PH3", "Cells")}
        dna = self.grey("DNA")
        bright = filled(blurred(dna, 1.0) >= cut["Nuclei"], NUCLEUS_PX[1] ** 2)
        all_nuclei, nuclei = primary(dna, bright, NUCLEUS_PX)
        ph3 = self.grey("PH3")
        _, spots = primary(ph3, blurred(ph3, 1.3488 / 0.6744 / 2) >= cut["PH3"], PH3_PX)
        body = self.grey("cellbody")
        cells = secondary(body, body >= cut["Cells"], all_nuclei, nuclei)
        cytoplasm = np.where(outline(nuclei) | (nuclei == 0), cells, 0).astype(np.int32)
        return {"Nuclei": nuclei, "PH3": spots, "Cells": cells, "Cytoplasm": cytoplasm}


def blurred(grey: Image, sigma_px: float) -> NDArray[np.float64]:
    """Gaussian mean of the pixels that exist: at the frame the weights outside do not count."""
    inside = np.ones(grey.shape, np.float64)
    near, weights = (ndimage.gaussian_filter(each, sigma_px, mode="constant") for each in (grey, inside))
    mean: NDArray[np.float64] = near / weights
    return mean


def filled(mask: Mask, below_px: int) -> Mask:
    """With the holes of fewer pixels than `below_px`; a hole is joined across edges, not corners."""
    holes, _ = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    sizes = np.bincount(holes.ravel())
    return mask | ((holes > 0) & (sizes[holes] < below_px))


def primary(grey: Image, mask: Mask, diameter_px: tuple[int, int]) -> tuple[Labels, Labels]:
    """All objects of a mask, and those that count: not at the frame, of an area that fits, without holes."""
    least, most = diameter_px
    clumps, _ = ndimage.label(mask, EIGHT)
    peaks = maxima(smoothed(grey, least / 3.5), clumps, least / 1.5 - 0.5)
    seeds, _ = ndimage.label(peaks, EIGHT)
    assert seeds.max() == peaks.sum(), "maxima that touch would have to be shrunk to a point"
    everything = watershed(1 - grey, seeds, mask)
    areas = np.bincount(everything.ravel())
    kept = (areas >= np.pi * least**2 / 4) & (areas <= np.pi * most**2 / 4)
    kept[at_frame(everything)] = False
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    return everything, without_holes(numbers[everything].astype(np.int32))


def smoothed(grey: Image, sigma_px: float) -> Image:
    """Gaussian mean cut off at about 1.2 sigma, in single precision."""
    reach = max(int(2.35 * sigma_px / 2), 1)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * offsets**2 / sigma_px**2) / np.sqrt(2 * np.pi) / sigma_px
    sums = []
    for each in (grey, np.ones(grey.shape)):
        rows = ndimage.convolve1d(each, weights, axis=0, mode="constant")
        sums.append(ndimage.convolve1d(rows, weights, axis=1, mode="constant"))
    return (sums[0] / sums[1]).astype(np.float32)


def maxima(grey: Image, clumps: NDArray[np.integer], radius_px: float) -> Mask:
    """Pixels of clumps that no pixel of the same clump within `radius_px` exceeds."""
    reach = int(radius_px)
    around = [
        (y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1) if y * y + x * x <= radius_px**2
    ]
    rows, columns = np.nonzero(clumps)
    far, far_grey = np.pad(clumps, reach), np.pad(grey, reach)
    for y, x in around:
        there = (rows + reach + y, columns + reach + x)
        beaten = (far[there] == clumps[rows, columns]) & (far_grey[there] > grey[rows, columns])
        rows, columns = rows[~beaten], columns[~beaten]
    found = np.zeros(clumps.shape, np.bool_)
    found[rows, columns] = grey[rows, columns] > 0
    return found


def watershed(height: Image, seeds: NDArray[np.integer], mask: Mask) -> Labels:
    """Flood `mask` from the seeds: the lowest pixel at a shore is next, of equal ones that which was reached first."""
    width = height.shape[1] + 2
    level = np.pad(height, 1).ravel().tolist()
    free = np.pad(mask, 1).ravel().tolist()
    owner = np.pad(np.where(mask, seeds, 0), 1).ravel().tolist()
    shore = [(level[pixel], 0, pixel) for pixel, number in enumerate(owner) if number]
    heapify(shore)
    reached = 0
    steps = [dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    while shore:
        _, _, pixel = heappop(shore)
        for step in steps:
            other = pixel + step
            if free[other] and not owner[other]:
                owner[other] = owner[pixel]
                reached += 1
                heappush(shore, (level[other], reached, other))
    return np.asarray(owner, np.int32).reshape(-1, width)[1:-1, 1:-1]


def at_frame(labels: Labels) -> NDArray[np.integer]:
    """Numbers in the first and last rows and columns."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))


def without_holes(labels: Labels) -> Labels:
    """Background that touches one object alone, and not the frame, becomes this object's."""
    background, count = ndimage.label(labels == 0)
    lowest = np.full(count + 1, labels.max() + 1)
    highest = np.zeros(count + 1, labels.dtype)
    for axis in (0, 1):
        first, second = (np.moveaxis(each, axis, 0) for each in (background, labels))
        for hole, neighbour in ((first[:-1], second[1:]), (first[1:], second[:-1])):
            side = (hole > 0) & (neighbour > 0)
            np.minimum.at(lowest, hole[side], neighbour[side])
            np.maximum.at(highest, hole[side], neighbour[side])
    fill = np.where(lowest == highest, highest, 0)
    fill[at_frame(background)] = 0
    fill[0] = 0
    return np.where(labels == 0, fill[background], labels).astype(np.int32)


def grown(grey: Image, seeds: NDArray[np.integer], mask: Mask) -> Labels:
    """Each pixel of `mask` to the seed with the cheapest path; of equal costs the lower number, then the upper left.

    Steps cost as in `hts.stages.segment._kernels_propagate`, in double precision; only the choice among equal paths is
    CellProfiler's here.
    """
    width = grey.shape[1] + 2
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    costs = [(dy * width + dx, np.pad(step_costs(grey, dy, dx), 1).ravel().tolist()) for dy, dx in steps]
    free = np.pad(mask, 1).ravel().tolist()
    start = np.pad(seeds, 1).ravel().tolist()
    shore = [(0.0, number, pixel) for pixel, number in enumerate(start) if number]
    heapify(shore)
    best = [np.inf if not number else 0.0 for number in start]
    owner = [0] * len(start)
    while shore:
        paid, number, pixel = heappop(shore)
        if owner[pixel]:
            continue
        owner[pixel] = number
        for step, cost in costs:
            other = pixel + step
            if free[other] and not owner[other] and paid + cost[pixel] < best[other]:
                best[other] = paid + cost[pixel]
                heappush(shore, (best[other], number, other))
    return np.asarray(owner, np.int32).reshape(-1, width)[1:-1, 1:-1]


def step_costs(grey: Image, dy: int, dx: int) -> NDArray[np.float64]:
    """(Y, X) costs of the step from each pixel to its neighbour: how their 3 × 3 surroundings differ, and the way."""
    far = np.pad(grey.astype(np.float64), 2, mode="edge")
    rows, columns = grey.shape
    rough = np.zeros(grey.shape)
    for y in range(1, 4):
        for x in range(1, 4):
            here = far[y : y + rows, x : x + columns]
            rough += np.abs(here - far[y + dy : y + dy + rows, x + dx : x + dx + columns])
    cost: NDArray[np.float64] = np.sqrt(rough**2 + (abs(dy) + abs(dx)) * REGULARIZATION**2)
    return cost


def secondary(grey: Image, mask: Mask, everything: Labels, nuclei: Labels) -> Labels:
    """Cells grown from nuclei; nuclei at the frame grow too, so that they keep theirs, and are then left out."""
    edge = np.isin(everything, at_frame(everything))
    seeds = np.where(edge | (nuclei > 0), everything, 0).astype(np.int32)
    cells = without_holes(np.where(seeds > 0, seeds, grown(grey, np.where(mask, seeds, 0), mask)).astype(np.int32))
    number = np.zeros(cells.max() + 1, np.int32)
    np.maximum.at(number, cells, nuclei)
    number[0] = 0
    return number[cells]


def reproduced(labels: Labels, table: pd.DataFrame) -> int:
    """How many rows have the area, box and centre of the object of their number; of PH3 there is the centre only."""
    boxes = ndimage.find_objects(labels)
    if len(boxes) != len(table):
        return 0
    numbers = np.arange(1, len(boxes) + 1)
    row, column = np.array(ndimage.center_of_mass(labels > 0, labels, numbers)).T
    name = "AreaShape_Center" if "AreaShape_Area" in table else "Location_Center"
    same = (np.abs(table[f"{name}_Y"] - row) < 1e-6) & (np.abs(table[f"{name}_X"] - column) < 1e-6)
    if "AreaShape_Area" in table:
        box = [(y.start, x.start, y.stop, x.stop) for y, x in boxes]
        same &= (table[BOX] == np.array(box)).all(axis=1)
        same &= table["AreaShape_Area"] == np.bincount(labels.ravel())[1:]
    return int((same & (table["ObjectNumber"] == numbers)).sum())


def euler_numbers(labels: Labels) -> NDArray[np.float64]:
    """(n,) 1 less the holes, by the rule of CellProfiler's scikit-image.

    A hole must be closed to diagonal ways too, and further pieces of an object do not count.
    """
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        one = labels[box] == number
        holes = ndimage.binary_fill_holes(one, EIGHT) & ~one
        found.append(1.0 - ndimage.label(holes, EIGHT)[1])
    return np.array(found)


def hull_areas(labels: Labels) -> NDArray[np.float64]:
    """(n,) pixel centres in the hull of the pixels' sides' middles, as CellProfiler's scikit-image counts.

    Of centres that lie on the hull's outline, those on the upper and left sides are inside and the others are not;
    today all are.
    """
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        one = labels[box] == number
        pixels = np.argwhere(one)
        sides = np.concatenate([pixels + side for side in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))])
        hull = ConvexHull(np.unique(sides, axis=0))
        found.append(float(_half_open(one.shape, hull.points[hull.vertices]).sum()))
    return np.array(found)


def _half_open(shape: tuple[int, ...], corners: NDArray[np.float64]) -> Mask:
    """Pixel centres that an odd number of a polygon's edges lie below, each edge with its left end alone."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    odd = np.zeros(shape, np.bool_)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        if x0 != x1:
            crossed = (np.minimum(x0, x1) <= column) & (column < np.maximum(x0, x1))
            odd ^= crossed & (row < (y1 - y0) * (column - x0) / (x1 - x0) + y0)
    return odd


def outline(labels: Labels) -> Mask:
    """Pixels of objects with a neighbour of another number among eight, or none because of the frame."""
    beyond = np.pad(labels, 1, constant_values=-1)
    alike = np.ones(labels.shape, np.bool_)
    rows, columns = labels.shape
    for y in range(3):
        for x in range(3):
            alike &= beyond[y : y + rows, x : x + columns] == labels
    return (labels > 0) & ~alike
