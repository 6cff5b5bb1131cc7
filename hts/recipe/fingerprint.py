"""Fingerprints: the same name, version, parameters and inputs always give the same short hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

LENGTH = 12
"""Hexadecimal digits kept: 48 bits, one accidental clash in about 10^7 results of one plate."""


def fingerprint(name: str, version: int, parameters: Mapping[str, Any], reads: Mapping[str, str]) -> str:
    """Hash of a stage's result: its name, version, parameters and the fingerprints of what it read.

    Not source text, not times, not run ids: the same question has the same answer tomorrow.
    """
    text = json.dumps([name, version, parameters, reads], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
