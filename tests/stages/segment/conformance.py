"""What every segmenter must do. A segmenter's test class inherits this one and says with which settings."""

from __future__ import annotations

import tracemalloc
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

Fields = dict[str, NDArray[Any]]


def blobs(shape: tuple[int, int], dtype: type = np.uint8) -> NDArray[Any]:
    """Bright spots of 5 px on a grid of 24, on a noisy ground: 40 to 220 grey levels."""
    rng = np.random.default_rng(shape)
    y, x = np.indices(shape)
    spots = np.exp(-(((y + 12) % 24 - 12.0) ** 2 + ((x + 12) % 24 - 12.0) ** 2) / 50)
    return np.floor(40 + 160 * spots + rng.integers(0, 20, shape)).astype(dtype)


def objects(shape: tuple[int, int], size: int) -> NDArray[np.int32]:
    """Squares of an edge of `size` in the middle of the blobs, numbered from 1; the last one is left out."""
    rows, columns = -(-shape[0] // 24) + 1, -(-shape[1] // 24) + 1
    y, x = np.indices(shape)
    numbers = ((y + 12) // 24) * columns + (x + 12) // 24 + 1
    inside = (abs((y + 12) % 24 - 12) <= size // 2) & (abs((x + 12) % 24 - 12) <= size // 2)
    return np.where(inside & (numbers < rows * columns), numbers, 0).astype(np.int32)


class SegmenterConformance:
    """Subclasses give ``segmenter``, one ``params`` or more, and whether ids are numbered 1…n or those of the seeds."""

    segmenter: Any
    params: ClassVar[tuple[Any, ...]] = ()
    own_numbers = True
    """True: 1…n. False: ids are a subset of those of the first object set in ``needs``."""

    @pytest.fixture(params=range(3))
    def chosen(self, request: pytest.FixtureRequest) -> Any:
        if request.param >= len(self.params):
            pytest.skip("no further settings")
        return self.params[request.param]

    def fields(self, params: Any, image: NDArray[Any]) -> tuple[Fields, Fields]:
        """Images by role and labels by object set; later sets are smaller, so that their difference is a ring."""
        sets = {name: objects(image.shape, 15 - 8 * place) for place, name in enumerate(params.needs)}
        return {role: image.copy() for role in params.roles}, sets

    def result(self, params: Any, image: NDArray[Any]) -> NDArray[np.int32]:
        """The labels, after the checks that hold for every input."""
        images, sets = self.fields(params, image)
        found = self.segmenter.segment(images, sets, params)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.int32
        assert found.shape == image.shape
        ids = np.unique(found[found != 0])
        if self.own_numbers:
            assert ids.tolist() == list(range(1, len(ids) + 1))
        else:
            assert set(ids) <= set(sets[params.needs[0]].ravel().tolist())
        return found

    def test_finds_objects_and_leaves_a_background(self, chosen: Any) -> None:
        found = self.result(chosen, blobs((96, 120)))
        assert len(np.unique(found)) > 10
        assert (found == 0).any()

    def test_input_stays_as_it_is_and_may_be_read_only(self, chosen: Any) -> None:
        images, sets = self.fields(chosen, blobs((96, 120)))
        before = {name: array.copy() for name, array in {**images, **sets}.items()}
        for array in (*images.values(), *sets.values()):
            array.flags.writeable = False
        found = self.segmenter.segment(images, sets, chosen)
        assert found.any()
        assert found.flags.writeable
        assert list(images) == list(chosen.roles)
        assert list(sets) == list(chosen.needs)
        for name, array in {**images, **sets}.items():
            np.testing.assert_array_equal(array, before[name])
            assert not np.shares_memory(array, found)

    @pytest.mark.parametrize("level", [0, 100])
    def test_an_image_without_contrast(self, chosen: Any, level: int) -> None:
        found = self.result(chosen, np.full((48, 60), level, np.uint8))
        if self.own_numbers:
            assert not found.any()

    @pytest.mark.parametrize("shape", [(1, 120), (120, 1), (1, 1), (2, 3)])
    def test_thin_and_tiny_fields(self, chosen: Any, shape: tuple[int, int]) -> None:
        self.result(chosen, blobs(shape))

    def test_the_type_of_the_image_does_not_matter(self, chosen: Any) -> None:
        expected = self.result(chosen, blobs((96, 120)))
        for dtype in (np.uint16, np.float32):
            np.testing.assert_array_equal(self.result(chosen, blobs((96, 120), dtype)), expected)

    def test_the_same_again_and_from_any_memory_layout(self, chosen: Any) -> None:
        image = blobs((96, 120))
        expected = self.result(chosen, image)
        np.testing.assert_array_equal(self.result(chosen, image), expected)
        images, sets = self.fields(chosen, image)
        turned = [{name: np.asfortranarray(array) for name, array in some.items()} for some in (images, sets)]
        np.testing.assert_array_equal(self.segmenter.segment(*turned, chosen), expected)

    @pytest.mark.parametrize("scene", ["blobs", "noise"])
    @pytest.mark.parametrize("side_px", [512, 1024])
    def test_memory_stays_within_what_is_declared(self, chosen: Any, side_px: int, scene: str) -> None:
        shape = (side_px, side_px)
        image = blobs(shape) if scene == "blobs" else np.random.default_rng(0).integers(0, 200, shape, np.uint8)
        self.result(chosen, image[:64, :64])  # imports are not the field's memory
        images, sets = self.fields(chosen, image)
        tracemalloc.start()
        try:
            self.segmenter.segment(images, sets, chosen)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        declared_bytes = self.segmenter.working_bytes(chosen, shape)
        # Other threads of the test session, a Dask cluster's for example, allocate meanwhile.
        assert peak_bytes <= declared_bytes + 256 * 1024
        assert declared_bytes <= 3 * peak_bytes  # a bound that nobody can use is none
