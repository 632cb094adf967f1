"""Who a case is of, across domains."""

from __future__ import annotations

import pandas as pd


def archive_patients(cases: pd.DataFrame) -> pd.Series[str]:
    """Return each case's patient as the archive names it; null where it does not.

    In a domain of several datasets the names of cases and patients begin with that of the
    dataset, which is taken away here.
    """
    patients = cases["patient_id"].astype("string")
    prefixes = cases["dataset"].astype("string") + "/"
    prefixed = cases["case_id"].astype("string") == prefixes + cases["item_id"].astype("string")
    if not prefixed.any():
        return patients
    short = [
        patient.removeprefix(prefix) if isinstance(patient, str) else None
        for patient, prefix in zip(patients, prefixes, strict=True)
    ]
    return pd.Series(short, index=cases.index, dtype="string").where(prefixed, patients)
