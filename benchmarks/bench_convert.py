"""Conversion of a plate beside the limit of the machine, ome-zarr-py and ngio: one run, same planes, codec and cores.

    python benchmarks/bench_convert.py [--fields 12] [--rounds 5] [--compression none lzw] [--folder DIR] [--quick]

makes an ImageXpress plate (16 bit, 2048², 5 channels, pixels of ``hts synth``) for every compression of its TIFFs, and
in every round lets the contestants convert it one after another, in an order that changes with the round:

- the limit: tifffile decodes the planes, numcodecs encodes them and their precomputed levels, the bytes go to files.
  No metadata, no folders, no downsampling; by threads and by processes, the faster one of a round counts.
  Without the levels as information.
- `hts.convert`, the whole call; and of a fourth of the fields, so that the slope tells the cost of a plane without
  the constant start.
- ome-zarr-py's ``write_image`` (with averaged levels as ours, and with those it makes unless told otherwise) and ngio's
  ``create_ome_zarr_from_array`` of every field, reading the same TIFFs, without the plate's and the wells' metadata,
  each in the fastest of its ways: before the rounds all are tried (threads, processes or Dask's threads; one file a
  plane or a chunk; ways to make levels).

Each writes Blosc zstd-1 with byte shuffle in chunks of 1024², five levels; `hts` adds its checksums. Files are in the
page cache, pools of threads and processes wait, libraries are imported. What one wrote is emptied and the
disk is synchronised before the next starts. Values are compared before the times are.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks, when run as a script

import hts
from benchmarks import _contestants as contest
from benchmarks._figures import Spread, ratios, spread, text
from benchmarks._plates import MadePlate, PlateSize, Rendered, part_of, render, write_plate

PACKAGES = ("hts", "ome-zarr", "ngio", "zarr", "numcodecs", "tifffile", "dask", "numpy")
LIMITS = ("limit (threads)", "limit (processes)")
NO_LEVELS = ("limit without levels (threads)", "limit without levels (processes)")
OURS, OURS_PART = "hts.convert", "hts.convert, a fourth of the fields"
PEERS = OME_ZARR, OME_ZARR_DEFAULT, NGIO = "ome-zarr-py", "ome-zarr-py, default levels", "ngio"
CODEC = {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "typesize": 2}
TRIES = 3
"""How often every way of a peer is tried; the best try counts."""


@dataclass(frozen=True)
class Timing:
    """Wall and CPU seconds, those of the processes of the pool included."""

    wall_s: float
    cpu_s: float


@dataclass
class Arena:
    """The plate, the pools, and the folder that everybody writes to in turn."""

    size: PlateSize
    plate: MadePlate
    part: MadePlate
    folder: Path
    threads: Executor
    processes: ProcessPoolExecutor
    ways: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @functools.cached_property
    def fields(self) -> list[list[str]]:
        return [[str(file) for file in files] for files in self.plate.fields]

    @functools.cached_property
    def files(self) -> list[str]:
        return [file for files in self.fields for file in files]

    def pool(self, way: contest.Way) -> Executor | None:
        return {"threads": self.threads, "processes": self.processes, "dask": None}[way.spread]

    def measure(self, call: Callable[[Path], Any], check: Callable[[Path], None] | None = None) -> Timing:
        """Time of a call that writes to a new folder, which is looked at and emptied afterwards."""
        target = self.folder / f"out-{next(self.numbers)}"
        os.sync()
        cpu_s, begin = self._cpu_s(), time.perf_counter()
        call(target)
        wall_s = time.perf_counter() - begin
        timing = Timing(wall_s, self._cpu_s() - cpu_s)
        if check:
            check(target)
        # Emptied, not removed: ext4 looks long for inodes where many were freed in the last seconds.
        for file in target.rglob("*"):
            if file.is_file():
                os.truncate(file, 0)
        return timing

    def _cpu_s(self) -> float:
        """CPU seconds of this process and of those of the pool so far; those are known to a hundredth."""
        ticks = 0
        for process in active_children():
            after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(after_name[11]) + int(after_name[12])
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def arena(size: PlateSize, rendered: list[list[Rendered]], folder: Path) -> Iterator[Arena]:
    """Files made, levels precomputed, pools warm."""
    plate = write_plate(folder / "plate", size, rendered)
    files = [file for files in plate.fields for file in files]
    for file in files:
        contest.save_levels(file)
    part = part_of(plate, max(1, size.fields // 4), folder / "part")
    cores = contest.cores()
    names = [str(file) for file in files]
    contest.preload(names)
    with (
        ThreadPoolExecutor(cores) as threads,
        ProcessPoolExecutor(cores, get_context("spawn"), contest.preload, (names,)) as processes,
    ):
        list(processes.map(time.sleep, [0.2] * cores))
        yield Arena(size, plate, part, folder, threads, processes)


def contestants(ring: Arena, tries: int) -> dict[str, Callable[[Path], Any]]:
    """Everybody by name, peers in their fastest way; each has run once and its values have been compared."""
    convert = functools.partial(hts.convert, ring.plate.folder, workers=contest.cores())
    found: dict[str, Callable[[Path], Any]] = {
        OURS: convert,
        OURS_PART: functools.partial(hts.convert, ring.part.folder, workers=contest.cores()),
    }
    pools = (ring.threads, ring.processes)
    for names, with_levels in ((LIMITS, True), (NO_LEVELS, False)):
        for name, pool in zip(names, pools, strict=True):
            found[name] = functools.partial(_limit, pool, ring.files, with_levels)
            ring.measure(found[name])
    ring.measure(convert, lambda plate: _compare_ours(ring, plate))
    best = _fastest(ring, contest.ome_zarr_field, contest.OME_ZARR_WAYS, tries)
    chosen = {
        OME_ZARR: (contest.ome_zarr_field, best),
        OME_ZARR_DEFAULT: (contest.ome_zarr_field, replace(best, pyramid="resize")),
        NGIO: (contest.ngio_field, _fastest(ring, contest.ngio_field, contest.NGIO_WAYS, tries)),
    }
    for name, (writer, way) in chosen.items():
        ring.ways[name] = str(way)
        found[name] = _peer(writer, way, ring.pool(way), ring.fields)
        ring.measure(found[name], lambda target: _compare_peer(ring, target))
    return found


def _limit(pool: Executor, files: list[str], with_levels: bool, target: Path) -> None:
    contest.limit(pool, files, target, with_levels)


def _peer(
    writer: contest.FieldWriter, way: contest.Way, pool: Executor | None, fields: list[list[str]]
) -> Callable[[Path], None]:
    return lambda target: contest.write_fields(writer, way, pool, fields, target)


def _fastest(ring: Arena, writer: contest.FieldWriter, ways: tuple[contest.Way, ...], tries: int) -> contest.Way:
    """The way that takes least wall time for a few fields."""
    few = ring.fields[: 2 * contest.cores()]
    seconds = dict.fromkeys(ways, math.inf)
    # Every way in turn: what else the machine does meanwhile must not hit all tries of one of them.
    for _, way in itertools.product(range(tries), ways):
        timing = ring.measure(_peer(writer, way, ring.pool(way), few))
        seconds[way] = min(seconds[way], timing.wall_s)
    return min(ways, key=lambda way: seconds[way])


def _compare_ours(ring: Arena, target: Path) -> None:
    plate = hts.Plate.open(target)
    found = [one.array(0)[0, :, 0] for well in plate.wells for one in plate[well].fields]
    _compare(ring, found)


def _compare_peer(ring: Arena, target: Path) -> None:
    import zarr

    images = []
    for number in range(len(ring.fields)):
        group = zarr.open_group(str(target / str(number)), mode="r")
        levels = [group[level["path"]] for level in group.attrs["ome"]["multiscales"][0]["datasets"]]
        _compare_form(ring, levels)
        images.append(levels[0][:])
    _compare(ring, images)


def _compare_form(ring: Arena, levels: list[Any]) -> None:
    """The peer does the same work: all levels, our chunks, our codec."""
    sides = [ring.size.side_px >> level for level in range(contest.level_count(ring.size.side_px))]
    if len(levels) != len(sides):
        raise ValueError(f"{len(levels)} levels were written instead of {len(sides)}")
    for level, side in zip(levels, sides, strict=True):
        chunk = min(contest.CHUNK_PX, side)
        (compressor,) = level.compressors
        told = compressor.to_dict()["configuration"]
        if level.shape[1:] != (side, side) or level.chunks != (1, chunk, chunk) or not CODEC.items() <= told.items():
            raise ValueError(f"{level} is not of {side}² in chunks of {chunk}² with {CODEC}, but {told}")


def _compare(ring: Arena, found: list[Any]) -> None:
    """Every plane, at full size."""
    for files, image in zip(ring.fields, found, strict=True):
        for file, plane in zip(files, image, strict=True):
            if not np.array_equal(contest.read(file), plane):
                raise ValueError(f"{file} was not written as it is")


def race(ring: Arena, rounds: int, tries: int) -> dict[str, list[Timing]]:
    """Times of everybody, round by round; the order moves on by one each time."""
    calls = contestants(ring, tries)
    names = list(calls)
    times: dict[str, list[Timing]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(ring.measure(calls[name]))
    return times


def figures(ring: Arena, times: dict[str, list[Timing]]) -> dict[str, Any]:
    """Rates and ratios, each as (median, lowest, highest) of the rounds."""
    wall = {name: [timing.wall_s for timing in timings] for name, timings in times.items()}
    planes, part_planes = ring.size.planes, len(ring.part.fields) * ring.size.channels
    best = [min(pair) for pair in zip(*(wall[name] for name in LIMITS), strict=True)]
    bare = [min(pair) for pair in zip(*(wall[name] for name in NO_LEVELS), strict=True)]
    slope = [(whole - part) / (planes - part_planes) for whole, part in zip(wall[OURS], wall[OURS_PART], strict=True)]
    start_s = [whole - planes * one for whole, one in zip(wall[OURS], slope, strict=True)]
    return {
        "rates": {name: _rate(ring.size, timings) for name, timings in times.items() if name != OURS_PART},
        "ratios": {
            "share_of_limit": ratios(best, wall[OURS]),
            "share_of_limit_without_start": spread([b / planes / s for b, s in zip(best, slope, strict=True)]),
            "share_of_limit_without_levels": ratios(bare, wall[OURS]),
            **{f"times_{name}": ratios(wall[name], wall[OURS]) for name in PEERS},
        },
        "cpu_ratios": _cpu_ratios(times),
        "slope_ms_per_plane": spread([1e3 * one for one in slope]),
        "start_s": spread(start_s),
    }


def _rate(size: PlateSize, timings: list[Timing]) -> dict[str, Spread]:
    return {
        "planes_per_s": spread([size.planes / timing.wall_s for timing in timings]),
        "mb_per_s": spread([size.planes * size.plane_bytes / 1e6 / timing.wall_s for timing in timings]),
        "cpu_ms_per_plane": spread([timing.cpu_s * 1e3 / size.planes for timing in timings]),
    }


def _cpu_ratios(times: dict[str, list[Timing]]) -> dict[str, Spread]:
    """The same of CPU seconds: on a machine that others use, they say more than the clock."""
    cpu = {name: [timing.cpu_s for timing in timings] for name, timings in times.items()}
    best = [min(pair) for pair in zip(*(cpu[name] for name in LIMITS), strict=True)]
    return {"share_of_limit": ratios(best, cpu[OURS])} | {
        f"times_{name}": ratios(cpu[name], cpu[OURS]) for name in PEERS
    }


def run(
    size: PlateSize, rendered: list[list[Rendered]], rounds: int, tries: int, folder: Path | None
) -> dict[str, Any]:
    """One row: a plate of one compression."""
    with tempfile.TemporaryDirectory(dir=folder) as place, arena(size, rendered, Path(place)) as ring:
        times = race(ring, rounds, tries)
        return {
            "benchmark": "convert",
            "compression": size.compression,
            "planes": size.planes,
            "side_px": size.side_px,
            "rounds": rounds,
            "cores": contest.cores(),
            "load": os.getloadavg()[0],
            "versions": {name: version(name) for name in PACKAGES},
            "ways": ring.ways,
            **figures(ring, times),
        }


def table(result: dict[str, Any]) -> str:
    """The row for people."""
    lines = [
        f"{result['planes']} planes of {result['side_px']}², TIFFs {result['compression']}, {result['cores']} cores, "
        f"n = {result['rounds']} rounds, load {result['load']:.1f}; median (lowest to highest)"
    ]
    for name, rate in result["rates"].items():
        shown = ", ".join(f"{text(rate[key])} {unit}" for key, unit in _UNITS.items())
        way = f" [{result['ways'][name]}]" if name in result["ways"] else ""
        lines.append(f"  {name}{way}: {shown}")
    for title, key in (("clock", "ratios"), ("CPU", "cpu_ratios")):
        lines += [f"  {name} by the {title}: {text(ratio)}" for name, ratio in result[key].items()]
    lines.append(f"  slope {text(result['slope_ms_per_plane'])} ms a plane, start {text(result['start_s'])} s")
    return "\n".join(lines)


_UNITS = {"planes_per_s": "planes/s", "mb_per_s": "MB/s", "cpu_ms_per_plane": "ms of CPU a plane"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=12, help="fields of five planes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compression", nargs="+", choices=("none", "lzw", "zlib"), default=["none", "lzw"])
    parser.add_argument("--folder", type=Path, help="where plates are made and written; the system's by default")
    parser.add_argument("--quick", action="store_true", help="four small fields once, to see that the benchmark works")
    chosen = parser.parse_args(arguments)
    size = PlateSize(4, side_px=256) if chosen.quick else PlateSize(chosen.fields)
    rounds, tries = (1, 1) if chosen.quick else (chosen.rounds, TRIES)
    rendered = render(size)
    for compression in chosen.compression:
        one = PlateSize(size.fields, size.side_px, size.channels, compression)
        result = run(one, rendered, rounds, tries, chosen.folder)
        print(json.dumps(result))
        print(table(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
