"""Blocks of many fields in full batches; memory that runs out; threads; arrays that become tensors without a copy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from hts.errors import StageError
from hts.stages.segment.blocks import block_grid
from hts.stages.segment.networks import batches as module
from hts.stages.segment.networks.batches import (
    BatchRecord,
    PreparedField,
    as_tensor,
    default_batch_size,
    run_pooled,
    torch_threads,
)
from hts.stages.segment.networks.memory import kept_memory
from tests.stages.segment.checkpoints import DiscNetwork


def prepared(key: Any, shape: tuple[int, int], block_px: int = 64) -> PreparedField:
    image = torch.rand((2, *shape), generator=torch.Generator().manual_seed(sum(shape)))
    return PreparedField(key, image, block_grid(shape, block_px, 16))


def alone(field: PreparedField) -> torch.Tensor:
    (output,) = run_pooled(DiscNetwork(), [field], 1)
    return output.outputs


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100, None])
def test_every_field_gets_its_own_outputs_in_order(batch_size):
    shapes = [(64, 64), (150, 64), (30, 20), (64, 64), (64, 130), (30, 20), (64, 64)]
    fields = [prepared(n, shape) for n, shape in enumerate(shapes)]
    network, record = DiscNetwork(), BatchRecord()
    outputs = list(run_pooled(network, fields, batch_size, record))
    assert [output.key for output in outputs] == list(range(7))
    for field, output in zip(fields, outputs, strict=True):
        assert tuple(output.outputs.shape) == (3, *field.image.shape[1:])
        torch.testing.assert_close(output.outputs, alone(field), atol=1e-3, rtol=1e-3)
        assert output.style is not None
        assert float(output.style.square().sum()) == pytest.approx(1.0, abs=1e-5)
    assert record.blocks == sum(len(field.grid) for field in fields) == sum(shape[0] for shape in network.batches)
    assert record.batches == len(network.batches)
    assert record.halvings == 0


def test_blocks_of_many_fields_fill_the_batches():
    network = DiscNetwork()
    list(run_pooled(network, (prepared(n, (64, 64)) for n in range(10)), 4))
    assert [shape[0] for shape in network.batches] == [4, 4, 2]
    network = DiscNetwork()
    list(run_pooled(network, (prepared(n, (64, 150)) for n in range(5)), 4))
    assert [shape[0] for shape in network.batches] == [4, 4, 4, 3]


def test_no_more_fields_than_a_batch_holds_are_open():
    """Every second field has a size of its own, which never fills a batch."""
    drawn = 0

    def fields() -> Iterator[PreparedField]:
        nonlocal drawn
        for n in range(40):
            drawn += 1
            yield prepared(n, (64, 64) if n % 2 else (8 + 8 * (n % 7), 24))

    for done, output in enumerate(run_pooled(DiscNetwork(), fields(), 4)):
        assert output.key == done
        assert drawn - done <= 5


def test_an_empty_stream():
    assert list(run_pooled(DiscNetwork(), [], 4)) == []


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_when_memory_runs_out_the_batch_is_halved_and_stays_small(error):
    network, record = DiscNetwork(most_pixels=2 * 64 * 64, out_of_memory=error), BatchRecord()
    fields = [prepared(n, (64, 64)) for n in range(12)]
    outputs = list(run_pooled(network, fields, 8, record))
    assert [shape[0] for shape in network.batches] == [8, 4, 2, 2, 2, 2, 2, 2]
    assert (record.halvings, record.batch_size, record.batches, record.blocks) == (2, 2, 6, 12)
    for field, output in zip(fields, outputs, strict=True):
        torch.testing.assert_close(output.outputs, alone(field), atol=1e-3, rtol=1e-3)


def test_memory_for_less_than_one_block_is_an_error():
    with pytest.raises(StageError, match=r"memory on cpu for one block of 64 × 64 px.*(?s:.)*smaller block_px"):
        list(run_pooled(DiscNetwork(most_pixels=100), [prepared(0, (64, 64))], 4))


def test_other_errors_are_not_taken_for_it():
    network = DiscNetwork(most_pixels=1, out_of_memory=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(run_pooled(network, [prepared(0, (64, 64))], 4))


def test_batches_where_no_size_is_given():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [default_batch_size((edge, edge), cpu) for edge in (64, 256, 1024, 2048)] == [64, 16, 1, 1]
    assert [default_batch_size((edge, edge), gpu) for edge in (64, 256, 1024, 4096)] == [64, 64, 8, 1]


def test_threads_are_those_of_the_worker_and_restored():
    before = torch.get_num_threads()
    network = DiscNetwork()
    list(run_pooled(network, [prepared(0, (64, 64))], 1, threads=1))
    assert network.threads == {1}
    assert torch.get_num_threads() == before
    with torch_threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
    with torch_threads(None):
        assert torch.get_num_threads() == before


def test_arrays_become_tensors_that_share_their_memory(monkeypatch):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = as_tensor(array)
    tensor[0, 0] = 99
    assert array[0, 0] == 99

    class OnGpu:
        """What CuPy gives: DLPack, and no way to the host that would not be noticed."""

        def __dlpack__(self, **given: Any) -> Any:
            return array.__dlpack__(**given)

        def __dlpack_device__(self) -> Any:
            return array.__dlpack_device__()

        def __array__(self) -> Any:
            raise AssertionError("copied through the host")

    monkeypatch.setattr(module, "is_on_gpu", lambda value: isinstance(value, OnGpu))
    shared = as_tensor(OnGpu(), "cpu")
    shared[0, 1] = 77
    assert array[0, 1] == 77


_FAULTS = """
import resource, contextlib, sys
import numpy as np
from hts.stages.segment.networks.memory import kept_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(8_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
np.ones(8_000_000, np.uint8)
free = faults()
with kept_memory(), kept_memory():
    np.ones(8_000_000, np.uint8)
    kept = faults()
again = faults()
print(free, kept, again)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of GNU is asked")
def test_freed_memory_is_kept_inside_and_given_back_after():
    done = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True, timeout=60)
    free, kept, again = map(int, done.stdout.split())
    if free < 20:
        pytest.skip("this C library keeps memory by itself")
    assert kept < free / 10
    assert again > free / 2


def test_memory_is_left_alone_without_that_library(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    with kept_memory():
        pass
