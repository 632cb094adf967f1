"""What a published study prints: its numbers, where each stands, and where it contradicts itself.

Such a file stands beside the study that repeats the publication. Its numbers are printed next to
the study's own when the data were the real archives, and take part in nothing else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mammoshift.configuration.model import Name, Strict

PARAMETERS = "n_parameters"
PublishedSubset = Literal["train", "validation", "test", "out_of_fold", "target"]


class PublishedNumber(Strict):
    """One printed number.

    `page` says where it stands and `what` what it is of. `arm` and `domain` are names of the study
    that repeats it, as far as the publication says whose the number is. `at` is the criterion of a
    threshold, as in the result tables. `value` is what is printed, in `unit` (1 without one);
    `low` and `high` are its interval, or without a value a printed range. `part` is that of the
    network whose parameters are counted: a name in the classifier such as `features` or
    `head.hidden`, `total`, `trainable` or `not_trainable`.
    """

    page: str
    what: str
    arm: Name | None = None
    domain: Name | None = None
    subset: PublishedSubset | None = None
    subgroup: Name | None = None
    metric: Name
    at: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    note: str | None = None
    part: Annotated[str, Field(pattern=r"^[a-z_0-9]+(\.[a-z_0-9]+)*$")] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> PublishedNumber:
        if self.value is None and (self.low is None or self.high is None):
            raise ValueError("give a value, or low and high")
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high belong together")
        if (self.part is not None) != (self.metric == PARAMETERS):
            raise ValueError(f"part says what the metric {PARAMETERS} counts: give both")
        return self


class PublishedStudy(Strict):
    """What one publication prints.

    `contradictions` are those within it, and between it and the data or the code of its authors.
    """

    citation: str
    doi: str | None = None
    numbers: tuple[PublishedNumber, ...]
    contradictions: tuple[str, ...] = ()
