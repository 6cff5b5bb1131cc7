"""One large field through the block path and, where it fits, in one piece: memory, time, and are the objects the same?

A simulated field of 10,000 x 10,000 pixels with one nucleus in 48 x 48, segmented by the threshold method and measured;
each path with one worker of its own, whose peak memory is told. Without noise every tile sees what the field has, and
the objects must be the same; a few differ by a pixel or a row where two touch, for the watershed gives pixels that
are as near to both by the order of its seeds, also in the middle of a tile. With noise the thresholds of tiles differ.

    python benchmarks/bench_large_field.py [--side 10000] [--noise 0] [--no-whole] [--block 2048]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

import hts
from hts.engine.stages import fingerprints
from hts.model import Channel, FieldKey, WellId
from hts.recipe import Recipe
from hts.store import FieldImage, Plate, PlateSpec, create_plate, read_json, write_field

WELL = WellId.parse("A01")
SPACING_PX, OVERLAP_PX = 48, 256
LIMIT_BYTES = 4e9


def field_image(side: int, noise: float, seed: int = 1) -> NDArray[np.uint16]:
    """Round nuclei of 12 to 22 px, some of them touching, of different brightness when there is noise."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side), np.uint16)
    disk = {r: np.add.outer(np.arange(-r, r + 1) ** 2, np.arange(-r, r + 1) ** 2) <= r * r for r in range(6, 12)}
    for y in range(0, side, SPACING_PX):
        for x in range(0, side, SPACING_PX):
            radius = int(rng.integers(6, 12))
            down, right = rng.integers(0, SPACING_PX - 12, 2).tolist()
            top, left = y + down, x + right
            part = image[top : top + 2 * radius + 1, left : left + 2 * radius + 1]
            shape = disk[radius][: part.shape[0], : part.shape[1]]
            part[shape] = rng.integers(2000, 4000) if noise else 3000
    if noise:
        for begin in range(0, side, 1000):
            rows = ndimage.gaussian_filter(image[begin : begin + 1000].astype(np.float32), 1)
            rows += rng.normal(300, noise, rows.shape).astype(np.float32)
            image[begin : begin + 1000] = rows.clip(0, 65535)
    return image


def recipe(limit_px: int, block_px: int, noise: float) -> Recipe:
    """Nuclei by a global threshold of exact pixels, or a local one of noisy ones."""
    nuclei = {"method": "threshold", "channel": "dna", "diameter_px": 18}
    nuclei |= {"threshold": "local"} if noise else {"threshold": "otsu", "smooth_px": 0}
    return Recipe.from_dict(
        {
            "channels": {"dna": "DNA"},
            "segment": {"nuclei": nuclei},
            "blocks": {"limit_px": limit_px, "block_px": block_px, "overlap_px": OVERLAP_PX},
            "measure": {"features": ["shape", "intensity"]},
            "profile": {"readout": "Count_Nuclei"},
        }
    )


def peak_bytes() -> int:
    """Most memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(place: Path, settings: Recipe, out: Path) -> dict[str, Any]:
    """Time, the worker's memory, objects and seam audit of one path."""
    with hts.connect("local", 1) as client:
        begin = time.perf_counter()
        submitted = hts.submit(place, settings, client, out=out)
        result = submitted.result(3600)
        seconds = time.perf_counter() - begin
        (peak,) = client.run(peak_bytes).values()
    quality = read_json(out / "run.json")["current"]["quality"]
    return {
        "seconds": round(seconds, 1),
        "peak_bytes": peak,
        "planned_bytes": submitted.plan.worker_bytes,
        "nuclei": len(result.cells),
        **({"seams": quality["seams"]} if "seams" in quality else {}),
    }


def agreement(place: Path, names: tuple[str, str]) -> dict[str, Any]:
    """Objects of both label images that are equal, and F1 at IoU 0.9, strip by strip."""
    field = Plate.open(place)[WELL].field(1)
    total, rows = None, field.sizes["y"]
    for begin in range(0, rows, 1000):
        window = (slice(begin, min(begin + 1000, rows)), slice(0, field.sizes["x"]))
        one, other = (field.read_labels(name, window=window).ravel() for name in names)
        ones = np.ones(len(one), np.int32)
        table = sparse.coo_matrix((ones, (one, other)), (2_000_000, 2_000_000)).tocsr()
        total = table if total is None else total + table
    pairs = total.tocoo()
    area = [np.asarray(total.sum(axis=axis)).ravel() for axis in (1, 0)]
    real = (pairs.row > 0) & (pairs.col > 0)
    iou = pairs.data[real] / (area[0][pairs.row[real]] + area[1][pairs.col[real]] - pairs.data[real])
    counts = [int((each[1:] > 0).sum()) for each in area]
    return {
        "objects": counts,
        "identical": int((iou == 1).sum()),
        "f1_at_0.9": 2 * int((iou > 0.9).sum()) / sum(counts),
    }


def main(arguments: list[str] | None = None) -> int:
    """Print a line of JSON; 1 when memory or objects are not as they have to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--block", type=int, default=2048)
    parser.add_argument("--noise", type=float, default=0.0, help="SD of the camera's noise in grey levels")
    parser.add_argument("--no-whole", action="store_true", help="the block path only")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "large.ome.zarr"
        key, shape = FieldKey(WELL, 1), (options.side, options.side)
        spec = PlateSpec("large", {WELL: (1,)}, (Channel("DNA"),), shape, np.dtype("uint16"))
        create_plate(place, spec)
        write_field(place, spec, FieldImage(key, [((0, 0, 0), field_image(options.side, options.noise))]))
        limits = {"blocks": 128, **({} if options.no_whole else {"whole": options.side + 1})}
        recipes = {name: recipe(limit, options.block, options.noise) for name, limit in limits.items()}
        result: dict[str, Any] = {"side_px": options.side, "noise": options.noise, "block_px": options.block}
        for name, settings in recipes.items():
            result[name] = run(place, settings, Path(folder) / name)
        if not options.no_whole:
            names = [fingerprints(settings).label_name("nuclei") for settings in recipes.values()]
            result["agreement"] = agreement(place, (names[0], names[1]))
    print(json.dumps(result))
    found = result.get("agreement", {"objects": [0, 0], "f1_at_0.9": 1.0})
    same = options.noise or (found["f1_at_0.9"] == 1.0 and found["objects"][0] == found["objects"][1])
    return 0 if same and result["blocks"]["peak_bytes"] < LIMIT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
