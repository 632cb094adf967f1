"""A study with everything filled in: domains, whole arms, runs, families of explicit pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mammoshift.configuration.arms import (
    INHERITED,
    check_read,
    key_of_reads,
    resolve_arms,
)
from mammoshift.configuration.domain import (
    DomainSettings,
    check_domains,
    folds_of,
    split_origin,
)
from mammoshift.configuration.families import check_family, family_of
from mammoshift.configuration.judged import Family
from mammoshift.configuration.model import Arm, ArmBase, InputRecipe
from mammoshift.configuration.naming import known
from mammoshift.configuration.study import Study
from mammoshift.contracts.lineage import LearnedFrom
from mammoshift.contracts.run import Run
from mammoshift.errors import ConfigurationError

RESERVED_ARMS = frozenset({"domains", "tables", "report"})


@dataclass(frozen=True)
class ResolvedStudy:
    """One study, resolved.

    Attributes
    ----------
    name
        From the name of its file.
    record
        The study as its file says it.
    domains, arms
        By name, in the file's order.
    families
        The comparisons as explicit pairs on named domains.
    """

    name: str
    record: Study
    domains: Mapping[str, DomainSettings]
    arms: Mapping[str, ArmBase]
    families: tuple[Family, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of all datasets, in the order of the domains."""
        return tuple(dict.fromkeys(d for domain in self.domains.values() for d in domain.datasets))

    @cached_property
    def default_domain(self) -> str:
        """The domain that arms train on unless they say otherwise: the first with a split."""
        return next(name for name, domain in self.domains.items() if domain.split is not None)

    def own_domain(self, arm: str) -> str:
        """Return the domain that an arm, or the one whose model it applies, was trained on."""
        record = self.arms[arm]
        if not record.learns and record.parent is not None:
            return self.own_domain(record.parent.arm)
        return record.train_on or self.default_domain

    def folds(self, domain: str) -> int:
        """Return the number of folds of a domain's split, 1 without folds or split."""
        return folds_of(self.domains, domain)

    def share_split(self, one: str, other: str) -> bool:
        """Return whether two domains have one split, so that a fold holds out the same patients."""
        return split_origin(self.domains, one) == split_origin(self.domains, other)

    def runs(self, arm: str) -> tuple[Run, ...]:
        """Return the runs of an arm: seeds x folds of its own domain."""
        folds = range(self.folds(self.own_domain(arm)))
        return tuple(Run(arm, seed, fold) for seed in self.record.seeds for fold in folds)

    @property
    def trained_runs(self) -> tuple[Run, ...]:
        """All runs that leave a model: that train one, or take that of a file."""
        made = (arm for arm, record in self.arms.items() if record.makes_model)
        return tuple(run for arm in made for run in self.runs(arm))

    def start_of(self, run: Run) -> Run | None:
        """Return the run that a run starts from, None without one."""
        parent = self.arms[run.arm].parent
        if parent is None:
            return None
        same = self.share_split(self.own_domain(parent.arm), self.own_domain(run.arm))
        fold = run.fold if same and parent.fold is None else parent.fold or 0
        return Run(parent.arm, run.seed, fold)

    def model_of(self, run: Run) -> Run:
        """Return the run whose model a run applies: its own, or that of the arm it applies."""
        start = self.start_of(run)
        return run if self.arms[run.arm].learns or start is None else self.model_of(start)

    def learned_from(self, run: Run) -> tuple[LearnedFrom, ...]:
        """Return what a run's model and its ancestors learned from, the eldest first.

        What the arms that it reads learned from is before its own: all folds of each are read.
        """
        start = self.start_of(run)
        before = [] if start is None else [*self.learned_from(start)]
        for read in self.arms[run.arm].reads:
            own = (other for other in self.runs(read) if other.seed == run.seed)
            steps = dict.fromkeys(step for other in own for step in self.learned_from(other))
            before += [step for step in steps if step not in before]
        if not self.arms[run.arm].learns:
            return tuple(before)
        return (*before, LearnedFrom(domain=self.own_domain(run.arm), fold=run.fold))

    def readers(self, arm: str) -> tuple[str, ...]:
        """Return the arms that read the scores of an arm."""
        return tuple(name for name, record in self.arms.items() if arm in record.reads)

    def applied_to(self, arm: str) -> tuple[str, ...]:
        """Return the domains that an arm scores: to be judged there, or for another to read."""
        read_on = {d for reader in self.readers(arm) for d in self.judged_on(reader)}
        judged = self.judged_on(arm)
        return tuple(d for d in self.domains if d in judged or d in read_on)

    def judged_on(self, arm: str) -> tuple[str, ...]:
        """Return the domains that an arm is applied to; its own always, for its validation.

        Of the study's, those are left out of whose folds an ancestor of the arm has seen one, and
        those whose unit is not what the arm scores.
        """
        given, unit = self.arms[arm].judged_on, self.arms[arm].unit
        wanted = given or self.record.judged_on or tuple(self.domains)
        if not given and unit is not None:
            wanted = tuple(name for name in wanted if self.domains[name].unit == unit)
        own = self.own_domain(arm)
        return tuple(
            d
            for d in self.domains
            if d == own or (d in wanted and (given or not self.learned_from_a_fold(arm, d)))
        )

    def learned_from_a_fold(self, arm: str, domain: str) -> bool:
        """Return whether an ancestor learned from one fold of a domain that is not the arm's own.

        The arm has then seen some of what the folds leave out, and cannot be judged there.
        """
        if self.folds(domain) == 1 or self.share_split(self.own_domain(arm), domain):
            return False
        steps = self.learned_from(self.runs(arm)[0])
        return any(self.share_split(step.domain, domain) for step in steps)

    def input_of(self, arm: str) -> InputRecipe | None:
        """Return an arm's input recipe, None for one that takes nothing of images."""
        record = self.arms[arm]
        needed = record.takes_pixels or record.feature_set is not None
        return getattr(record, "input", None) if needed else None

    def arms_on(self, domain: str) -> tuple[str, ...]:
        """Return the arms that are trained on a domain or judged on it."""
        return tuple(arm for arm in self.arms if domain in self.judged_on(arm))


def resolve_study(name: str, study: Study, where: str) -> ResolvedStudy:
    """Return the study with every default filled in.

    Raises
    ------
    ConfigurationError
        If a name has no counterpart, or an arm cannot be made; `where` is the study's file.
    """
    domains = _domains(study)
    defaults = {
        "input": study.input.model_dump(exclude_unset=True),
        "training": study.training.model_dump(exclude_unset=True),
        "loss": study.loss.model_dump(exclude_unset=True),
    }
    arms = resolve_arms(study.arms, defaults, where)
    _check_domains(study, domains, where)
    for arm in arms.values():
        _check_arm(arm, arms, domains, where)
    default = next(name for name, domain in domains.items() if domain.split is not None)
    arms = {
        name: arm.model_copy(update={"train_on": arm.train_on or default})
        if arm.makes_model
        else arm
        for name, arm in arms.items()
    }
    families = tuple(
        family_of(study, comparison, arms, domains, f"{where}: comparisons.{position}")
        for position, comparison in enumerate(study.comparisons)
    )
    resolved = ResolvedStudy(name, study, domains, arms, families)
    for arm in arms:
        _check_folds(resolved, arm, where)
        _check_judged(resolved, arm, where)
        _check_applied(resolved, arm, where)
        _check_validation(resolved, arm, where)
    for domain in domains:
        _check_patches(resolved, domain, where)
    judged = {arm: resolved.judged_on(arm) for arm in arms}
    for position, (comparison, family) in enumerate(zip(study.comparisons, families, strict=True)):
        check_family(comparison, family, domains, judged, f"{where}: comparisons.{position}")
    return resolved


def _domains(study: Study) -> dict[str, DomainSettings]:
    """Return the domains, made of source and targets in the short form."""
    if study.source is None:
        return dict(study.domains or {})
    source = study.source
    shared: dict[str, Any] = {"task": source.task}
    if study.aggregation is not None:
        shared |= study.aggregation.model_dump()
    split = {"method": source.split, "shares": source.shares, "seed": source.split_seed}
    domains = {
        source.dataset: DomainSettings.model_validate(
            {"dataset": source.dataset, "split": split, **shared}
        )
    }
    for target in study.targets or ():
        domains[target] = DomainSettings.model_validate({"dataset": target, **shared})
    return domains


def _check_domains(study: Study, domains: Mapping[str, DomainSettings], where: str) -> None:
    if not any(domain.split is not None for domain in domains.values()):
        raise ConfigurationError(
            f"{where}: domains: none has a split, so that nothing can be trained; give one a split"
        )
    for name in study.judged_on or ():
        known(f"{where}: judged_on", name, domains, "domain")
    check_domains(domains, where)


def _check_arm(
    arm: ArmBase,
    arms: Mapping[str, ArmBase],
    domains: Mapping[str, DomainSettings],
    where: str,
) -> None:
    key = f"{where}: arms.{arm.name}"
    if arm.name in RESERVED_ARMS:
        raise ConfigurationError(f"{key}: an arm cannot be called {arm.name}; rename it")
    for name in (*((arm.train_on,) if arm.train_on else ()), *(arm.judged_on or ())):
        known(key, name, domains, "domain")
    if arm.train_on is not None and domains[arm.train_on].split is None:
        raise ConfigurationError(
            f"{key}.train_on: the domain {arm.train_on} has no split; give it one"
        )
    if not arm.makes_model and arm.parent is None:
        raise ConfigurationError(
            f"{key}: an arm without stages of training applies the model of another, or a whole "
            "classifier from a weights file; give initialisation: {arm: NAME} or pretrained, or "
            "stages"
        )
    if not arm.makes_model and arm.train_on is not None:
        raise ConfigurationError(
            f"{key}.train_on: the arm has no stages of training; leave train_on out, or give stages"
        )
    for name in arm.reads:
        check_read(arm, name, arms, f"{key}.{key_of_reads(arm)}")
    theirs = None if arm.parent is None else getattr(arms[arm.parent.arm], "backbone", None)
    if arm.learns and theirs is not None and theirs != getattr(arm, "backbone", theirs):
        raise ConfigurationError(
            f"{key}.backbone: its model starts from that of {arm.parent.arm}, whose backbone is "  # type: ignore[union-attr]
            f"{theirs}; leave it out"
        )


def _check_folds(study: ResolvedStudy, arm: str, where: str) -> None:
    for run in study.runs(arm):
        start = study.start_of(run)
        parent = study.arms[arm].parent
        if start is None or parent is None:
            continue
        if parent.fold is not None and study.own_domain(start.arm) == study.own_domain(arm):
            raise ConfigurationError(
                f"{where}: arms.{arm}.initialisation.fold: {start.arm} was trained on the same "
                "domain, where each fold starts from its own; leave it out"
            )
        if start not in study.runs(start.arm):
            raise ConfigurationError(
                f"{where}: arms.{arm}.initialisation.fold: {start.arm} has no fold {start.fold}"
            )


def _check_judged(study: ResolvedStudy, arm: str, where: str) -> None:
    """Refuse to judge an arm on folds of which its ancestor has learned from one."""
    for domain in study.judged_on(arm):
        if study.learned_from_a_fold(arm, domain):
            raise ConfigurationError(
                f"{where}: arms.{arm}.judged_on: an ancestor learned from one fold of {domain}, so "
                "that the arm has seen some of what the others leave out; leave it out"
            )


def _check_applied(study: ResolvedStudy, arm: str, where: str) -> None:
    """Refuse settings of an arm without training that differ from those of the model it applies."""
    record = study.arms[arm]
    if record.learns or record.parent is None:
        return
    key = f"{where}: arms.{arm}"
    start = record.parent
    if getattr(start, "part", None) == "features":
        raise ConfigurationError(
            f"{key}.initialisation.part: without training a whole model is applied; leave it out"
        )
    if start.fold is not None and study.own_domain(start.arm) == study.own_domain(arm):
        raise ConfigurationError(
            f"{key}.initialisation.fold: each fold applies its own model; leave it out"
        )
    theirs = study.arms[start.arm]
    for setting in INHERITED:
        if getattr(record, setting, None) != getattr(theirs, setting, None):
            raise ConfigurationError(
                f"{key}.{setting}: differs from that of {start.arm}, whose model the arm applies; "
                "leave it out"
            )


def _check_validation(study: ResolvedStudy, arm: str, where: str) -> None:
    """Refuse to choose an epoch on validation cases that a split does not have."""
    record, domain = study.arms[arm], study.own_domain(arm)
    split = study.domains[split_origin(study.domains, domain)].split
    shares = getattr(split, "shares", None)
    share = shares.validation if shares is not None else getattr(split, "validation_share", None)
    if not isinstance(record, Arm) or not record.learns or share != 0.0:
        return
    if record.training.select != "last_epoch":
        raise ConfigurationError(
            f"{where}: arms.{arm}.training.select: {record.training.select} needs validation "
            f"cases, and the split of {domain} has none; give it a share, or select: last_epoch"
        )


def _check_patches(study: ResolvedStudy, domain: str, where: str) -> None:
    """Refuse a domain of patches that no arm with images says the input of."""
    if study.domains[domain].patches is None:
        return
    if not any(study.input_of(arm) is not None for arm in study.arms_on(domain)):
        raise ConfigurationError(
            f"{where}: domains.{domain}.patches: no arm that takes images is trained or judged on "
            "it, so that no patch is cut; add one, or remove the domain"
        )


def network_arms(study: ResolvedStudy) -> dict[str, Arm]:
    """Return the arms that are networks."""
    return {name: arm for name, arm in study.arms.items() if isinstance(arm, Arm)}
