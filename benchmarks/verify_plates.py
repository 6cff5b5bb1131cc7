"""Convert plates with ``--verify`` and print a table: planes expected, found, verified, and what was said of them.

python benchmarks/verify_plates.py [--reader NAME] FOLDER [FOLDER ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def row(folder: str, reader: str | None) -> str:
    """One line of the table; a folder that no reader takes says why."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ["convert", folder, f"{scratch}/plate.ome.zarr", "--verify", "--json"]
        arguments += ["--reader", reader] if reader else []
        command = [sys.executable, "-m", "hts.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    if "error" in result:
        return f"| {Path(folder).name} | – | – | – | {' '.join(result['error'].split())} |"
    planes, verified = result["planes"], result["verified"]
    issues = ", ".join(f"{number} {status}" for status, number in planes.items() if status != "found")
    said = "; ".join(filter(None, [issues, *result["notes"], *verified["different"]]))
    counts = f"{sum(planes.values())} | {planes.get('found', 0)} | {verified['equal']}"
    return f"| {Path(folder).name} | {counts} | {said} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", help="folders, or single files, that hold a plate each")
    parser.add_argument("--reader", help="force this reader")
    given = parser.parse_args()
    print("| plate | expected | found | verified | what is said |\n|---|---|---|---|---|")
    for folder in given.folders:
        print(row(folder, given.reader), flush=True)


if __name__ == "__main__":
    main()
