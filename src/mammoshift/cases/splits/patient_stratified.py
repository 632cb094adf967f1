"""Patients to train, validation and test: grouped, stratified, and stable as archives grow."""

from __future__ import annotations

from typing import Literal

from mammoshift.cases.splits._options import Seed, Strata, WithoutFolds
from mammoshift.configuration.shares import Shares


class Options(WithoutFolds):
    """Patients are divided by a hash of their name within strata of `stratify_by`."""

    method: Literal["patient_stratified"] = "patient_stratified"
    shares: Shares = Shares()
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")
