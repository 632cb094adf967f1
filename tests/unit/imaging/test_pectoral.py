from __future__ import annotations

import numpy as np
import pytest
from twins import KINDS, dice, drawn

from mammoshift.imaging.breast import full_mask, locate_breast, without_pectoral


@pytest.mark.parametrize("kind", KINDS)
def test_the_muscle_of_twins_is_found_and_only_where_there_is_one(kind: str) -> None:
    found = []
    for one in drawn(kind):
        region = locate_breast(one.image)
        whole = full_mask(region) > 0
        muscle = whole & ~(full_mask(without_pectoral(one.image, region)) > 0)
        if one.view == "CC":
            assert not muscle.any()
        else:
            of_view = full_mask(without_pectoral(one.image, region, "MLO")) > 0
            found.append(dice(whole & ~of_view, one.muscle))
    assert np.median(found) >= 0.9
    assert min(found) >= 0.8


def test_nothing_is_taken_out_of_a_craniocaudal_view() -> None:
    one = next(one for one in drawn("cmmd") if one.view == "MLO")
    region = locate_breast(one.image)
    assert without_pectoral(one.image, region, "CC") is region
