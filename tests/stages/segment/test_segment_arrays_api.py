"""``hts.segment``: arrays of every kind in, uint32 labels out, the same as on plates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray

import hts
from hts.errors import NotFoundError, StageError, UsageError
from hts.stages.segment import arrays_api, cellpose
from hts.stages.segment.cellpose import CellposeParams, CellposeSegmenter
from hts.stages.segment.networks import adapter
from hts.stages.segment.networks.weights import Weights
from hts.stages.segment.threshold import ThresholdParams, ThresholdSegmenter
from tests.stages.segment.checkpoints import DiscNetwork, save
from tests.stages.segment.conformance import blobs

IMAGE = blobs((96, 120)).astype(np.uint16)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names of the models that were asked for; all are the network by hand."""
    names: list[str] = []
    path = save(tmp_path / "discs.pt", diameter_px=12.0)

    def weights(name: str) -> Weights:
        names.append(name)
        return Weights(name, path, "0" * 64, "unet", 12.0, 8)

    network = DiscNetwork()
    monkeypatch.setattr(cellpose, "_weights", weights)
    monkeypatch.setattr(adapter, "load_network", lambda *_: network)
    return names


def test_it_is_what_the_segmenter_says(asked: list[str]) -> None:
    labels = hts.segment(IMAGE, diameter_px=12)
    assert labels.dtype == np.uint32
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    np.testing.assert_array_equal(
        labels, CellposeSegmenter().segment({"dna": IMAGE}, {}, CellposeParams(diameter_px=12))
    )
    hts.segment(IMAGE, "cyto3", 12)
    assert asked[0] == "builtin:nuclei"
    assert asked[-1] == "cyto3"


@pytest.mark.parametrize(
    "make",
    [
        lambda: IMAGE[None],
        lambda: IMAGE.tolist(),
        lambda: dask.array.from_array(IMAGE, chunks=50),
        lambda: xarray.DataArray(dask.array.from_array(IMAGE, chunks=50), dims=("y", "x")),
        lambda: xarray.DataArray(IMAGE[None, None, None], dims=("t", "c", "z", "y", "x")),
        lambda: xarray.DataArray(dask.array.from_array(IMAGE[None], chunks=(1, 64, 64)), dims=("c", "y", "x")),
    ],
)
def test_every_kind_of_array(asked: list[str], make: Any) -> None:
    np.testing.assert_array_equal(hts.segment(make(), diameter_px=12), hts.segment(IMAGE, diameter_px=12))


def test_arrays_on_a_gpu_stay_there(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not NumPy's is handed on as it is."""

    class OnGpu:
        shape, ndim = (2, 3), 2

    for module in ("hts.arrays", "hts.stages.segment.arrays_api"):
        monkeypatch.setattr(f"{module}.is_on_gpu", lambda array: isinstance(array, OnGpu), raising=False)
    image = OnGpu()
    assert arrays_api._planes(image) == [image]


def test_one_row_is_no_channel(asked: list[str]) -> None:
    flat = xarray.DataArray(IMAGE[:1], dims=("y", "x"))
    assert hts.segment(flat, diameter_px=12).shape == (1, 120)


def test_a_second_channel_is_that_of_the_nuclei(asked: list[str]) -> None:
    both = np.stack([IMAGE, IMAGE[::-1]])
    np.testing.assert_array_equal(hts.segment(both, diameter_px=12), hts.segment(IMAGE, diameter_px=12))
    with pytest.raises(UsageError, match=r"an image with 2 channel\(s\) for cellpose: dna, nucleus\n  found: 3"):
        hts.segment(np.stack([IMAGE] * 3), diameter_px=12)


def test_blocks_and_other_settings(asked: list[str]) -> None:
    small = hts.segment(IMAGE, diameter_px=12, block=64, overlap=20, flow_threshold=0)
    params = CellposeParams(diameter_px=12, block_px=64, overlap_px=20, flow_threshold=0)
    np.testing.assert_array_equal(small, CellposeSegmenter().segment({"dna": IMAGE}, {}, params))
    np.testing.assert_array_equal(
        hts.segment(IMAGE, "cellpose", model="x", diameter_px=12), hts.segment(IMAGE, "x", 12)
    )


@pytest.mark.parametrize("method", ["threshold", "builtin:nuclei"])
def test_objects_at_the_frame_are_dropped_when_asked(asked: list[str], method: str) -> None:
    kept = hts.segment(IMAGE, method, diameter_px=12)
    dropped = hts.segment(IMAGE, method, diameter_px=12, border="drop")
    edges = np.unique(np.concatenate([kept[0], kept[-1], kept[:, 0], kept[:, -1]]))
    np.testing.assert_array_equal(dropped > 0, (kept > 0) & ~np.isin(kept, edges))
    assert np.unique(dropped).tolist() == list(range(int(kept.max()) - np.count_nonzero(edges) + 1))


def test_objects_are_linked_to_those_of_another_set() -> None:
    found = hts.segment(IMAGE, "threshold", diameter_px=12)
    partners = np.where(found % 2, 1000 - found.astype(np.int32), 0)
    linked = hts.segment(IMAGE, "threshold", diameter_px=12, link="nuclei", labels={"nuclei": partners})
    np.testing.assert_array_equal(linked[partners > 0], partners[partners > 0])
    assert linked[(found > 0) & (partners == 0)].min() > partners.max()


def test_other_methods() -> None:
    found = hts.segment(IMAGE, "threshold", diameter_px=10, min_contrast=0)
    params = ThresholdParams(diameter_px=10, min_contrast=0)
    np.testing.assert_array_equal(found, ThresholdSegmenter().segment({"dna": IMAGE}, {}, params))
    cells = hts.segment(IMAGE, "propagate", labels={"nuclei": found}, threshold="none", max_distance_px=8)
    assert cells.dtype == np.uint32
    assert set(np.unique(cells)) == set(np.unique(found))
    sets = {"cells": cells, "nuclei": found}
    ring = hts.segment(IMAGE, "expression", expression="cells - nuclei", labels=sets)
    np.testing.assert_array_equal(ring, np.where(found > 0, 0, cells))


def test_what_cannot_be_meant(asked: list[str]) -> None:
    with pytest.raises(
        UsageError, match=r"an image \(Y, X\) or \(channel, Y, X\)\n  found: an array of shape \(2, 2, 3, 4\)"
    ):
        hts.segment(np.zeros((2, 2, 3, 4)))
    with pytest.raises(UsageError, match="settings of cellpose\n  found: diametre: Extra inputs"):
        hts.segment(IMAGE, diametre=3)
    with pytest.raises(UsageError, match=r"settings of threshold\n  found: diameter_px: .*greater than 1"):
        hts.segment(IMAGE, "threshold", diameter_px=0)
    with pytest.raises(UsageError, match=r"(?s)the object sets that propagate starts from.*found: no nuclei"):
        hts.segment(IMAGE, "propagate")
    with pytest.raises(StageError, match="pixels of type"):
        hts.segment(IMAGE.astype(complex), diameter_px=12)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(NotFoundError, match="hts models pull treshold"):
        hts.segment(IMAGE, "treshold")
