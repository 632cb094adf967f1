"""What arms and domains are called where a person reads: their display names beside the keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

import pandas as pd

from mammoshift.configuration.judged import DescribedArm, Family, ReportSettings
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import cohort_name
from mammoshift.report.vocabulary import spoken

_ARMS = ("arm", "reference", "interaction_with")
_DOMAINS = ("domain",)


@dataclass(frozen=True)
class Names:
    """Display names by key; what has none is called by its key.

    Attributes
    ----------
    arms
        Each arm's `label`; arms of one label, which a factor makes, are told apart by what their
        keys differ in.
    domains
        Of a domain that is one dataset and called like it: the dataset's title without what it
        says in brackets.
    """

    arms: Mapping[str, str]
    domains: Mapping[str, str]

    def arm(self, key: str) -> str:
        """Return what an arm is called."""
        return self.arms.get(key, key)

    def cohort(self, domain: str, subset: str) -> str:
        """Return what the cases of a domain's subset are called."""
        return cohort_name(self.domains.get(domain, domain), subset)

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with its arms and domains by their names, for a figure."""
        columns = {column: self.arms for column in _ARMS if column in table}
        columns |= {column: self.domains for column in _DOMAINS if column in table}
        return table.assign(
            **{name: table[name].replace(dict(names)) for name, names in columns.items()}
        )


def names_of(settings: ReportSettings) -> Names:
    """Return the display names of a study."""
    return Names(_arm_names(settings), _domain_names(settings))


def with_names_of_arms(data: ReportData, names: Names) -> ReportData:
    """Return the tables and settings that sentences are made of, with arms by their names."""
    settings = data.settings

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        arms = dict(names.arms)
        return table.assign(**{c: table[c].replace(arms) for c in _ARMS[:2]})

    changed = settings.model_copy(
        update={
            "arms": tuple(
                arm.model_copy(update={"name": names.arm(arm.name)}) for arm in settings.arms
            ),
            "described_arms": tuple(
                arm.model_copy(update={"name": names.arm(arm.name)})
                for arm in settings.described_arms
            ),
            "families": tuple(_family(family, names) for family in settings.families),
        }
    )
    tables = {"metrics": renamed(data.metrics), "comparisons": renamed(data.comparisons)}
    return replace(data, settings=changed, **tables)


def arm_labels(settings: ReportSettings) -> dict[str, str]:
    """Return the labels of arms by their keys, where they are other names."""
    labels = {arm.name: _label(arm) for arm in settings.described_arms}
    return {name: label for name, label in labels.items() if label and label != name}


def domain_titles(settings: ReportSettings) -> dict[str, str]:
    """Return the title of the dataset that a domain is, by what its cohorts are called.

    One that repeats the domain's name is left out.
    """
    titles = {domain: _title(settings, domain) for domain in settings.domain_names}
    return {
        cohort_name(domain, subset): titles[domain]
        for domain, subset in settings.cohorts
        if titles[domain].casefold() not in {"", spoken(domain).casefold()}
    }


def _arm_names(settings: ReportSettings) -> dict[str, str]:
    of_label: dict[str, list[str]] = {}
    for key, label in arm_labels(settings).items():
        of_label.setdefault(label, []).append(key)
    names = {}
    for label, keys in of_label.items():
        if len(keys) == 1:
            names[keys[0]] = label
            continue
        parts = [key.split("_") for key in keys]
        same = next(i for i, of_all in enumerate(zip_longest(*parts)) if len(set(of_all)) > 1)
        names |= {
            key: ", ".join(filter(None, (label, " ".join(words[same:]))))
            for key, words in zip(keys, parts, strict=True)
        }
    return _unique(names, settings.arm_names)


def _domain_names(settings: ReportSettings) -> dict[str, str]:
    short = {
        domain: _title(settings, domain).partition(" (")[0] for domain in settings.domain_names
    }
    return _unique({key: name for key, name in short.items() if name}, settings.domain_names)


def _title(settings: ReportSettings, domain: str) -> str:
    """Return the title of the dataset that a domain is named after; empty for another domain."""
    if settings.described_domain(domain).datasets != (domain,):
        return ""
    return settings.dataset(domain).title


def _unique(names: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Return those names that no other thing is called by."""
    called = [names.get(key, key) for key in keys]
    return {key: name for key, name in names.items() if called.count(name) == 1}


def _label(arm: DescribedArm) -> str:
    return str(arm.settings.get("label") or "")


def _family(family: Family, names: Names) -> Family:
    pairs = tuple(
        pair.model_copy(update={"arm": names.arm(pair.arm), "reference": names.arm(pair.reference)})
        for pair in family.pairs
    )
    return family.model_copy(update={"pairs": pairs})
