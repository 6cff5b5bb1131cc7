"""The whole way on a real plate: 96 wells, two channels of 640², from the microscope's files to Z′ and report.

    python benchmarks/bench_translocation.py --data FOLDER/cp_sbs_96well

runs the commands a user types (convert, run, the same run again, the same run with other profile settings), each as a
process of its own, start of Python and of the Dask cluster included, and prints one JSON line with seconds and figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SETTINGS = (
    "channels.dna=Channel2",
    "channels.reporter=Channel1",
    "profile.controls.negative=SBS_Controls == -1",
    "profile.controls.positive=SBS_Controls == 1",
)


def call(*arguments: str | Path) -> tuple[float, dict[str, Any]]:
    """Seconds and JSON of one command."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "hts.cli", *map(str, arguments), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begin, json.loads(done.stdout)


def measure(data: Path, folder: Path) -> dict[str, Any]:
    """All steps on a fresh plate in `folder`."""
    plate = folder / "sbs.ome.zarr"
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    convert_s, _ = call("convert", data, plate, "--layout", data / "1049_Metadata.csv")
    run_s, summary = call("run", plate, "translocation", *settings)
    again_s, again = call("run", plate, "translocation", *settings)
    profile_s, _ = call("run", plate, "translocation", *settings, "--set", "profile.aggregate=[mean, median]")
    quality = summary["quality"]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "convert_s": round(convert_s, 1),
        "run_s": round(run_s, 1),
        "again_s": round(again_s, 1),
        "again_computed": again["wells"]["done"] - again["wells"]["skipped"],
        "profile_only_s": round(profile_s, 1),
        "nuclei": quality["nuclei"],
        "z_prime": round(quality["z_prime"], 3),
        "ssmd": round(quality["ssmd"], 1),
        "ec50": round(quality["ec50"], 2),
        "features": {entry["feature"]: round(entry["z_prime"], 3) for entry in quality["features"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the translocation plate")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments.data, Path(folder))))


if __name__ == "__main__":
    main()
