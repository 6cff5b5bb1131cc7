"""Which image belongs to which, by names people and programs give."""

from __future__ import annotations

import pytest

from hts.errors import NotFoundError
from hts.evaluate.pairing import pair_names


@pytest.mark.parametrize(
    ("truth", "prediction", "partners", "rule"),
    [
        (["a", "b"], ["b", "a"], [("a", "a"), ("b", "b")], "equal names"),
        (["a", "b"], ["a_cp_masks", "b_cp_masks"], [("a", "a_cp_masks"), ("b", "b_cp_masks")], "without endings"),
        (["a_label", "b_label"], ["a-masks", "b_Mask"], [("a_label", "a-masks"), ("b_label", "b_Mask")], "endings"),
        (["man_seg021", "man_seg9"], ["t009", "t021"], [("man_seg021", "t021"), ("man_seg9", "t009")], "last numbers"),
        (["f000_x", "f001_x"], ["0", "1"], [("f000_x", "0"), ("f001_x", "1")], "last numbers"),
        (["A01_s1", "A02_s1"], ["A02_s1_masks", "A01_s1_masks"], [("A01_s1", "A01_s1_masks")] * 0
         + [("A01_s1", "A01_s1_masks"), ("A02_s1", "A02_s1_masks")], "endings"),
        (["anything"], ["else"], [("anything", "else")], "one image on each side"),
    ],
)  # fmt: skip
def test_partners(truth, prediction, partners, rule):
    found = pair_names(truth, prediction)
    assert list(found.partners) == partners
    assert (found.truth_alone, found.prediction_alone) == ((), ())
    assert rule in found.rule


def test_who_is_alone():
    found = pair_names(["a", "b", "c"], ["d", "b", "e"])
    assert found.partners == (("b", "b"),)
    assert (found.truth_alone, found.prediction_alone) == (("a", "c"), ("d", "e"))


def test_a_weaker_rule_never_adds_to_a_stronger_one():
    """``b_2`` and ``c_2`` have the same last number, but equal names are the rule of this folder."""
    found = pair_names(["a_1", "b_2"], ["a_1", "c_2"])
    assert found.partners == (("a_1", "a_1"),)


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [
        (["a", "b"], ["c", "d"]),
        (["A01_s1", "A02_s1"], ["B01_s1", "B02_s1"]),  # the last numbers are all 1
        (["x_mask", "x_masks"], ["x", "y"]),
    ],
)
def test_nothing_is_guessed(truth, prediction):
    with pytest.raises(NotFoundError, match=r"belong together(.|\n)*put a star"):
        pair_names(truth, prediction)
