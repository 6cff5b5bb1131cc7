"""A row of the table of kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class KernelRow:
    """A kernel, by name; the call that allocates and checks for it; its twin; who else computes the same."""

    kernel: str
    call: Callable[..., Any]
    twin: Callable[..., Any]
    peer_name: str
    peer: Callable[..., Any]
    dtypes: tuple[type[np.generic], ...]
