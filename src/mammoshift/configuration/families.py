"""What a study compares, as families of explicit pairs of arms on named domains."""

from __future__ import annotations

from collections.abc import Mapping

from mammoshift.configuration.arms import factor_pairs, pairs_across
from mammoshift.configuration.domain import DomainSettings
from mammoshift.configuration.judged import Family, Pair
from mammoshift.configuration.model import ArmBase
from mammoshift.configuration.naming import known
from mammoshift.configuration.study import Comparison, Study
from mammoshift.errors import ConfigurationError


def family_of(
    study: Study,
    comparison: Comparison,
    arms: Mapping[str, ArmBase],
    domains: Mapping[str, DomainSettings],
    where: str,
) -> Family:
    """Return the family of one comparison of a study file.

    Raises
    ------
    ConfigurationError
        If an arm, a domain or a factor's value has no counterpart, or one is given twice; `where`
        is the file and the key.
    """
    for name in comparison.arms or ():
        known(where, name, arms, "arm")
    factor = None
    if comparison.across is not None:
        for name in (*comparison.across, *comparison.across.values()):
            known(f"{where}.across", name, domains, "domain")
        found = pairs_across(arms, comparison.across, where)
        pairs = [pair for pair in found if pair.arm in (comparison.arms or arms)]
    elif comparison.factor is not None:
        found = factor_pairs(arms, comparison.factor, where)
        pairs = [pair for pair in found if pair.arm in (comparison.arms or arms)]
        factor = next(iter(comparison.factor))
    else:
        reference = comparison.reference or ""
        known(where, reference, arms, "arm")
        wanted = comparison.arms or tuple(arms)
        pairs = [
            Pair(arm=arm, reference=reference) for arm in arms if arm in wanted and arm != reference
        ]
    family = Family(
        family=comparison.family,
        domains=_compared_domains(study, comparison, domains, where),
        pairs=tuple(pairs),
        correct=comparison.correct,
        factor=factor,
    )
    for name in (name for names in family.means for name in names if name in arms):
        raise ConfigurationError(
            f"{where}: the arm {name} is called as the mean over the pairs of factor {factor} is "
            "in the result tables; rename the arm"
        )
    return family


def _compared_domains(
    study: Study, comparison: Comparison, domains: Mapping[str, DomainSettings], where: str
) -> tuple[str, ...]:
    if comparison.across is not None:
        return tuple(comparison.across)
    on = comparison.on
    judged = tuple(d for d in domains if d in (study.judged_on or domains))
    if on in {"all", ("all",)}:
        return judged
    if study.source is not None and on == "source":
        return (study.source.dataset,)
    if study.source is not None and on == "targets":
        return study.targets or ()
    names = (on,) if isinstance(on, str) else on or ()
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ConfigurationError(f"{where}.on: {repeated[0]} is given more than once")
    for name in names:
        known(f"{where}.on", name, [*domains, "all"], "domain")
    return names
