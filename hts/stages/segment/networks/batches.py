"""Blocks of many fields in full batches, whatever the size of a field."""

from __future__ import annotations

import contextlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils.dlpack
from torch import Tensor

from hts.arrays import is_on_gpu
from hts.errors import StageError
from hts.stages.segment.blocks import Blend, BlockGrid, pad_to_grid
from hts.stages.segment.networks.adapter import Network
from hts.stages.segment.networks.memory import kept_memory
from hts.stages.segment.networks.unet import OUTPUTS

_CPU_PIXELS, _GPU_PIXELS = 1024 * 1024, 8 * 1024 * 1024
"""Pixels of a batch where none is asked for: beyond it a CPU saves nothing, and a GPU is full."""
_MAX_BATCH = 64


@dataclass(frozen=True)
class PreparedField:
    """A field at the scale of the network: ``image`` (channels, Y, X) float32, normalised, on any device.

    ``key`` is whatever the caller knows it by.
    """

    key: Any
    image: Tensor
    grid: BlockGrid


@dataclass(frozen=True)
class FieldOutput:
    """The outputs (3, Y, X) float32 of a field, and its style (k,), the normalised sum of those of its blocks."""

    key: Any
    outputs: Tensor
    style: Tensor | None


@dataclass
class BatchRecord:
    """What happened: batches run, blocks in them, and how often memory ran out and the batch was halved."""

    batches: int = 0
    blocks: int = 0
    halvings: int = 0
    batch_size: int | None = None


@dataclass
class _Open:
    """A field some of whose blocks are still to come."""

    key: Any
    blend: Blend
    styles: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class _Block:
    owner: _Open
    number: int
    pixels: Tensor


@dataclass
class _Pool:
    """Blocks that wait for a full batch, by their size."""

    network: Network
    batch_size: int | None
    record: BatchRecord
    threads: int | None
    waiting: OrderedDict[tuple[int, int], deque[_Block]] = field(default_factory=OrderedDict)

    def size_for(self, shape: tuple[int, int]) -> int:
        """Blocks of this shape in a batch: as asked for, or as fits the device, and less once memory ran out."""
        wanted = self.batch_size or default_batch_size(shape, self.network.device)
        return wanted if self.record.batch_size is None else min(wanted, self.record.batch_size)

    def add(self, block: _Block) -> None:
        shape = (int(block.pixels.shape[1]), int(block.pixels.shape[2]))
        queue = self.waiting.setdefault(shape, deque())
        queue.append(block)
        if len(queue) >= self.size_for(shape):
            self.flush(shape)

    def flush(self, shape: tuple[int, int]) -> None:
        """Run all waiting blocks of this shape."""
        queue = self.waiting.pop(shape)
        while queue:
            batch = [queue.popleft() for _ in range(min(len(queue), self.size_for(shape)))]
            outputs = self._run(torch.stack([block.pixels for block in batch]))
            if outputs is None:
                self._halve(len(batch), shape)
                queue.extendleft(reversed(batch))
                continue
            self.record.batches += 1
            self.record.blocks += len(batch)
            _hand_out(batch, *outputs)

    def _run(self, batch: Tensor) -> tuple[Tensor, Tensor | None] | None:
        """Outputs and styles, or nothing when memory ran out."""
        try:
            with torch_threads(self.threads):
                return self.network.run(batch)
        except (torch.cuda.OutOfMemoryError, MemoryError):
            return None
        except RuntimeError as error:
            # The allocator for CPUs has no class of its own.
            if "DefaultCPUAllocator" not in str(error):
                raise
            return None

    def _halve(self, tried: int, shape: tuple[int, int]) -> None:
        if tried == 1:
            raise StageError(
                f"memory on {self.network.device} for one block of {shape[0]} × {shape[1]} px",
                found="memory ran out",
                fix="set a smaller block_px, or end other programs that use the device",
            )
        self.record.halvings += 1
        self.record.batch_size = tried // 2
        if self.network.device.type == "cuda":
            torch.cuda.empty_cache()


def default_batch_size(shape: tuple[int, int], device: torch.device) -> int:
    """Blocks of `shape` in a batch where none is asked for."""
    pixels = _GPU_PIXELS if device.type == "cuda" else _CPU_PIXELS
    return min(_MAX_BATCH, max(1, pixels // (shape[0] * shape[1])))


def run_pooled(
    network: Network,
    fields: Iterable[PreparedField],
    batch_size: int | None = None,
    record: BatchRecord | None = None,
    threads: int | None = None,
) -> Iterator[FieldOutput]:
    """The network's outputs of every field, in the order of the fields.

    Blocks of one size are pooled over fields. At most one batch of fields waits to be completed, so memory is that of a
    batch however long the stream is. When the device's memory runs out the batch is halved, for the rest of the stream.

    Parameters
    ----------
    batch_size : blocks in a batch; as fits the device when not given.
    record : filled with what happened.
    threads : CPU threads of torch while the network runs.

    Raises
    ------
    StageError
        when memory is too small for one block.
    """
    with contextlib.ExitStack() as stack:
        if network.device.type == "cpu":
            stack.enter_context(kept_memory())
        record = record if record is not None else BatchRecord()
        yield from _pooled(_Pool(network, batch_size, record, threads), fields)


def _pooled(pool: _Pool, fields: Iterable[PreparedField]) -> Iterator[FieldOutput]:
    still_open: deque[_Open] = deque()
    for prepared in fields:
        still_open.append(_open(pool, prepared))
        yield from _take_finished(still_open)
        if still_open and len(still_open) >= pool.size_for(still_open[0].blend.grid.block):
            # Fields of other sizes came between: what the first one waits for would never fill a batch.
            pool.flush(still_open[0].blend.grid.block)
            yield from _take_finished(still_open)
    for shape in list(pool.waiting):
        pool.flush(shape)
        yield from _take_finished(still_open)


def _open(pool: _Pool, prepared: PreparedField) -> _Open:
    """Cut a field into blocks and let them wait, or run, when they fill a batch."""
    opened = _Open(prepared.key, Blend(prepared.grid, OUTPUTS, pool.network.device))
    image = pad_to_grid(prepared.image, prepared.grid)
    height, width = prepared.grid.block
    for number, (y, x) in enumerate(prepared.grid.origins()):
        pool.add(_Block(opened, number, image[:, y : y + height, x : x + width]))
    return opened


def _take_finished(still_open: deque[_Open]) -> Iterator[FieldOutput]:
    while still_open and (done := _finished(still_open[0])) is not None:
        still_open.popleft()
        yield done


def _finished(opened: _Open) -> FieldOutput | None:
    if not opened.blend.is_complete:
        return None
    style = torch.stack(opened.styles).sum(0) if opened.styles else None
    if style is not None:
        style = style / style.square().sum().sqrt().clamp_min(1e-12)
    return FieldOutput(opened.key, opened.blend.result(), style)


def _hand_out(batch: list[_Block], outputs: Tensor, styles: Tensor | None) -> None:
    for n, block in enumerate(batch):
        block.owner.blend.add(block.number, outputs[n])
        if styles is not None:
            block.owner.styles.append(styles[n])


def as_tensor(array: Any, device: torch.device | str | None = None) -> Tensor:
    """A NumPy or CuPy array as a tensor that shares its memory; moved only when `device` is another one.

    CuPy arrays come through DLPack and never through the host.
    """
    tensor: Tensor = torch.utils.dlpack.from_dlpack(array) if is_on_gpu(array) else torch.from_numpy(array)
    return tensor if device is None else tensor.to(device, non_blocking=True)


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Torch computes with `count` threads inside, those that the worker owns; None leaves it as it is."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)
