"""The seam audit: silent on labels without seams, loud on labels that were cut, lost or doubled along them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hts.stages.segment.stitch import block_grid, stitch
from hts.stages.segment.stitch.audit import audit, audit_field, audit_part
from tests.stages.segment.tiles import cells, cut


@pytest.fixture(scope="module")
def mosaic():
    """Cells of about 18 px with space between them."""
    return cells(768, 1200, seed=5, reach=0.4)


@pytest.fixture(scope="module")
def grid(mosaic):
    return block_grid(mosaic.shape, 128, 40)


def test_labels_without_seams(mosaic, grid):
    found = audit_field(mosaic, grid)
    assert found.seam_px == 2 * 3 * 5 * 768
    assert found.seam_objects_per_1000_px == pytest.approx(found.inner_objects_per_1000_px, rel=0.15)
    assert found.seam_straight_edges_per_1000_px == pytest.approx(found.inner_straight_edges_per_1000_px, abs=0.6)
    assert found.seam_area_px == pytest.approx(found.inner_area_px, rel=0.1)
    assert found.area_distance < 0.15


def test_stitched_labels_have_the_same_audit(mosaic, grid):
    stitched, _ = stitch(grid, cut(grid, mosaic))
    assert audit_field(stitched, grid) == audit_field(mosaic, grid)


def test_parts_in_any_order_are_the_whole(mosaic, grid):
    parts = [audit_part(mosaic[block.tile.slices()], grid, number) for number, block in enumerate(grid)]
    assert audit(reversed(parts)) == audit_field(mosaic, grid)


def test_cells_cut_at_the_borders_of_blocks_show(mosaic, grid):
    """Tiles put side by side: what a peer does."""
    cut_up = mosaic.copy()
    for number, block in enumerate(grid):
        part = cut_up[block.core.slices()]
        part[part > 0] += number * int(mosaic.max())
    sound, found = audit_field(mosaic, grid), audit_field(cut_up, grid)
    assert found.seam_straight_edges > sound.seam_straight_edges + 100
    assert found.seam_objects_per_1000_px < 0.8 * sound.seam_objects_per_1000_px
    assert found.inner_straight_edges_per_1000_px == sound.inner_straight_edges_per_1000_px
    assert found.seam_area_px < sound.seam_area_px
    assert found.area_distance > sound.area_distance


def test_cells_cut_at_the_edges_of_tiles_show(mosaic, grid):
    found = mosaic.copy()
    edge = grid[0].tile.x1
    for label in np.unique(mosaic[:, edge][mosaic[:, edge] == mosaic[:, edge - 1]])[1:]:
        found[:, edge:][mosaic[:, edge:] == label] = 0
    assert audit_field(found, grid).seam_straight_edges > audit_field(mosaic, grid).seam_straight_edges + 3


def test_one_block_and_empty_fields_have_no_seams(mosaic, grid):
    alone = audit_field(mosaic, block_grid(mosaic.shape, 768, 40))
    assert alone.seam_px == 0
    empty = audit_field(np.zeros_like(mosaic), grid)
    for found in (alone, empty):
        assert json.loads(json.dumps(found.to_json(), allow_nan=False)).keys() >= {"seam_px", "seam_straight_edges"}
    assert "seam_area_px" not in empty.to_json()
