"""What a study may say, and what a reader of its numbers has to know before they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mammoshift.configuration.judged import Family, JudgedArm, ReportSettings


def remarks_on(settings: ReportSettings) -> tuple[str, ...]:
    """Return, in sentences, what labels differ in and which pairs are not compared where."""
    tasks = {domain.name: domain.task for domain in settings.described_domains}
    return (
        *_other_labels(settings.arms, tasks, settings.domain_names),
        *(said for family in settings.families for said in _left_out(family, settings.arms)),
    )


def _other_labels(
    arms: Sequence[JudgedArm], tasks: Mapping[str, str], judged: Sequence[str]
) -> Iterator[str]:
    """Yield where arms are judged by another label than the one that they learned."""
    found: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        for domain in judged:
            known = domain in tasks and arm.own_domain in tasks
            if known and domain in arm.judged_on and tasks[domain] != tasks[arm.own_domain]:
                found.setdefault((arm.own_domain, domain), []).append(arm.name)
    for (own, domain), names in found.items():
        yield (
            f"{', '.join(names)} learned {tasks[own]} on {own} and "
            f"{'is' if len(names) == 1 else 'are'} judged by {tasks[domain]} on {domain}: what is "
            "positive differs, so that a loss between the two is of labels as well as of sensor "
            "and population."
        )


def _left_out(family: Family, arms: Sequence[JudgedArm]) -> Iterator[str]:
    """Yield which pairs of a family are not compared on which of its domains."""
    judged = {arm.name: arm.judged_on for arm in arms}
    for domain in family.domains:
        missing = [
            f"{pair.arm} with {pair.reference}"
            for pair in family.on_one_domain
            if domain not in judged[pair.arm] or domain not in judged[pair.reference]
        ]
        if missing:
            yield (
                f"The family {family.family} compares on {domain} not {', '.join(missing)}, since "
                "one of the two is not judged there."
            )
