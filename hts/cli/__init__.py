"""The command line: one thin command a verb, no logic.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with failed wells.
"""

from __future__ import annotations

from hts.cli.app import main

__all__ = ["main"]
