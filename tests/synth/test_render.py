from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from hts.errors import UsageError
from hts.model import WellId
from hts.synth import SynthSpec, render_field
from hts.synth.render import BACKGROUND, OFFSET, drift_um, illumination, render_plane
from hts.synth.spec import faults, treatments

SMALL = SynthSpec(size_px=192, pixel_size_um=1.3, cells_per_field=200)
B02 = WellId.parse("B02")


def test_a_field_depends_on_spec_well_and_number_alone():
    first, again = render_field(SMALL, B02, 1), render_field(SMALL, B02, 1)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.nuclei, again.nuclei)
    # Other wells on the plate and other fields of the well do not change it.
    fewer = SMALL.model_copy(update={"wells": "B02-B11", "fields": 1})
    assert np.array_equal(first.images, render_field(fewer, B02, 1).images)


@pytest.mark.parametrize(
    ("changes", "well", "field"), [({"seed": 1}, "B02", 1), ({}, "C02", 1), ({}, "B03", 1), ({}, "B02", 2)]
)
def test_another_seed_well_or_field_is_another_image(changes, well, field):
    first = render_field(SMALL, B02, 1)
    other = render_field(SMALL.model_copy(update=changes), WellId.parse(well), field)
    assert not np.array_equal(first.nuclei, other.nuclei)
    assert not np.array_equal(first.images, other.images)


@pytest.mark.parametrize(("well", "field"), [("A01", 1), ("B02", 0), ("B02", 3)])
def test_fields_that_do_not_exist(well, field):
    with pytest.raises(UsageError, match=rf"numbered 1 to 2[\s\S]*{well} field {field}"):
        render_field(SMALL, WellId.parse(well), field)


@pytest.mark.parametrize("channels", range(1, 6))
def test_shapes_types_and_levels(channels):
    field = render_field(SMALL.model_copy(update={"channels": channels}), B02, 1)
    assert field.images.shape == (channels, 192, 192)
    assert field.images.dtype == np.uint16
    assert field.nuclei.dtype == field.cells.dtype == np.int32
    background = field.cells == 0
    for plane in field.images:
        assert 200 < np.median(plane[background]) < 600
        assert 1_500 < plane.max() < 20_000


def test_the_table_describes_the_labels():
    field = render_field(SMALL, B02, 2)
    table, count = field.table, int(field.cells.max())
    assert {len(column) for column in table.values()} == {count}
    assert set(table["Metadata_Well"]) == {"B02"}
    assert set(table["Metadata_Site"]) == {2}
    for number in (1, count):
        y, x = np.nonzero(field.nuclei == number)
        assert table["Nuclei_Location_Center_Y"][number - 1] == pytest.approx(y.mean())
        assert table["Nuclei_Location_Center_X"][number - 1] == pytest.approx(x.mean())
        assert table["Nuclei_AreaShape_Area"][number - 1] == len(y)
        assert table["Cells_AreaShape_Area"][number - 1] == (field.cells == number).sum()


def test_true_intensities_are_those_of_the_image_without_optics():
    spec = SMALL.model_copy(update={"noise": 0.0, "vignetting": 0.0, "cells_per_field": 60})
    field = render_field(spec, B02, 1)
    interior = ndimage.binary_erosion(field.nuclei > 0, iterations=2)
    seen = ndimage.mean(
        field.images[0] - OFFSET - BACKGROUND, np.where(interior, field.nuclei, 0), field.table["ObjectNumber"]
    )
    true = field.table["Nuclei_Intensity_MeanIntensity_DNA"]
    good = np.isfinite(seen)
    assert good.sum() >= 4
    assert np.corrcoef(seen[good], true[good])[0, 1] > 0.95
    assert np.median(seen[good] / true[good]) == pytest.approx(1, abs=0.15)


def test_phenotype_follows_the_hill_equation():
    spec = SynthSpec(size_px=256, pixel_size_um=1.3, cells_per_field=200, channels=1)
    doses: dict[float, list[np.ndarray]] = {}
    expected = {}
    for well, treatment in treatments(spec).items():
        fraction = render_field(spec, well, 1).table["Truth_NuclearFraction"]
        doses.setdefault(treatment.dose_uM, []).append(fraction)
        expected[treatment.dose_uM] = 0.15 + 0.65 * treatment.dose_uM**1.5 / (0.3**1.5 + treatment.dose_uM**1.5)
    order = sorted(doses)
    means = np.array([np.concatenate(doses[dose]).mean() for dose in order])
    assert means == pytest.approx([expected[dose] for dose in order], abs=0.05)
    # The two ends are plateaus, where neighbours may change places by chance.
    assert np.all(np.diff(means) > -0.04)
    assert np.all(np.diff(means)[3:5] > 0.1)
    assert 0.05 < np.concatenate(doses[0.0]).std() < 0.15


def test_toxicity_costs_cells():
    spec = SynthSpec(size_px=256, pixel_size_um=1.3, cells_per_field=200, channels=1, toxicity=0.5)
    counts = [
        [len(render_field(spec, WellId(row, column), 1).table["ObjectNumber"]) for row in (1, 2, 3)]
        for column in (1, 10)
    ]
    assert np.mean(counts[1]) / np.mean(counts[0]) == pytest.approx(0.5, abs=0.1)


def test_controls_separate_by_the_translocation_readout():
    spec = SynthSpec()
    wells: dict[int, list[float]] = {-1: [], 1: []}
    for well, treatment in treatments(spec).items():
        if treatment.control:
            field = render_field(spec, well, 1)
            reporter, numbers = field.images[1] - 300.0, field.table["ObjectNumber"]
            cytoplasm = np.where(field.nuclei == 0, field.cells, 0)
            ratio = ndimage.mean(reporter, field.nuclei, numbers) / ndimage.mean(reporter, cytoplasm, numbers)
            wells[treatment.control].append(float(np.median(np.log(ratio))))
    negative, positive = np.array(wells[-1]), np.array(wells[1])
    assert (len(negative), len(positive)) == (6, 3)
    z_prime = 1 - 3 * (negative.std(ddof=1) + positive.std(ddof=1)) / abs(positive.mean() - negative.mean())
    assert z_prime > 0.5


def segment(plane: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(plane.astype(float), 1)
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(smooth > threshold_otsu(smooth)))
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 2)
    seeds = np.zeros(plane.shape, int)
    peaks = peak_local_max(distance, min_distance=6, labels=mask.astype(int), exclude_border=False)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, seeds, mask=mask)


def test_plain_segmentation_finds_the_nuclei_of_a_default_field():
    field = render_field(SynthSpec(), B02, 1)
    found, true = segment(field.images[0]), field.nuclei
    overlap = np.zeros((true.max() + 1, found.max() + 1))
    np.add.at(overlap, (true, found), 1)
    union = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0, keepdims=True) - overlap
    hits = ((overlap / union)[1:, 1:] > 0.5).sum()
    assert 2 * hits / (true.max() + found.max()) >= 0.85


def test_a_blurred_field_has_lost_its_detail():
    spec = SMALL.model_copy(update={"noise": 0.0})
    key = faults(spec)[1][0]
    blurred = render_field(spec, *key)
    sharp = render_field(spec.model_copy(update={"blurred_field": False}), *key)
    assert np.array_equal(blurred.nuclei, sharp.nuclei)
    detail = [ndimage.laplace(field.images[0].astype(float)).var() for field in (blurred, sharp)]
    assert detail[0] < detail[1] / 20


def test_uneven_light_is_smooth_and_reaches_the_stated_loss():
    light = illumination(SMALL.model_copy(update={"vignetting": 0.4}), 1)
    assert light.max() == pytest.approx(1, abs=0.01)
    assert light.min() == pytest.approx(0.6, abs=1e-3)
    assert np.abs(np.diff(light, axis=0)).max() < 0.02
    assert not np.array_equal(light, illumination(SMALL, 0))
    assert np.all(illumination(SMALL.model_copy(update={"vignetting": 0.0}), 0) == 1)


def test_noise_grows_with_its_knob():
    quiet, usual, loud = (render_field(SMALL.model_copy(update={"noise": level}), B02, 1) for level in (0.0, 1.0, 4.0))
    background = ndimage.binary_erosion(usual.cells == 0, iterations=3)
    spread = [(field.images[0].astype(float) - quiet.images[0])[background].std() for field in (usual, loud)]
    # Photon noise of about 200 grey levels at 0.5 electrons each, and read noise of 4 levels.
    assert spread[0] == pytest.approx(np.sqrt(200 / 0.5 + 16), rel=0.25)
    assert spread[1] == pytest.approx(4 * spread[0], rel=0.05)


STACK = SMALL.model_copy(update={"z_planes": 5, "time_points": 3, "blurred_field": False})


def test_the_plane_in_focus_at_the_first_time_is_that_of_a_plate_without_stacks():
    single, stack = render_field(SMALL, B02, 1), render_field(STACK, B02, 1)
    assert single.light is None
    assert np.array_equal(single.images, stack.images)
    assert STACK.sharp_z == 2
    for channel in (0, 1):
        assert np.array_equal(render_plane(STACK, stack, channel, 2, 0), single.images[channel])
        assert np.array_equal(render_plane(SMALL, single, channel), single.images[channel])


def test_planes_lose_detail_on_both_sides_of_the_focus():
    spec = STACK.model_copy(update={"noise": 0.0})
    field = render_field(spec, B02, 1)
    detail = [ndimage.laplace(render_plane(spec, field, 0, z).astype(float)).var() for z in range(5)]
    assert detail[0] < detail[1] / 2 < detail[2] / 4
    assert detail[4] < detail[3] / 2 < detail[2] / 4
    assert detail[0] == pytest.approx(detail[4], rel=0.01)


def test_time_points_are_new_exposures_of_a_plate_that_drifted_a_little():
    field = render_field(STACK, B02, 1)
    first, second, third = (render_plane(STACK, field, 0, 2, t).astype(float) for t in range(3))
    assert not np.array_equal(second, third)
    drift_px = np.rint(drift_um(STACK, 1) / STACK.pixel_size_um).astype(int)
    assert np.array_equal(drift_um(STACK, 0), [0, 0])
    assert 0 < np.abs(np.array([drift_um(STACK, t) for t in (1, 2)])).max() < 5
    back = np.roll(second, -drift_px, (0, 1))[8:-8, 8:-8]
    assert np.corrcoef(back.ravel(), first[8:-8, 8:-8].ravel())[0, 1] > 0.99
    again = render_plane(STACK, render_field(STACK, B02, 1), 0, 2, 1)
    assert np.array_equal(again, second)
