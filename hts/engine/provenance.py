"""With what a result was made: versions, machine, cluster, compilation."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

PACKAGES = ("numpy", "numba", "scikit-image", "scipy", "pandas", "pycytominer", "zarr", "dask", "distributed")


def provenance(client: Client, compile_s: float | None, packages: tuple[str, ...] = ()) -> dict[str, str]:
    """What the report says about how the numbers came about; `packages` are those that this recipe's segmenters use."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    facts = {"hts": importlib.metadata.version("hts"), "Python": platform.python_version()}
    facts |= {name: importlib.metadata.version(name) for name in (*PACKAGES, *packages)}
    facts["machine"] = f"{platform.system()} {platform.machine()}"
    facts["cluster"] = f"{len(workers)} workers, {sum(worker['nthreads'] for worker in workers.values())} threads"
    if compile_s is not None:
        facts["kernels"] = f"{compile_s:.2f} s to compile or to load from the cache, once"
    return facts
