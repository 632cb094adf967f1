"""The mean over a factor's pairs, and arms that are judged on a domain each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fabricated_tables import SHORT, Fabricated, fabricate
from mammoshift.configuration.judged import Family
from mammoshift.contracts.cases import read_cases, write_cases
from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.contracts.results import read_comparisons, write_comparisons
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.rows import ComparisonRow, as_table

ARMS = ("a_none", "a_breast", "b_none", "b_breast")
EVERYWHERE = ["film", "digital"]
MASKS: dict[str, Any] = {
    "study": "masks",
    "domains": SHORT["domains"][:2],
    "arms": [{"name": arm, "own_domain": "film", "judged_on": EVERYWHERE} for arm in ARMS],
    "seeds": [0, 1, 2],
    "families": [
        {
            "family": "mask",
            "domains": EVERYWHERE,
            "factor": "input.mask",
            "pairs": [
                {"arm": f"{name}_breast", "reference": f"{name}_none"}
                | {"value": "breast", "reference_value": "none"}
                for name in ("a", "b")
            ],
        }
    ],
}
LEAK: dict[str, Any] = {
    "study": "leak",
    "domains": [
        {"name": "film", "subsets": ["test"], "same_patients_as": ["rows"]},
        {"name": "rows", "subsets": ["test"], "same_patients_as": ["film"], "leak": "by_row"},
    ],
    "arms": [
        {"name": "kept_apart", "own_domain": "film", "judged_on": ["film"]},
        {"name": "divided", "own_domain": "rows", "judged_on": ["rows"]},
    ],
    "seeds": [0, 1],
    "families": [
        {
            "family": "leak",
            "domains": ["rows"],
            "pairs": [
                {"arm": "divided", "reference": "kept_apart"}
                | {"domain": "rows", "reference_domain": "film"}
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fabricated, Grid]:
    study = fabricate(MASKS, tmp_path_factory.mktemp("masks"))
    return study, study.grid(references=[])


def test_the_mean_over_pairs_is_that_of_the_single_differences(
    masks: tuple[Fabricated, Grid],
) -> None:
    study, grid = masks
    table = as_table(combine_seeds(study.comparison(), grid), ComparisonRow)
    means = table[table["pairs"].notna()]
    assert set(means["arm"]) == {"mean_breast"}
    assert set(means["reference"]) == {"mean_none"}
    assert means["method"].tolist() == ["seeds_random", "checkpoints_fixed"] * 2
    assert means["headline"].tolist() == [True, False] * 2
    for domain in EVERYWHERE:
        own = means[means["domain"] == domain]
        single = table[(table["domain"] == domain) & (table["method"] == "exact_fixed")]
        assert own["estimate"].to_numpy() == pytest.approx(single["estimate"].mean())
        cell = next(cell for cell in grid.leading if cell.domain == domain)
        weights = np.repeat([-0.5, 0.5, -0.5, 0.5], 3) / 3
        variance = weights @ cell.auc.covariance @ weights
        assert own["se"].iloc[1] == pytest.approx(np.sqrt(variance))


def test_the_mean_is_adjusted_apart_from_the_pairs(masks: tuple[Fabricated, Grid]) -> None:
    study, grid = masks
    table = as_table(combine_seeds(study.comparison(), grid), ComparisonRow)
    nested = table[table["method"] == "obuchowski_rockette_nested"]
    assert set(nested["family_size"]) == {4}
    means = table[table["pairs"].notna() & table["headline"]]
    assert means["family_size"].tolist() == [2, 2]
    assert (means["p_adjusted"] >= means["p"]).all()


def test_other_measures_have_their_mean_too(masks: tuple[Fabricated, Grid]) -> None:
    study, grid = masks
    table = as_table(compare_study(study.losses(subgroups=[]), grid), ComparisonRow)
    means = table[table["pairs"].notna() & (table["method"] == "checkpoints_fixed")]
    assert set(means["metric"]) == {
        "sensitivity",
        "specificity",
        "brier",
        "nll",
        "squared_calibration_error",
    }
    fixed = table[table["pairs"].isna() & (table["method"] == "checkpoints_fixed")]
    brier = fixed[(fixed["metric"] == "brier") & (fixed["domain"] == "film")]
    brier = brier[brier["from_domain"] == ""]
    found = means[(means["metric"] == "brier") & (means["domain"] == "film")]
    assert found["estimate"].iloc[0] == pytest.approx(brier["estimate"].mean())


def test_a_family_without_a_factor_or_of_one_pair_has_no_mean() -> None:
    one = Family.model_validate(MASKS["families"][0] | {"pairs": MASKS["families"][0]["pairs"][:1]})
    assert one.means == {}
    assert Family.model_validate(SHORT["families"][0]).means == {}


@pytest.fixture
def leak(tmp_path: Path) -> Fabricated:
    """The patients of `film` and `rows` are the same; what the arms say of them is alike."""
    study = fabricate(LEAK, tmp_path)
    film, rows = (read_cases(study.cases[name]) for name in ("film", "rows"))
    label = film["label"].to_numpy()
    rows = rows.assign(label=label, unit_label=label)
    write_cases(rows, study.cases["rows"])
    own = read_predictions(study.predictions["kept_apart", "film"])
    path = study.predictions["divided", "rows"]
    theirs = read_predictions(path)
    theirs["logit"] = own["logit"].to_numpy() + 0.8 * np.where(
        theirs["case_id"].map(rows.set_index("case_id")["label"]) == 1, 1.0, -1.0
    )
    write_predictions(theirs, path)
    return study


def compared(study: Fabricated) -> pd.DataFrame:
    settings = study.losses(subgroups=[], bootstrap_resamples=100)
    table = as_table(compare_study(settings, study.grid(references=[])), ComparisonRow)
    return table[table["reference_domain"] != ""]


def test_what_a_leak_is_worth_is_a_row_and_no_headline(leak: Fabricated, tmp_path: Path) -> None:
    rows = compared(leak)
    assert rows["metric"].tolist() == ["auc", "auc", "accuracy", "accuracy"]
    assert set(rows["arm"] + rows["reference"] + rows["reference_domain"]) == {
        "dividedkept_apartfilm"
    }
    assert not rows["headline"].any()
    assert set(rows["verdict"]) == {""}
    assert rows["note"].str.contains("declared leak: split by rows").all()
    grid = leak.grid(references=[])
    right = []
    for domain, arm in (("rows", "divided"), ("film", "kept_apart")):
        cell = next(cell for cell in grid.leading if cell.domain == domain)
        right.append(((cell.of(arm) >= 0) == (cell.labels == 1)).mean())
    accuracy = rows[rows["metric"] == "accuracy"]
    assert accuracy["estimate"].to_numpy() == pytest.approx(right[0] - right[1])
    assert accuracy["criterion"].unique().tolist() == ["probability_0.5"]
    combined = as_table(combine_seeds(leak.comparison(), grid), ComparisonRow)
    assert combined.empty
    path = tmp_path / "comparisons.csv"
    write_comparisons(as_table(compare_study(leak.losses(), grid), ComparisonRow), path)
    assert (read_comparisons(path)["reference_domain"] == "film").sum() == len(rows)


def test_the_same_patients_are_paired_and_others_are_independent(leak: Fabricated) -> None:
    paired = compared(leak)
    domains = [{**domain, "same_patients_as": None} for domain in LEAK["domains"]]
    apart = Fabricated({**LEAK, "domains": domains}, leak.cases, leak.predictions)
    independent = compared(apart)
    fixed = paired["method"] == "checkpoints_fixed"
    assert paired["estimate"].to_numpy() == pytest.approx(independent["estimate"].to_numpy())
    ratio = paired.loc[fixed, "se"].to_numpy() / independent.loc[fixed.to_numpy(), "se"].to_numpy()
    assert (ratio < 0.9).all()
