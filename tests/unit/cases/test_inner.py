from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammoshift.cases.inner import InnerFold, inner_subsets
from mammoshift.contracts.cases import CASES_SCHEMA
from mammoshift.errors import TrainingError


def cases(patients: int, pairs: bool = False) -> pd.DataFrame:
    """Two images of each patient; every other patient is positive."""
    number = np.repeat(np.arange(patients), 2)
    table = pd.DataFrame(dict.fromkeys(CASES_SCHEMA.names), index=range(2 * patients))
    return table.assign(
        case_id=[f"c{n}" for n in range(2 * patients)],
        image_id=[f"c{n}" for n in range(2 * patients)],
        item_id=[f"c{n}" for n in range(2 * patients)],
        dataset="a",
        patient_id=[f"p{n}" for n in number],
        pair_id=[f"pair{n // 2}" for n in number] if pairs else None,
        label=number % 2,
    )


@pytest.mark.parametrize("pairs", [False, True])
def test_each_patient_is_left_out_once_with_those_it_is_matched_to(pairs: bool) -> None:
    table = cases(24, pairs)
    folds = [inner_subsets(table, InnerFold(number, 3)) for number in range(3)]
    left_out = np.stack([fold == "validation" for fold in folds])
    assert (left_out.sum(axis=0) == 1).all()
    together = "pair_id" if pairs else "patient_id"
    for own in left_out:
        assert table[together][own].nunique() + table[together][~own].nunique() == (
            table[together].nunique()
        )
        assert table["label"][own].mean() == pytest.approx(0.5)
        assert own.sum() == pytest.approx(16, abs=4)
    again = inner_subsets(table.sample(frac=1.0, random_state=0), InnerFold(1, 3))
    assert again.sort_index().equals(folds[1])
    assert not inner_subsets(table, InnerFold(1, 3, seed=5)).equals(folds[1])


def test_too_few_patients_of_a_class_are_named() -> None:
    with pytest.raises(TrainingError, match="one class alone; search with fewer inner_folds"):
        [inner_subsets(cases(4), InnerFold(number, 4)) for number in range(4)]
