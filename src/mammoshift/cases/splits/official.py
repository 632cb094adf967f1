"""The archive's own test patients are the test; its other patients train and validate."""

from __future__ import annotations

from typing import Literal

from mammoshift.cases.splits._options import Seed, Strata, WithoutFolds
from mammoshift.configuration.shares import Shares


class Options(WithoutFolds):
    """The archive's parts; `shares` divides its training part in train and validation.

    `crossing` says what becomes of patients that the archive has in both of its parts.
    """

    method: Literal["official"] = "official"
    shares: Shares = Shares()
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")
    crossing: Literal["train", "test", "exclude"] = "train"
