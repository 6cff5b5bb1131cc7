"""Convert plates with ``--verify`` and print a table: planes expected, found, verified, and what was said of them.

python benchmarks/verify_plates.py FOLDER [FOLDER ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def row(folder: str) -> str:
    """One line of the table; a folder that no reader takes says why."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "hts.cli",
            "convert",
            folder,
            f"{scratch}/plate.ome.zarr",
            "--verify",
            "--json",
        ]
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
    print("| plate | expected | found | verified | what is said |\n|---|---|---|---|---|")
    for folder in parser.parse_args().folders:
        print(row(folder), flush=True)


if __name__ == "__main__":
    main()
