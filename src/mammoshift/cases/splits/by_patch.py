"""Patches are divided one by one, whatever patient they come from: what some papers did."""

from __future__ import annotations

from typing import ClassVar, Literal

from mammoshift.cases.splits._options import Leak, Seed, WithoutFolds
from mammoshift.configuration.shares import Shares


class Options(WithoutFolds):
    """Patches at random; patches of one image, and of one patient, are on both sides."""

    leak: ClassVar[Leak | None] = "by_patch"

    method: Literal["by_patch"] = "by_patch"
    shares: Shares = Shares()
    seed: Seed = 0
