"""Metadata of a whole plate: 384 wells of 9 fields, 5 levels of 2048² × 5 channels; no pixels.

    python benchmarks/bench_metadata.py [--rounds 5] [--folder DIR] [--quick]

- written: `create_plate` (plate, rows, wells) and `write_field` of every field with no plane: the documents
  of the image and of its five arrays as a conversion does; by one thread, and by as many as there are cores.
- opened: one field (plate, well, field, array) in a fresh process. Python's imports are not counted. ``first`` is what
  the first field of a process takes, ``next`` the median of random fields after it, each from the plate's document on.

Nothing is flushed to the disk, as in a conversion; the cache is warm.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks, when run as a script

from benchmarks._figures import spread, text
from hts.model import Channel, FieldKey, PixelSize, PlateLayout, WellId
from hts.store import FieldImage, PlateSpec, create_plate, write_field

OPEN = """
import json, sys, time
import zarr
import hts, hts.store
plate, *fields = sys.argv[1:]
times = []
for name in fields:
    well, field = name.split("/")
    begin = time.perf_counter()
    hts.Plate.open(plate)[well].field(int(field)).array(0)
    times.append((time.perf_counter() - begin) * 1e3)
print(json.dumps(times))
"""


def plate_spec(layout: PlateLayout, fields: int) -> PlateSpec:
    """Every well of the plate, each with the fields 1 to `fields`."""
    wells = [WellId(row, column) for row in range(layout.rows) for column in range(layout.columns)]
    return PlateSpec(
        name="metadata",
        fields={well: tuple(range(1, fields + 1)) for well in wells},
        channels=tuple(Channel(name) for name in ("DNA", "ER", "RNA", "AGP", "Mito")),
        shape=(2048, 2048),
        dtype=np.dtype("uint16"),
        pixel_size=PixelSize(0.65, 0.65),
    )


def keys(spec: PlateSpec) -> list[FieldKey]:
    """All fields, well by well."""
    return [FieldKey(well, field) for well, fields in spec.fields.items() for field in fields]


def write(place: Path, spec: PlateSpec, threads: int) -> tuple[float, float]:
    """Wall and CPU seconds to write all documents of a plate."""
    os.sync()
    begin, cpu = time.perf_counter(), time.process_time()
    create_plate(place, spec)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda key: write_field(place, spec, FieldImage(key, (), {"y": 1.0, "x": 2.0})), keys(spec)))
    return time.perf_counter() - begin, time.process_time() - cpu


def open_fields(place: Path, spec: PlateSpec, fields: int, seed: int) -> list[float]:
    """Milliseconds for random fields, one after the other in a fresh process."""
    chosen = random.Random(seed).sample(keys(spec), min(fields, len(keys(spec))))
    names = [f"{key.well.name}/{key.field}" for key in chosen]
    command = [sys.executable, "-c", OPEN, str(place), *names]
    found: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(folder: Path, spec: PlateSpec, rounds: int) -> dict[str, Any]:
    """All figures, each as (median, lowest, highest)."""
    cores = len(os.sched_getaffinity(0))
    one: list[tuple[float, float]] = []
    many: list[tuple[float, float]] = []
    for number in range(rounds):
        for times, threads in ((one, 1), (many, cores)):
            # Nothing is removed before the end: ext4 looks long for inodes where many were freed in the last seconds.
            place = folder / f"{number}-{threads}.ome.zarr"
            times.append(write(place, spec, threads))
    opened = [open_fields(place, spec, 50, seed) for seed in range(rounds)]
    return {
        "benchmark": "metadata",
        "wells": len(spec.fields),
        "fields": len(keys(spec)),
        "files": sum(len(files) for _, _, files in os.walk(place)),
        "rounds": rounds,
        "cores": cores,
        "load": os.getloadavg()[0],
        "written_by_one_thread_s": spread([wall for wall, _ in one]),
        "written_by_a_thread_a_core_s": spread([wall for wall, _ in many]),
        "written_cpu_s": spread([cpu for _, cpu in one]),
        "first_opened_ms": spread([times[0] for times in opened]),
        "next_opened_ms": spread([time for times in opened for time in times[1:]]),
        "next_opened_n": sum(len(times) - 1 for times in opened),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the plate is written; the system's by default")
    parser.add_argument("--quick", action="store_true", help="a plate of six wells, once")
    chosen = parser.parse_args(arguments)
    spec = plate_spec(PlateLayout(2, 3) if chosen.quick else PlateLayout(16, 24), fields=9)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        result = measure(Path(folder), spec, 1 if chosen.quick else chosen.rounds)
    print(json.dumps(result))
    for name, unit in (
        ("written_by_one_thread", "s"),
        ("written_by_a_thread_a_core", "s"),
        ("written_cpu", "s"),
        ("first_opened", "ms"),
        ("next_opened", "ms"),
    ):
        print(f"{name.replace('_', ' ')}: {text(result[f'{name}_{unit}'])} {unit}")
    print(f"{result['files']:,} files, {result['fields']:,} fields, n = {result['rounds']}, load {result['load']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
