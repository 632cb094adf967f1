"""The same patients imaged again: everybody takes the subsets that they have in another domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.splits._options import SplitOptions
from mammoshift.configuration.model import Name
from mammoshift.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd


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


def assign(cases: pd.DataFrame, options: Options, others: Mapping[str, pd.DataFrame]) -> Assignment:
    """Give each patient the subsets of the same patient in another domain, fold by fold.

    Images whose patient is unknown are `unused`: they may be of anyone who is trained on there.

    Raises
    ------
    ConfigurationError
        If a patient has several subsets there, or no patient is in both domains.
    """
    from mammoshift.cases.identity import archive_patients
    from mammoshift.cases.splits._groups import listed

    other = others[options.domain]
    placed = other.assign(patient=archive_patients(other))[["patient", "subsets"]].dropna()
    placed = placed.drop_duplicates()
    several = placed["patient"][placed["patient"].duplicated()]
    if len(several):
        raise ConfigurationError(
            f"split same_as: the domain {options.domain} has patient {several.iloc[0]} in several "
            "subsets; its patients must be divided as a whole and be named once"
        )
    subsets_of = dict(zip(placed["patient"], placed["subsets"], strict=True))
    folds = len(other["subsets"].iloc[0])
    patients = archive_patients(cases)
    known = patients.notna()
    strangers = known & ~patients.isin(list(subsets_of))
    if not (known & ~strangers).any():
        raise ConfigurationError(
            f"split same_as: no patient of this domain is in {options.domain}; the names of "
            "patients must be the same in both"
        )
    subsets = [
        subsets_of.get(patient, (options.unknown,) * folds) if is_known else ("unused",) * folds
        for patient, is_known in zip(patients, known, strict=True)
    ]
    notes = []
    if strangers.any():
        names = sorted(set(patients[strangers]))
        notes.append(
            f"{len(names)} patients are not in {options.domain} ({options.unknown}): "
            f"{listed(names)}"
        )
    if not known.all():
        count = cases.loc[~known, "image_id"].nunique()
        notes.append(f"{count} images are unused: their patient is unknown")
    return Assignment(subsets, tuple(notes))
