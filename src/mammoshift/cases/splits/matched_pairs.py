"""Matched cases and controls stay together; the parts are alike in all strata."""

from __future__ import annotations

from typing import Literal

from mammoshift.cases.splits._options import Seed, Strata, WithoutFolds
from mammoshift.configuration.shares import Shares


class Options(WithoutFolds):
    """Whoever shares a `pair_id`, with all their images, is divided as one."""

    method: Literal["matched_pairs"] = "matched_pairs"
    shares: Shares = Shares()
    seed: Seed = 0
    stratify_by: Strata = ("label", "density")
