"""One vector for each patient: scores and features of four views, and what is known beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammoshift.radiomics.settings import MissingViews, PatientFeatures

VIEWS = tuple((side, view) for side in ("left", "right") for view in ("CC", "MLO"))
READ_OF_A_CASE = ("unit_id", "laterality", "view", "age")


def patient_vectors(
    cases: pd.DataFrame,
    settings: PatientFeatures,
    features: pd.DataFrame | None,
    scores: pd.DataFrame | None,
    missing: MissingViews,
) -> pd.DataFrame:
    """Return a row for each unit of some cases, sorted by `unit_id`; NaN where nothing is known.

    Parameters
    ----------
    cases
        With `case_id` and the columns `READ_OF_A_CASE`. Several images of one view count as
        their mean; other views than CC and MLO are left out.
    features, scores
        Columns by name, `case_id` as index; None where the settings ask for none.

    Returns
    -------
    pandas.DataFrame
        Columns `<view>_<score>` for all views and arms, then `<view>_<feature>`, then covariates:
        the order in which the thesis counts them.
    """
    units = pd.Index(sorted(cases["unit_id"].unique()), name="unit_id")
    parts = [
        _by_view(cases, units, part, missing)
        for part in (scores, features)
        if part is not None and len(part.columns)
    ]
    covariates = cases.groupby("unit_id")[list(settings.covariates)].mean().reindex(units)
    return pd.concat([*parts, covariates.astype("float64")], axis=1)


def _by_view(
    cases: pd.DataFrame, units: pd.Index, values: pd.DataFrame, missing: MissingViews
) -> pd.DataFrame:
    """Return values of images as columns of views, one row for each unit."""
    of_case = values.reindex(cases["case_id"]).astype("float64").reset_index(drop=True)
    keys = [cases[name].astype("string").to_numpy() for name in ("unit_id", "laterality", "view")]
    means = of_case.groupby(keys).mean()
    views = []
    for side, view in VIEWS:
        known = means.index.get_level_values(1) == side
        known &= means.index.get_level_values(2) == view
        views.append(means[known].droplevel([1, 2]).reindex(units))
    if missing == "patient_mean":
        with np.errstate(invalid="ignore"):
            stacked = np.stack([view.to_numpy() for view in views])
            count = (~np.isnan(stacked)).sum(axis=0)
            usual = np.where(count, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)
        views = [view.where(view.notna(), usual) for view in views]
    named = [
        view.add_prefix(f"{side}_{name.lower()}_")
        for view, (side, name) in zip(views, VIEWS, strict=True)
    ]
    return pd.concat(named, axis=1)
