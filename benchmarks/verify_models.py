"""How well segmenters do on real images: F1 at an IoU of 0.5, beside one another, on the same images.

    python benchmarks/verify_models.py FOLDER_OF_REAL_DATA [--models threshold builtin:nuclei] [--sets NAME ...]

`threshold` is a local threshold for nuclei of 20 px; every other name is one that `hts.segment` takes.
Sets with outlines give F1 of the objects of all images together, its mean over the images, and mean AP (IoU 0.5 to
0.95). The 96-well plate `cp_sbs_96well` has none; of it the table tells what can be told without: see `plate_figures`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.measure import regionprops_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for its neighbour, when run as a script

import hts
from benchmarks.real_sets import SETS, load
from hts.evaluate import pool, score_objects

Segment = Callable[[NDArray[Any]], NDArray[Any]]
PLATE = "cp_sbs_96well"
LEAST_SOLIDITY = 0.9
NOISE = 0.2
AREA_BOUNDS = (0.4, 2.2)
"""Times the median area: a nucleus doubles from one division to the next, and two that were merged lie above."""


def segmenter(name: str) -> Segment:
    """A function from a plane to its labels."""
    if name != "threshold":
        return lambda image: np.asarray(hts.segment(image, name))
    return lambda image: np.asarray(hts.segment(image, "threshold", diameter_px=20, threshold="local"))


def set_figures(segment: Segment, name: str, data: Path) -> dict[str, Any]:
    """Scores on a set with outlines."""
    scores, seconds = [], 0.0
    for image, truth, _ in load(name, data):
        begin = time.perf_counter()
        labels = segment(image)
        seconds += time.perf_counter() - begin
        scores.append(score_objects(truth, labels))
    pooled = pool(scores)
    return {
        "images": len(scores),
        "objects": pooled.n_truth,
        "found": pooled.n_prediction,
        "f1": pooled.f1,
        "f1_mean": float(np.mean([one.f1 for one in scores])),
        "mean_ap": pooled.mean_ap,
        "split": pooled.split,
        "merged": pooled.merged,
        "missed": pooled.missed,
        "added": pooled.added,
        "seconds_an_image": seconds / len(scores),
    }


def plate_figures(segment: Segment, data: Path, every: int) -> dict[str, Any]:
    """What can be told without outlines, of every n-th well: how many objects are no plausible nucleus, and how many
    come out the same (IoU 0.75) when noise is added to the image.

    Implausible is a solidity below 0.9 (merged or frayed) or an area beyond 0.4 to 2.2 times the median.
    """
    areas, solidities, repeats = [], [], []
    for path in sorted((data / PLATE).glob("Channel2-*.tif"))[::every]:
        image = tifffile.imread(path)
        labels = segment(image)
        table = regionprops_table(labels, properties=("area", "solidity"))
        areas.append(table["area"])
        solidities.append(table["solidity"])
        repeats.append(score_objects(labels, segment(_noisier(image))))
    area, solidity = np.concatenate(areas), np.concatenate(solidities)
    low, high = (bound * np.median(area) for bound in AREA_BOUNDS)
    frayed, odd = solidity < LEAST_SOLIDITY, (area < low) | (area > high)
    at_75 = pool(repeats).hits[5]
    return {
        "images": len(areas),
        "found": len(area),
        "not_solid": float(frayed.mean()),
        "odd_area": float(odd.mean()),
        "implausible": float((frayed | odd).mean()),
        "f1_at_75_with_noise": at_75.f1,
    }


def _noisier(image: NDArray[Any]) -> NDArray[np.float32]:
    """The image with Gaussian noise, its SD a fifth of the height of bright nuclei above the background."""
    background, bright = np.percentile(image, (50, 99))
    noise = np.random.default_rng(0).normal(0, NOISE * (bright - background), image.shape)
    return np.maximum(image + noise, 0).astype(np.float32)


def table(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Markdown of rows of the same keys."""
    yield "| " + " | ".join(rows[0]) + " |"
    yield "|" + "---|" * len(rows[0])
    for row in rows:
        cells = (f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
        yield "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the real data")
    parser.add_argument("--models", nargs="+", default=["threshold", "builtin:nuclei"])
    parser.add_argument("--sets", nargs="+", choices=[*SETS, PLATE], default=[*SETS, PLATE])
    parser.add_argument("--every", type=int, default=4, help="of the plate, each n-th well")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args(arguments)
    scored: list[dict[str, Any]] = []
    unscored: list[dict[str, Any]] = []
    for name in given.sets:
        for model in given.models:
            if name == PLATE:
                row = plate_figures(segmenter(model), given.data, given.every)
                unscored.append({"set": name, "model": model} | row)
            else:
                scored.append({"set": name, "model": model} | set_figures(segmenter(model), name, given.data))
            print(f"{name}: {model} done", file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps({"scored": scored, "without_outlines": unscored}))
        return 0
    for rows in filter(None, (scored, unscored)):
        print("\n".join(table(rows)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
