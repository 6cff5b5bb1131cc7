"""What a plane costs in plates of 10 to 10,000 planes, and the memory it takes: each conversion in a fresh process.

    python benchmarks/bench_memory_and_scaling.py [--most 10000] [--workers 2 8] [--folder DIR] [--quick]

Plates are ImageXpress folders of 16-bit planes in 5 channels; small planes (256²) up to the largest number, planes of
2048² up to 300. Their files are hard links to those of one field, so that reading costs the page cache and no disk.
Each process first converts a plate of five planes, which loads libraries and compiled kernels (``start``). A row tells
the milliseconds a plane of the whole ``hts.convert`` after it, those of the planes that the next smaller plate does not
have (``slope``), and the peak of resident memory of the process, everything that Python loaded included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks, when run as a script

from benchmarks._plates import PlateSize, Rendered, link_plate, render

CHANNELS = 5
LARGE_PX, SMALL_PX = 2048, 256
STEPS = {SMALL_PX: (10, 100, 1_000, 10_000), LARGE_PX: (10, 30, 100, 300)}
# The highest resident memory is read from /proc: what getrusage tells starts with that of the process that called.
CONVERT = """
import json, sys, time
import hts
first, source, target, workers = sys.argv[1:]
times = []
for plate in (first, source):
    begin = time.perf_counter()
    hts.convert(plate, f"{target}/{len(times)}.ome.zarr", workers=int(workers))
    times.append(time.perf_counter() - begin)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"start_s": times[0], "seconds": times[1], "peak_mb": int(status["VmHWM"].split()[0]) * 1024 / 1e6}))
"""


@dataclass(frozen=True)
class Bench:
    """Where plates are made, the field that they repeat, and how each is converted."""

    folder: Path
    side_px: int
    rendered: list[list[Rendered]]
    rounds: int

    def plate(self, planes: int) -> Path:
        """The microscope's folder of a plate of so many planes; made when it is first asked for."""
        place = self.folder / f"{self.side_px}-{planes}"
        if not place.exists():
            link_plate(place, PlateSize(planes // CHANNELS, self.side_px), self.rendered)
        return place

    def convert(self, planes: int, workers: int) -> list[dict[str, float]]:
        """Seconds and peak memory of conversions in processes of their own."""
        plates = (self.plate(CHANNELS), self.plate(planes))
        found = []
        for number in range(self.rounds):
            # Nothing is removed before the end: ext4 looks long for inodes where many were freed in the last seconds.
            target = self.folder / f"out-{self.side_px}-{planes}-{workers}-{number}"
            target.mkdir()
            os.sync()
            command = [sys.executable, "-c", CONVERT, *map(str, plates), str(target), str(workers)]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        return found


def curve(bench: Bench, planes: list[int], workers: int) -> list[dict[str, Any]]:
    """A row for every number of planes: the fastest of the rounds and the highest memory of any."""
    rows: list[dict[str, Any]] = []
    for count in planes:
        runs = bench.convert(count, workers)
        seconds = min(run["seconds"] for run in runs)
        before = rows[-1] if rows else {"planes": 0, "seconds": 0.0}
        rows.append(
            {
                "side_px": bench.side_px,
                "workers": workers,
                "planes": count,
                "start_s": min(run["start_s"] for run in runs),
                "seconds": seconds,
                "ms_per_plane": seconds * 1e3 / count,
                "slope_ms_per_plane": (seconds - before["seconds"]) * 1e3 / (count - before["planes"]),
                "peak_mb": max(run["peak_mb"] for run in runs),
                "rounds": bench.rounds,
            }
        )
        print(_line(rows[-1]), flush=True)
    return rows


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['side_px']:5}²  {row['workers']:2} workers  {row['planes']:6,} planes  {row['seconds']:8.2f} s  "
        f"{row['ms_per_plane']:7.2f} ms a plane  {row['slope_ms_per_plane']:7.2f} ms slope  "
        f"{row['start_s']:5.2f} s start  {row['peak_mb']:5.0f} MB"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10_000, help="planes of the largest plate")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--rounds", type=int, default=3, help="conversions of every plate; the fastest counts")
    parser.add_argument("--folder", type=Path, help="where plates are made and written; the system's by default")
    parser.add_argument("--quick", action="store_true", help="10 and 20 small planes, once")
    chosen = parser.parse_args(arguments)
    sides = (SMALL_PX,) if chosen.quick else (SMALL_PX, LARGE_PX)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        rows = []
        for side_px in sides:
            planes = [10, 20] if chosen.quick else [count for count in STEPS[side_px] if count <= chosen.most]
            rendered = render(PlateSize(1, side_px), fields=1)
            bench = Bench(Path(folder), side_px, rendered, 1 if chosen.quick else chosen.rounds)
            for workers in chosen.workers:
                rows += curve(bench, planes, workers)
    print(json.dumps({"benchmark": "memory_and_scaling", "cores": len(os.sched_getaffinity(0)), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
