"""What a study compares, as families of explicit pairs of arms on named domains."""

from __future__ import annotations

from collections.abc import Collection, Mapping

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


def check_family(
    comparison: Comparison,
    family: Family,
    domains: Mapping[str, DomainSettings],
    judged: Mapping[str, Collection[str]],
    where: str,
) -> None:
    """Refuse a family that would silently have no row for an arm or a domain that it names.

    `judged` says of each arm on which domains it is judged. On all domains, or on all targets, a
    pair may be judged on some alone.

    Raises
    ------
    ConfigurationError
        If there is such an arm or domain, or two domains with other tasks are compared; `where`
        is the file and the key.
    """
    _check_pairs(comparison, family, where)
    for name, other in (comparison.across or {}).items():
        if not any(pair.domain == name for pair in family.pairs):
            raise ConfigurationError(
                f"{where}.across: none of the family's arms was trained on {name}; leave the "
                "domain out, or name its arms"
            )
        one, two = (domains[domain].task for domain in (name, other))
        if one != two:
            raise ConfigurationError(
                f"{where}.across: on {name} {one} is learned and judged, on {other} {two}: the "
                "arms differ in their labels too; give both domains one task"
            )
    if comparison.across is not None:
        return
    named = comparison.on not in {"all", ("all",), "targets"}
    for pair in family.pairs:
        both = [name for name in family.domains if name in judged[pair.arm]]
        both = [name for name in both if name in judged[pair.reference]]
        if named and len(both) < len(family.domains):
            domain = next(name for name in family.domains if name not in both)
            arm = pair.arm if domain not in judged[pair.arm] else pair.reference
            raise ConfigurationError(
                f"{where}.on: {arm} is not judged on {domain}; leave the domain out, or name the "
                "family's arms"
            )
        if not both:
            raise ConfigurationError(
                f"{where}.on: {pair.arm} and {pair.reference} are judged together on none of "
                f"{', '.join(family.domains)}; name the family's arms without {pair.arm}, or judge "
                "both on one domain"
            )


def _check_pairs(comparison: Comparison, family: Family, where: str) -> None:
    """Refuse a family without a pair, or with an arm that is in none."""
    if not family.domains:
        raise ConfigurationError(f"{where}.on: the study has no targets; name a domain")
    if not family.pairs:
        said = "name others than the reference" if comparison.arms else "the study has no other arm"
        raise ConfigurationError(f"{where}: no two arms are compared; {said}")
    compared = {name for pair in family.pairs for name in (pair.arm, pair.reference)}
    for name in comparison.arms or ():
        if name not in compared:
            raise ConfigurationError(
                f"{where}.arms: {name} is compared with no arm; leave it out, or name the arms "
                "that it differs from"
            )


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
