"""Clusters behind one function: a local one, or the address of one that already runs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hts.engine.threads import WORKER_CORES
from hts.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_TIMEOUT_S = 15
WORKERS_TIMEOUT_S = 30
ALLOWED_FAILURES = 10
"""Deaths of workers that Dask forgives a task; our own attempt counter gives up earlier, well by well."""


@contextlib.contextmanager
def connect(cluster: str = "local", workers: int | None = None) -> Iterator[Client]:
    """A client of the cluster, closed at the end; a local cluster ends with it.

    Parameters
    ----------
    cluster : ``local``, or the address of a scheduler (``tcp://host:8786``).
    workers : processes of a local cluster; one a CPU core when None.

    Raises
    ------
    NotFoundError
        when nobody answers at the address.
    """
    import dask
    from distributed import Client, LocalCluster

    settings = {"distributed.scheduler.allowed-failures": ALLOWED_FAILURES, "distributed.comm.timeouts.connect": "10s"}
    with dask.config.set(settings):
        if cluster == "local":
            count = workers or available_cores()
            with _worker_environment(max(1, available_cores() // count)):
                local = LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                )
            with local, Client(local) as client:
                yield client
            return
        if workers is not None:
            raise UsageError("--workers goes with a local cluster", found=f"--cluster {cluster}")
        try:
            client = Client(cluster, timeout=CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise NotFoundError(
                f"a Dask scheduler at {cluster}",
                found=str(error) or type(error).__name__,
                fix="check the address that the scheduler prints, or use --cluster local",
            ) from error
        with client:
            yield client


def available_cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _worker_environment(cores: int) -> Iterator[None]:
    """What workers inherit: one BLAS thread each (the wells run in parallel), the number of their cores for those that
    can use more, and no Ctrl-C: it is for us to handle."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    settings = {**dict.fromkeys(names, "1"), WORKER_CORES: str(cores)}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def wait_for_workers(client: Client) -> None:
    """Wait until the cluster has a worker.

    Raises
    ------
    NotFoundError
        when none has come after `WORKERS_TIMEOUT_S`.
    """
    try:
        client.wait_for_workers(1, timeout=WORKERS_TIMEOUT_S)
    except TimeoutError as error:
        raise NotFoundError(
            f"a worker of the scheduler at {client.scheduler_info()['address']}",
            found=f"none in {WORKERS_TIMEOUT_S} s",
            fix="start workers, with dask worker ADDRESS",
        ) from error


def worker_memory_bytes(client: Client) -> int | None:
    """Memory limit of the smallest worker; None when workers have none."""
    limits = [worker["memory_limit"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    return min((int(limit) for limit in limits if limit), default=None)
