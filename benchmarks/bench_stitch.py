"""Stitching of segmented tiles: `hts` beside cellpose's distributed module, dask-image and sopa's rule.

One mosaic of 16,500 touching cells in 16 overlapping tiles, once as it is and three times damaged as segmenters do:
edges moved by up to 2 px; 2 % dropped and 2 % split; 2 % joined with a neighbour as well. Everybody gets the same
tiles in one process; CPU seconds from tiles to the label image of the field.

cellpose's module is run as it is shipped, with a dummy z axis, and repaired for two dimensions here (its graph of faces
takes a structure of three). dask-image has no overlap: its cores are joined where they touch, with its own functions.
Of sopa there is only the rule, on pixels instead of polygons: its package needs spatialdata; its time says nothing.

    pip install dask-image dask-jobqueue     # both are peers, not dependencies of hts
    python benchmarks/bench_stitch.py [--small] [--tile 1024] [--repeats 3]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage, sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for tests, when run as a script

from hts.stages.segment.stitch import (
    BlockGrid,
    BorderRecords,
    Painter,
    block_grid,
    border_records,
    number_objects,
    resolve,
    stitch,
)
from hts.stages.segment.stitch.overlaps import find_overlaps
from tests.stages.segment.tiles import Damage, cells, damaged, score

Ints = NDArray[np.int32]
Way = Callable[[BlockGrid, list[Ints]], NDArray[Any]]
OVERLAP_PER_DIAMETER = 2
DAMAGES = {
    "none": Damage(0, 0, 0, 0),
    "edges": Damage(2, 0, 0, 0),
    "dropped and split": Damage(),
    "and joined": Damage(joined=0.02),
}


def ours(grid: BlockGrid, tiles: list[Ints]) -> Ints:
    """Everything from labels of tiles to labels of the field."""
    return stitch(grid, tiles)[0]


def ours_with_files(grid: BlockGrid, tiles: list[Ints]) -> Ints:
    """The same, with border records written and read and the label image written as Zarr, block by block."""
    from hts.store.arrays import ArraySpec, create, write_block
    from hts.store.folders import Folders

    spec = ArraySpec(grid.shape, "<u4", ("y", "x"), labels=True, block_px=grid.block_px)
    with tempfile.TemporaryDirectory() as name:
        folder, folders = Path(name), Folders(Path(name))
        create(folder, spec, folders)
        for number, tile in enumerate(tiles):
            numbered = number_objects(tile)[0]
            (folder / f"{number}.npz").write_bytes(border_records(numbered, grid, number).to_bytes())
        stored = [BorderRecords.from_bytes((folder / f"{number}.npz").read_bytes()) for number in range(len(grid))]
        resolution, records = resolve(grid, stored), dict(enumerate(stored))
        field = np.zeros(grid.shape, np.int32)
        for number, (block, tile) in enumerate(zip(grid, tiles, strict=True)):
            painted = Painter(grid, number, resolution, records).paint(number_objects(tile)[0])
            field[block.core.slices()] = painted[block.core.slices(block.tile)]
            part = field[block.core.slices()].astype(np.uint32)
            write_block(folder, spec, (block.row, block.column), part, folders)
    return field


class Picture:
    """What `distributed_eval` needs of its input."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape


def cellpose_distributed(grid: BlockGrid, tiles: list[Ints]) -> NDArray[Any]:
    """Its `distributed_eval` itself, repaired, on one thread of this process; its network gives the tiles."""
    from cellpose.contrib import distributed_segmentation as peer
    from distributed import Client

    by_crop = {(block.tile.y0, block.tile.x0): tile for block, tile in zip(grid, tiles, strict=True)}
    before = peer.read_preprocess_and_segment, peer.block_face_adjacency_graph, peer.zarr
    # Its second repair: zarr-python 3 takes the mode by name.
    peer.zarr = SimpleNamespace(open=lambda store, mode, **more: zarr.open(store, mode=mode, **more))
    peer.read_preprocess_and_segment = lambda _, crop, *rest: by_crop[crop[0].start, crop[1].start].astype(np.uint32)
    peer.block_face_adjacency_graph = _graph_in_2d
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        client = Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None)
        try:
            labels, _ = peer.distributed_eval(
                input_zarr=Picture(grid.shape),
                blocksize=(grid.block_px, grid.block_px),
                write_path=f"{name}/labels.zarr",
                eval_kwargs={"diameter": grid.halo_px // 2},
                cluster=SimpleNamespace(client=client),
            )
            return np.asarray(labels[:])
        finally:
            client.close()
            peer.read_preprocess_and_segment, peer.block_face_adjacency_graph, peer.zarr = before


def cellpose_module(grid: BlockGrid, tiles: list[Ints], kind: str, with_boxes: bool = True) -> NDArray[Any]:
    """What `distributed_eval` does with segmented blocks, without its files; ``kind``: as shipped, dummy axis,
    repaired."""
    from cellpose.contrib import distributed_segmentation as peer

    lead = (1,) if kind == "dummy axis" else ()
    size, shape = np.array((*lead, grid.block_px, grid.block_px)), (*lead, *grid.shape)
    parts, faces, used, places, crops, boxes = [], [], [], [], [], []
    for block, tile in zip(grid, tiles, strict=True):
        place = (*(0 for _ in lead), block.row, block.column)
        crop = (*(slice(0, 1) for _ in lead), *block.tile.slices())
        labels = tile.reshape(*lead, *tile.shape).astype(np.uint32)
        part, kept = peer.remove_overlaps(labels, crop, grid.halo_px, size)
        boxes += peer.bounding_boxes_in_global_coordinates(part.astype(np.int32), kept)
        part, ids = peer.global_segment_ids(part, place, peer.get_nblocks(shape, size))
        parts.append(part)
        faces.append(peer.block_faces(part))
        used.append(np.array(ids[1:] if ids[0] == 0 else ids))
        places.append(place)
        crops.append(tuple(kept))
    graph = peer.block_face_adjacency_graph
    try:
        if kind == "repaired":
            peer.block_face_adjacency_graph = _graph_in_2d
        ids = np.concatenate(used).astype(int)
        numbers = peer.determine_merge_relabeling(places, faces, ids)
        # Its second result, the boxes of the joined objects; most of its time for many objects.
        if with_boxes:
            peer.merge_all_boxes(boxes, numbers[ids])
    finally:
        peer.block_face_adjacency_graph = graph
    field = np.zeros(shape, np.uint32)
    for crop, part in zip(crops, parts, strict=True):
        field[crop] = numbers[part]
    return field.reshape(grid.shape)


def _graph_in_2d(faces: list[NDArray[Any]], nlabels: int) -> Any:
    """cellpose's graph of labels that touch across faces, for faces of 2 × n or n × 2 pixels."""
    from dask_image.ndmeasure._utils import _label

    structure = ndimage.generate_binary_structure(2, 1)
    mappings = []
    for face in faces:
        sides = face if face.shape[0] == 2 else face.T
        shrunk = np.stack([_shrink(side) for side in sides])
        mappings.append(_label._across_block_label_grouping(shrunk, structure))
    i, j = np.concatenate(mappings, axis=1)
    return sparse.coo_matrix((np.ones_like(i), (i, j)), shape=(nlabels + 1, nlabels + 1)).tocsr()


def _shrink(line: NDArray[Any]) -> NDArray[Any]:
    """Its `shrink_labels` along a line."""
    shrunk = np.where(np.gradient(line.astype(float)) != 0, 0, line)
    return np.where(ndimage.distance_transform_edt(shrunk) <= 1, 0, shrunk)


def dask_image(grid: BlockGrid, tiles: list[Ints]) -> NDArray[Any]:
    """Cores joined where labels touch, by dask-image's own graph and relabelling."""
    import dask
    import dask.array as da
    from dask_image.ndmeasure._utils import _label

    labels, before = np.zeros(grid.shape, np.int64), 0
    for block, tile in zip(grid, tiles, strict=True):
        core = tile[block.core.slices(block.tile)]
        labels[block.core.slices()] = np.where(core > 0, core + before, 0)
        before += int(tile.max(initial=0))
    with dask.config.set(scheduler="synchronous"):
        blocks = da.from_array(labels.astype(_label.LABEL_DTYPE), chunks=grid.block_px)
        graph = _label.label_adjacency_graph(blocks, None, dask.delayed(before))
        return np.asarray(_label.relabel_blocks(blocks, _label.connected_components_delayed(graph)).compute())


def sopa_rule(grid: BlockGrid, tiles: list[Ints]) -> NDArray[Any]:
    """Cells whose intersection is half of the smaller one become their union; union of unions."""
    records = [border_records(tile, grid, number) for number, tile in enumerate(tiles)]
    overlaps = find_overlaps(grid, records)
    area = np.concatenate([each.sums[:, 0] for each in records])
    joined = overlaps.shared >= 0.5 * np.minimum(area[overlaps.first], area[overlaps.second])
    i, j = overlaps.first[joined], overlaps.second[joined]
    _, group = sparse.csgraph.connected_components(sparse.coo_matrix((i * 0 + 1, (i, j)), (len(area),) * 2))
    field, before, begin = np.zeros(grid.shape, np.int64), len(area) + 1, 0
    for block, tile, each in zip(grid, tiles, records, strict=True):
        numbers = np.arange(each.n_objects + 1) + before
        numbers[0] = 0
        numbers[each.labels] = group[begin : begin + len(each.labels)] + 1
        painted = numbers[tile]
        field[block.tile.slices()] = np.where(painted > 0, painted, field[block.tile.slices()])
        before, begin = before + each.n_objects, begin + len(each.labels)
    return np.unique(field, return_inverse=True)[1].reshape(field.shape)


WAYS: dict[str, Way] = {
    "hts": ours,
    "hts, with files": ours_with_files,
    "cellpose, repaired, all of it": cellpose_distributed,
    "cellpose, repaired": lambda grid, tiles: cellpose_module(grid, tiles, "repaired"),
    "cellpose, repaired, no boxes": lambda grid, tiles: cellpose_module(grid, tiles, "repaired", False),
    "cellpose, dummy axis": lambda grid, tiles: cellpose_module(grid, tiles, "dummy axis"),
    "cellpose, as shipped": lambda grid, tiles: cellpose_module(grid, tiles, "as shipped"),
    "dask-image": dask_image,
    "sopa's rule": sopa_rule,
}


def run(way: Way, grid: BlockGrid, tiles: list[Ints], repeats: int) -> tuple[NDArray[Any] | str, list[float]]:
    """The label image, or how it failed, and CPU seconds."""
    seconds = []
    try:
        for _ in range(repeats):
            begin = time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                field = way(grid, tiles)
            seconds.append(time.process_time() - begin)
    except (RuntimeError, ValueError, IndexError, MemoryError) as error:
        return f"{type(error).__name__}: {error}", []
    return field, seconds


def compare(side_px: int, count: int, tile_px: int, repeats: int) -> dict[str, Any]:
    """Scores of every way by damage, and its seconds."""
    truth = cells(side_px, count)
    diameter = int(np.sqrt(4 / np.pi * np.median(np.bincount(truth.ravel())[1:])))
    # cellpose's overlap on each side is a multiple of 2.
    grid = block_grid(truth.shape, tile_px, -(-OVERLAP_PER_DIAMETER * diameter // 4) * 4)
    result: dict[str, Any] = {"cells": count, "tiles": len(grid), "overlap_px": grid.overlap_px, "scores": {}}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    stitch(grid, damaged(grid, truth, DAMAGES["none"]))  # compiles
    for damage_name, damage in DAMAGES.items():
        tiles = damaged(grid, truth, damage)
        rows = result["scores"].setdefault(damage_name, {})
        for name, way in WAYS.items():
            field, spent = run(way, grid, tiles, repeats)
            rows[name] = field if isinstance(field, str) else asdict(score(truth, field.astype(np.int32)))
            seconds[name] += spent
    result["seconds"] = {name: round(statistics.median(times), 3) for name, times in seconds.items() if times}
    result["runs"] = {name: len(times) for name, times in seconds.items()}
    result["times_ours"] = {name: round(each / result["seconds"]["hts"], 1) for name, each in result["seconds"].items()}
    return result


def main(arguments: list[str] | None = None) -> int:
    """Print the table for people and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="1,000 cells")
    parser.add_argument("--tile", type=int, help="edge of the tiles in px; 1024, or 512 when small")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    size = (1024, 1000, options.tile or 512) if options.small else (4096, 16_500, options.tile or 1024)
    result = compare(*size, options.repeats)
    for damage, rows in result["scores"].items():
        print(f"\n{damage}: split / merged / lost of {result['cells']}")
        for name, row in rows.items():
            text = row if isinstance(row, str) else f"{row['split']} / {row['merged']} / {row['lost']}"
            print(f"  {name:30} {text}")
    print("\nCPU seconds and times ours")
    for name, spent in result["seconds"].items():
        print(f"  {name:30} {spent:8.3f} {result['times_ours'][name]:8.1f}")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
