"""``hts inspect`` of a plate of about 35,000 files, as a process from start to end.

The files are tiny planes (8 x 8) in the layout of a simulated microscope, or hard links under names for the pattern
reader; what is timed is everything that depends on their number. Run ``python benchmarks/bench_inspect.py
[--small] [--folder EMPTY] [LAYOUT ...]``; layouts are ``pattern`` and the microscopes of ``hts synth``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from hts.acquire.listing import Listing
from hts.errors import UsageError
from hts.model import PlateLayout, WellId
from hts.synth.microscopes import MICROSCOPES, microscope
from hts.synth.scan import PlateScan, ScanChannel, Shot

PLANE = np.arange(64, dtype=np.uint16).reshape(8, 8)
REPEATS = 5


def plan(small: bool, n_z: int) -> PlateScan:
    """384 wells, 9 fields, 10 planes a field: 5 channels in 2 z planes, or 10 channels."""
    wells = tuple(WellId(row, column) for row in range(2 if small else 16) for column in range(3 if small else 24))
    names = ("DAPI", "FITC", "Cy3", "Texas Red", "Cy5", "c6", "c7", "c8", "c9", "c10")[: 10 // n_z]
    channels = tuple(ScanChannel(name) for name in names)
    return PlateScan("P1", PlateLayout(16, 24), wells, channels, 2 if small else 9, n_z=n_z, shape=PLANE.shape)


def write_links(folder: Path, scan: PlateScan) -> None:
    """Names such as B03_s1_c2.tif, all of one file."""
    first = folder / "first"
    tifffile.imwrite(first, PLANE, metadata=None)
    for shot in scan.shots():
        os.link(first, folder / f"{shot.well.name}_s{shot.field}_c{shot.channel + 1}.tif")
    first.unlink()


def make(layout: str, folder: Path, small: bool) -> int:
    """Write the plate and return its number of planes."""
    flat = plan(small, 1)
    if layout == "pattern":
        write_links(folder, flat)
        return sum(1 for _ in flat.shots())
    try:
        scan = plan(small, 2)
        return len(microscope(layout).write(folder, scan, _plane))
    except UsageError:  # no place for z in this layout
        return len(microscope(layout).write(folder, flat, _plane))


def _plane(shot: Shot) -> np.ndarray:
    return PLANE + np.uint16(shot.z)  # equal planes would be taken for copies


def seconds(call: Callable[[], Any], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def cpu_of_children() -> float:
    """CPU seconds of the processes that have ended: what a busy machine does not change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def inspect(folder: Path) -> dict[str, int]:
    """Run the command and return its counts of planes."""
    command = [sys.executable, "-m", "hts.cli", "inspect", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout)["planes"])


def measure(layout: str, folder: Path, small: bool) -> dict[str, Any]:
    planes = make(layout, folder, small)
    counts = inspect(folder)
    if counts != {"found": planes}:
        raise SystemExit(f"{layout}: {planes} planes were written, hts inspect says {counts}")
    repeats = 1 if small else REPEATS
    cpu_before = cpu_of_children()
    whole = statistics.median(times := seconds(lambda: inspect(folder), repeats))
    cpu = (cpu_of_children() - cpu_before) / repeats
    listing = statistics.median(seconds(lambda: Listing.of(folder), repeats))
    return {
        "benchmark": "inspect",
        "layout": layout,
        "planes": planes,
        "seconds": round(whole, 2),
        "slowest_s": round(max(times), 2),
        "cpu_s": round(cpu, 2),
        "n": repeats,
        "planes_per_s": round(planes / whole),
        "listing_share": round(listing / whole, 3),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="120 planes, to see that the benchmark works")
    parser.add_argument(
        "--folder", type=Path, help="an empty folder to write into and keep; by default a temporary one"
    )
    parser.add_argument("layouts", nargs="*", default=["imagexpress", "pattern"], metavar="LAYOUT")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.layouts) - {"pattern", *MICROSCOPES}
    if unknown:
        parser.error(f"unknown layouts {', '.join(sorted(unknown))}; known are pattern, {', '.join(MICROSCOPES)}")
    with tempfile.TemporaryDirectory() as temporary:
        for layout in chosen.layouts:
            folder = (chosen.folder or Path(temporary)) / layout
            folder.mkdir(parents=True)
            print(json.dumps(measure(layout, folder, chosen.small)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
