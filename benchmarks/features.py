"""The feature catalogue on one field: `hts` beside the packages that define the features.

One 2048 x 2048 field, 5 channels, 1,050 touching cells, one process. For each row of the table of peers
(``tests/reference/features/table.py``, the same that the parity tests use): CPU time of ours on one thread and of
the peer, their ratio, and the largest difference of values. Then the whole catalogue: seconds on one and two threads,
memory above the arrays that it was given, and cost against cells, channels and pixels.

Run ``python benchmarks/features.py [--small] [--families shape texture] [--no-peers] [--no-scaling] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for tests.reference, when run as a script

from benchmarks._crowded import FieldSpec, cpu_seconds, make_field
from hts.stages.measure import MeasureParams, family_names, measure_field, warm_up
from tests.reference.features.peers import ParityField, PeerRow
from tests.reference.features.table import PEERS

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")


def parity_field(spec: FieldSpec) -> ParityField:
    labels, images = make_field(spec)
    return ParityField("benchmark", labels, images, CHANNELS[: len(images)])


def ours(field: ParityField, families: tuple[str, ...] | str, options: dict[str, Any] | None = None, threads: int = 1):
    params = MeasureParams(features=families, options=options or {})
    images = dict(zip(field.channels, field.images, strict=True))
    return measure_field({"cells": field.labels}, images, params, threads=threads)


def difference(row: PeerRow, field: ParityField, theirs: dict[str, Any]) -> tuple[float, int, int]:
    """The largest of |ours - peer| / (|peer| + atol / rtol), which the tests hold below rtol; values; left out."""
    table = ours(field, (row.family,), {row.family: row.options} if row.options else None)
    worst, count, left_out = 0.0, 0, 0
    for name, values in theirs.items():
        expected = np.asarray(values, dtype=np.float64)
        same = row.compared(field, name, expected)
        found, expected = table[f"Cells_{name}"].to_numpy()[same], expected[same]
        left_out += int(np.count_nonzero(~same))
        if not np.array_equal(np.isnan(found), np.isnan(expected)):
            return np.inf, count, left_out
        apart = np.abs(found - expected) / np.maximum(np.abs(expected) + row.atol / row.rtol, 1e-300)
        worst = max(worst, float(np.nanmax(np.where(found == expected, 0.0, apart), initial=0.0)))
        count += found.size
    return worst, count, left_out


def compare(row: PeerRow, field: ParityField, rounds: int) -> dict[str, Any]:
    options = {row.family: row.options} if row.options else None
    ours(field, (row.family,), options)
    mine = statistics.median(cpu_seconds(lambda: ours(field, (row.family,), options), rounds))
    begin = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        theirs = row.columns(field)
    peer = time.process_time() - begin
    worst, count, left_out = difference(row, field, theirs)
    return {
        "family": row.family,
        "row": row.columns.__name__,
        "peer": row.peer,
        "ours_s": mine,
        "ours_n": rounds,
        "peer_s": peer,
        "peer_n": 1,
        "ratio": peer / mine,
        "features": len(theirs),
        "values": count,
        "left_out": left_out,
        "largest_difference": worst,
        "rtol": row.rtol,
        "atol": row.atol,
        "equal": worst <= row.rtol,
    }


def whole(field: ParityField, rounds: int) -> dict[str, Any]:
    """All families: seconds by the clock on one and two threads in turn.

    The control is two fields on one thread each, at once: what the machine's cores give for this work at best.
    """
    ours(field, "all")
    single, double, apart = [], [], []
    for _ in range(rounds):
        with ThreadPoolExecutor(2) as pool:
            begin = time.perf_counter()
            list(pool.map(lambda each: ours(each, "all"), (field, field)))
            apart.append((time.perf_counter() - begin) / 2)
        for threads, times in ((1, single), (2, double)):
            begin = time.perf_counter()
            table = ours(field, "all", threads=threads)
            times.append(time.perf_counter() - begin)
    object_px = int(np.count_nonzero(field.labels))
    return {
        "columns": table.shape[1],
        "object_px": object_px,
        "one_thread_s": statistics.median(single),
        "two_threads_s": statistics.median(double),
        "threads_ratio": statistics.median(single) / statistics.median(double),
        "control_ratio": statistics.median(single) / statistics.median(apart),
        "cpu_s": statistics.median(cpu_seconds(lambda: ours(field, "all"), rounds)),
        "rounds": rounds,
    }


def family_costs(field: ParityField, rounds: int) -> list[dict[str, Any]]:
    """CPU seconds of each family by itself, and nanoseconds a pixel inside objects and a channel or pair."""
    object_px, count = int(np.count_nonzero(field.labels)), len(field.channels)
    pairs = count * (count - 1) // 2
    times = {"pair": pairs, "channel": count, "labels": 1}
    inputs = {"correlation": "pair", "costes": "pair"}
    found = []
    for name in family_names():
        ours(field, (name,))
        seconds = statistics.median(cpu_seconds(lambda name=name: ours(field, (name,)), rounds))
        per = inputs.get(name, "labels" if name in LABELS_ONLY else "channel")
        found.append({"family": name, "ours_s": seconds, "per": per, "ns": seconds * 1e9 / object_px / times[per]})
    return found


LABELS_ONLY = ("location", "shape", "moments", "zernike", "neighbors")


def memory(small: bool) -> dict[str, float]:
    """Peak of a process that measures, above what it holds before: arrays, packages and compiled kernels."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from benchmarks import features as f\n"
        "from benchmarks._crowded import FieldSpec\n"
        "status = lambda key: int(open('/proc/self/status').read().split(key + ':')[1].split()[0]) * 1024\n"
        "spec = f.FieldSpec(side_px=256, cells=20) if sys.argv[2] == 'small' else f.FieldSpec()\n"
        "f.ours(f.parity_field(f.FieldSpec(side_px=256, cells=20)), 'all')\n"
        "field = f.parity_field(spec)\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = status('VmRSS')\n"
        "f.ours(field, 'all')\n"
        "print(field.labels.nbytes + field.images.nbytes, status('VmHWM') - before)\n"
    )
    command = [sys.executable, "-c", code, str(ROOT), "small" if small else "whole"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    field_bytes, peak = map(int, done.stdout.split())
    return {"field_bytes": field_bytes, "above_bytes": peak, "ratio": peak / field_bytes}


def scaling(small: bool, rounds: int) -> list[dict[str, Any]]:
    """CPU seconds of everything against cells, channels and pixels, each with the others as they are."""
    base = FieldSpec(side_px=256, cells=20) if small else FieldSpec()
    specs = [replace(base, cells=cells) for cells in ((5, 20, 60) if small else (100, 300, 1050, 3000, 10_000))]
    specs += [replace(base, channels=channels) for channels in (1, 2, 3, 5)]
    sides = (128, 256) if small else (512, 1024, 2048)
    specs += [replace(base, side_px=side, cells=max(1, base.cells * side**2 // base.side_px**2)) for side in sides]
    found = []
    for spec in specs:
        field = parity_field(spec)
        seconds = statistics.median(cpu_seconds(lambda field=field: ours(field, "all"), rounds))
        found.append({"side_px": spec.side_px, "cells": spec.cells, "channels": spec.channels, "cpu_s": seconds})
    return found


def show(result: dict[str, Any]) -> None:
    for row in result.get("peers", []):
        print(
            f"{row['family']:<15} {row['ratio']:7.1f} times {row['peer']} ({row['row']}): {row['ours_s'] * 1e3:.0f} ms "
            f"(n = {row['ours_n']}) against {row['peer_s']:.2f} s (n = 1); {row['features']} features, "
            f"largest difference {row['largest_difference']:.1e} of {row['rtol']:.0e} (+ {row['atol']:.0e}), "
            f"{row['left_out']} of {row['values'] + row['left_out']} values left out"
        )
    for row in result.get("families", []):
        print(f"{row['family']:<15} {row['ours_s'] * 1e3:7.0f} ms, {row['ns']:.2g} ns a pixel and {row['per']}")
    everything = result["whole"]
    print(
        f"everything: {everything['columns']} columns, {everything['cpu_s']:.2f} s CPU; by the clock one thread "
        f"{everything['one_thread_s']:.2f} s, two {everything['two_threads_s']:.2f} s: "
        f"{everything['threads_ratio']:.2f} times (two fields at once: {everything['control_ratio']:.2f}; "
        f"n = {everything['rounds']})"
    )
    if "memory" in result:
        print(f"memory above labels and images: {result['memory']['ratio']:.1f} times their bytes")
    for row in result.get("scaling", []):
        print(f"{row['side_px']}² px, {row['cells']} cells, {row['channels']} channels: {row['cpu_s']:.2f} s CPU")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="a 256 x 256 field, to see that the benchmark works")
    parser.add_argument("--families", nargs="*", help="only rows of these families")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--no-scaling", action="store_true", help="without memory and cost against size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args(arguments)
    rounds = 1 if chosen.small else chosen.rounds
    warm_up(MeasureParams(features="all"), ("uint16",))
    field = parity_field(FieldSpec(side_px=256, cells=20, channels=3) if chosen.small else FieldSpec())
    rows = [row for row in PEERS if chosen.families is None or row.family in chosen.families]
    result: dict[str, Any] = {"whole": whole(field, rounds), "families": family_costs(field, rounds)}
    if not chosen.no_scaling:
        result |= {"memory": memory(chosen.small), "scaling": scaling(chosen.small, min(rounds, 3))}
    if not chosen.no_peers:
        result["peers"] = [compare(row, field, rounds) for row in rows]
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))
    show(result)
    return 0 if all(row["equal"] for row in result.get("peers", [])) else 1


if __name__ == "__main__":
    sys.exit(main())
