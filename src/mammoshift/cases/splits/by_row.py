"""Images are divided one by one, whatever patient they come from: what some papers did."""

from __future__ import annotations

from typing import ClassVar, Literal

from mammoshift.cases.splits._options import Leak, Seed, WithoutFolds
from mammoshift.configuration.shares import Shares


class Options(WithoutFolds):
    """Images at random, a patch with its image; images of one patient are on both sides."""

    leak: ClassVar[Leak | None] = "by_row"

    method: Literal["by_row"] = "by_row"
    shares: Shares = Shares()
    seed: Seed = 0
