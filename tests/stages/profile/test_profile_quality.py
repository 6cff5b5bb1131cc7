"""Z′ and SSMD: values done by hand, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hts.stages.profile.quality import ssmd, z_prime

GROUP = st.lists(st.floats(-1000, 1000).map(lambda number: round(number, 2)), min_size=2, max_size=12)


def test_values_done_by_hand():
    negative, positive = [1.0, 2.0, 3.0], [10.0, 12.0]
    # Means 2 and 11, sample SDs 1 and sqrt(2).
    assert z_prime(negative, positive) == pytest.approx(1 - 3 * (1 + 2**0.5) / 9)
    assert ssmd(negative, positive) == pytest.approx(9 / 3**0.5)
    assert ssmd(positive, negative) == pytest.approx(-9 / 3**0.5)
    assert z_prime([0, 0], [1, 1]) == 1.0


@given(negative=GROUP, positive=GROUP, gain=st.floats(0.01, 100), offset=st.floats(-1000, 1000), flip=st.booleans())
def test_units_do_not_matter(negative, positive, gain, offset, flip):
    negative, positive = np.array(negative), np.array(positive)
    assume(abs(negative.mean() - positive.mean()) > 0.01)
    assume(negative.std() + positive.std() > 0.01)
    gain = -gain if flip else gain
    scaled = gain * negative + offset, gain * positive + offset
    assert z_prime(*scaled) == pytest.approx(z_prime(negative, positive), rel=1e-6, abs=1e-6)
    assert ssmd(*scaled) == pytest.approx(np.sign(gain) * ssmd(negative, positive), rel=1e-6, abs=1e-6)


@given(negative=GROUP, positive=GROUP)
def test_order_and_bounds(negative, positive):
    found = z_prime(negative, positive)
    assert found == z_prime(positive, negative)
    assert found is None or found <= 1
    effect = ssmd(negative, positive)
    if effect is not None:
        assert effect == pytest.approx(-ssmd(positive, negative))
        assert np.sign(effect) == np.sign(np.mean(positive) - np.mean(negative))


def test_values_that_are_not_finite_are_left_out():
    assert z_prime([1, 2, 3, np.nan, np.inf], [10, 12, -np.inf]) == z_prime([1, 2, 3], [10, 12])
    assert ssmd([1, 2, 3, np.nan], [10, 12, np.nan]) == ssmd([1, 2, 3], [10, 12])


@pytest.mark.parametrize(("negative", "positive"), [([], [1, 2]), ([1], [1, 2]), ([1, 2], [3]), ([1, np.nan], [1, 2])])
def test_fewer_than_two_values_have_no_quality(negative, positive):
    assert z_prime(negative, positive) is None
    assert ssmd(negative, positive) is None


def test_what_cannot_be_divided():
    assert z_prime([1, 3], [0, 4]) is None
    assert ssmd([1, 3], [0, 4]) == 0
    assert ssmd([1, 1], [4, 4]) is None
