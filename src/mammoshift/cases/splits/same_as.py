"""The same patients imaged again: everybody takes the subsets that they have in another domain."""

from __future__ import annotations

from typing import ClassVar, Literal

from mammoshift.cases.splits._options import SplitOptions
from mammoshift.configuration.model import Name


class Options(SplitOptions):
    """As in `domain`; `unknown` is the subset of patients who are not there."""

    folds: ClassVar[int | None] = None

    method: Literal["same_as"] = "same_as"
    domain: Name
    unknown: Literal["test", "unused"] = "test"

    @property
    def needs(self) -> tuple[str, ...]:
        """The domain whose split is taken."""
        return (self.domain,)
