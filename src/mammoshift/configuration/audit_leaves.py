"""The leaves that the audits read: who learned from what, who is who, and what is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache

from mammoshift.configuration.domain import same_patient_groups, split_origin
from mammoshift.configuration.leaves import (
    Leaves,
    input_name,
    inputs_of_study,
    leak_of,
    lineage_leaves,
    split_name,
)
from mammoshift.configuration.load import Project
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.contracts.run import Run


def audited_inputs(
    project: Project, study: str, datasets: Iterable[str], input: str | None
) -> dict[str, str]:
    """Return the input whose pixels an audit compares, for each dataset that a study makes it of.

    Pixels can be compared within one input alone; where a dataset is not made to it, the audit
    compares raw files. `input` is that of the arm that is audited; None for the input that most
    of the datasets have.
    """
    names = list(datasets)
    made = {name: list(inputs_of_study(project, study).get(name, {})) for name in names}
    if input is None:
        every = [found for name in names for found in made[name]]
        input = max(dict.fromkeys(every), key=every.count, default=None)
    return {name: input for name in names if input is not None and input in made[name]}


def domain_input(project: Project, study: str, domain: str) -> str | None:
    """Return the input that a domain is audited with: that of the first arm trained on it."""
    resolved = project.studies[study]
    arms = [arm for arm in resolved.arms if resolved.own_domain(arm) == domain]
    recipes = [project.recipe(study, arm, domain) for arm in arms]
    return next((input_name(recipe) for recipe in recipes if recipe is not None), None)


def lineage_input(project: Project, study: str, domain: str, lineage: str) -> str | None:
    """Return the input that a lineage is audited with: how its first arm takes the domain."""
    resolved = project.studies[study]
    recipes = [
        project.recipe(study, arm, domain)
        for arm in resolved.arms
        if lineage_name(project, study, arm) == lineage and domain in resolved.judged_on(arm)
    ]
    return next((input_name(recipe) for recipe in recipes if recipe is not None), None)


def domain_audit_leaves(project: Project, study: str, domain: str) -> Leaves:
    """Return what the audit of one domain reads: the share that each dataset may lose."""
    names = project.studies[study].domains[domain].datasets
    return {
        "maximum_lost_share": {name: project.datasets[name].maximum_lost_share for name in names},
        "split": split_name(project.studies[study], domain),
        "leak": leak_of(project.studies[study], domain),
    }


@cache
def lineage_name(project: Project, study: str, arm: str) -> str:
    """Return a name that all arms share which learned from the same domains and folds."""
    text = json.dumps(arm_lineages(project, study, arm), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def arm_lineages(project: Project, study: str, arm: str) -> list[Leaves]:
    """Return what an arm's models learned from, fold by fold; seeds share it."""
    resolved = project.studies[study]
    return [
        {"fold": fold, **lineage_leaves(project, study, Run(arm, seed, fold))}
        for seed, fold in _folds(resolved, arm)
    ]


def lineage_audit_leaves(project: Project, study: str, domain: str, lineage: str) -> Leaves:
    """Return what the audit of one domain against one lineage reads."""
    resolved = project.studies[study]
    arm = _first_with(project, study, lineage)
    folds = [{"arm": "models", **step} for step in arm_lineages(project, study, arm)]
    domains = (*_learned_domains(resolved, arm), domain)
    return _audited(project, study, folds, domains, {"models": [domain]})


def audited_domains(project: Project, study: str, domain: str, lineage: str) -> tuple[str, ...]:
    """Return the domains that the audit of one domain against one lineage reads."""
    resolved = project.studies[study]
    arm = _first_with(project, study, lineage)
    return tuple(dict.fromkeys((*_learned_domains(resolved, arm), domain)))


def study_audit_leaves(project: Project, study: str) -> Leaves:
    """Return what the audit of a study reads: who learned from what, and who is who."""
    resolved = project.studies[study]
    folds = [
        {"arm": arm, **step} for arm in resolved.arms for step in arm_lineages(project, study, arm)
    ]
    judged = {arm: list(resolved.judged_on(arm)) for arm in resolved.arms}
    found = _audited(project, study, folds, resolved.domains, judged)
    chosen_on = {
        arm: own
        for arm in resolved.arms
        if (own := resolved.own_domain(arm)) not in _learned_domains(resolved, arm)
    }
    found["own_domains"] = {arm: resolved.own_domain(arm) for arm in resolved.arms}
    return {**found, "chosen_on": chosen_on} if chosen_on else found


def _first_with(project: Project, study: str, lineage: str) -> str:
    arms = project.studies[study].arms
    return next(arm for arm in arms if lineage_name(project, study, arm) == lineage)


def _audited(
    project: Project,
    study: str,
    lineages: list[Leaves],
    domains: Iterable[str],
    judged: Mapping[str, list[str]],
) -> Leaves:
    """Return what an audit of some lineages on some domains reads: who is who, and the limits."""
    resolved = project.studies[study]
    names = tuple(dict.fromkeys(domains))
    datasets = dict.fromkeys(d for name in names for d in resolved.domains[name].datasets)
    groups = same_patient_groups(resolved.domains)
    return {
        "lineages": lineages,
        "domains": {name: _audited_domain(resolved, name) for name in names},
        "judged": dict(judged),
        "same_patients": [
            own for group in groups if len(own := [name for name in group if name in names]) > 1
        ],
        "adapters": {name: project.datasets[name].adapter for name in datasets},
        "maximum_lost_share": {
            name: project.datasets[name].maximum_lost_share for name in datasets
        },
    }


def _audited_domain(study: ResolvedStudy, name: str) -> Leaves:
    origin = split_origin(study.domains, name)
    record = {"datasets": list(study.domains[name].datasets), "leak": leak_of(study, name)}
    return record if origin == name else {**record, "split_of": origin}


def _learned_domains(study: ResolvedStudy, arm: str) -> tuple[str, ...]:
    return tuple(step.domain for run in study.runs(arm) for step in study.learned_from(run))


def _folds(study: ResolvedStudy, arm: str) -> list[tuple[int, int]]:
    """Return (seed, fold) of the runs of an arm's first seed: seeds share their data."""
    first = study.record.seeds[0]
    return [(run.seed, run.fold) for run in study.runs(arm) if run.seed == first]
