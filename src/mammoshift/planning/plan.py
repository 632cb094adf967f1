"""What a study will cost before it is run: jobs, GPU-hours and storage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammoshift.configuration.audit_leaves import lineage_name
from mammoshift.configuration.domain import DomainSettings
from mammoshift.configuration.gallery import gallery_arms
from mammoshift.configuration.leaves import bundles, input_name, sheet_inputs
from mammoshift.configuration.load import Project
from mammoshift.configuration.model import Arm
from mammoshift.configuration.resolved import ResolvedStudy, network_arms
from mammoshift.errors import ConfigurationError
from mammoshift.planning.images import image_count
from mammoshift.planning.parameters import parameter_count
from mammoshift.planning.throughput import THROUGHPUT, Throughput

BYTES_PER_PIXEL = 2
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class StudyPlan:
    """The cost of one study.

    Attributes
    ----------
    jobs
        Rule -> number of jobs, in the order of the data.
    training_hours, scoring_hours, trial_hours
        GPU-hours; None when a count of images or patches or an architecture's throughput is
        unknown. Those of the trials of searches are the most that they can be: none is given up,
        each is the longest.
    pixel_bytes, model_bytes
        Storage of the pixel stores and of the trained models; None when unknown. Stores of patches
        hold those that `balance` leaves out too, which are not counted here.
    images
        Dataset -> number of images, None when unknown.
    estimated
        Architecture -> what its rates were estimated from, in words, where they were.
    unknown
        What had to be left out, in words.
    """

    study: str
    jobs: Mapping[str, int]
    training_hours: float | None
    scoring_hours: float | None
    trial_hours: float | None
    pixel_bytes: int | None
    model_bytes: int | None
    images: Mapping[str, int | None]
    estimated: Mapping[str, str]
    unknown: tuple[str, ...]


def plan_study(
    project: Project, study: str, throughput: Mapping[str, Throughput] = THROUGHPUT
) -> StudyPlan:
    """Return the cost of a study from its configuration, and from a user's table where it is there.

    `throughput` says what each architecture costs.
    """
    resolved = project.studies[study]
    images = {name: image_count(project, name) for name in resolved.datasets}
    arms = network_arms(resolved)
    unknown = [f"number of images of {name}" for name, count in images.items() if count is None]
    unknown += [
        f"number of patches of {name}"
        for name, domain in resolved.domains.items()
        if domain.patches is not None and domain.expected_patches is None
    ]
    counts = {name: _arrays(domain, images) for name, domain in resolved.domains.items()}
    costs = {
        name: _arm_hours(project, resolved, arm, counts, throughput) for name, arm in arms.items()
    }
    unknown += sorted(
        {
            f"throughput of {arm.backbone}"
            for arm in arms.values()
            if project.backbones[arm.backbone].architecture not in throughput
        }
    )
    known = all(cost is not None for cost in costs.values())
    trials = [_trial_hours(project, resolved, arm, counts, throughput) for arm in arms.values()]
    architectures = {project.backbones[arm.backbone].architecture for arm in arms.values()}
    trained = [name for name, arm in arms.items() if arm.learns]
    parameters = {name: _parameters(project, arms[name]) for name in trained}
    return StudyPlan(
        study=study,
        jobs=_jobs(project, resolved),
        training_hours=_hours_of(resolved, costs, trained, 0) if known else None,
        scoring_hours=_hours_of(resolved, costs, list(arms), 1) if known else None,
        trial_hours=sum(hours or 0.0 for hours in trials) if known else None,
        pixel_bytes=_pixel_bytes(project, resolved, images),
        model_bytes=None
        if any(count is None for count in parameters.values())
        else sum(
            len(resolved.runs(name)) * BYTES_PER_PARAMETER * (count or 0)
            for name, count in parameters.items()
        ),
        images=images,
        estimated={
            name: throughput[name].estimated
            for name in sorted(architectures & throughput.keys())
            if throughput[name].estimated
        },
        unknown=tuple(unknown),
    )


def _hours_of(
    study: ResolvedStudy,
    costs: Mapping[str, tuple[float, float] | None],
    arms: list[str],
    what: int,
) -> float:
    return sum(len(study.runs(name)) * cost[what] for name in arms if (cost := costs[name]))


def _jobs(project: Project, study: ResolvedStudy) -> dict[str, int]:
    stores = _stores(project, study)
    arms = study.arms.values()
    pretrained = {getattr(a, "backbone", None) for a in arms if a.initialisation == "pretrained"}
    searches = [
        (arm.search, study.folds(study.own_domain(arm.name)))
        for arm in network_arms(study).values()
        if arm.search is not None
    ]
    jobs = {
        "make_twin": sum(project.datasets[name].twin is not None for name in study.datasets),
        "ingest_dataset": len(study.datasets),
        "preprocess_bundle": sum(bundles(project, dataset) for dataset, _ in stores),
        "collect_bundles": len(stores),
        "draw_contact_sheet": len(sheet_inputs(project, study.name)),
        "make_cases": len(study.domains),
        "audit_domain": len({study.own_domain(arm) for arm in study.arms}),
        "audit_lineage": len(
            {
                (domain, lineage_name(project, study.name, arm))
                for arm in study.arms
                for domain in study.judged_on(arm)
            }
        ),
        "audit_study": 1,
        "convert_weights": len(pretrained),
        "extract_features": len(
            {
                (dataset, input_name(recipe), record.feature_set)
                for name, record in study.arms.items()
                if record.feature_set is not None
                for domain in study.judged_on(name)
                if (recipe := project.recipe(study.name, name, domain)) is not None
                for dataset in study.domains[domain].datasets
            }
        ),
        "lend_scores": len(
            {
                (read, domain)
                for name, record in study.arms.items()
                for read in record.reads
                for domain in study.judged_on(name)
            }
        ),
        "search_trial": sum(record.trials * folds for record, folds in searches),
        "choose_trial": sum(folds for _, folds in searches),
        "train_arm": len(study.trained_runs),
        "score_arm": sum(len(study.judged_on(arm)) for arm in study.arms),
        "audit_predictions": 1,
        "statistics": 4,
        "write_card": len(study.trained_runs),
        "draw_gallery": len(gallery_arms(study)),
        "report_study": 1,
    }
    return {rule: count for rule, count in jobs.items() if count}


def _arrays(domain: DomainSettings, images: Mapping[str, int | None]) -> int | None:
    """Return how many images or patches a domain has, None where that is unknown."""
    if domain.patches is not None:
        return domain.expected_patches
    return _total({name: images[name] for name in domain.datasets})


def _stores(
    project: Project, study: ResolvedStudy
) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
    """Return (dataset, input) -> (pixels of an array, domains) of every pixel store of a study."""
    stores: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
    for arm in study.arms:
        for domain in study.applied_to(arm):
            if (recipe := project.recipe(study.name, arm, domain)) is None:
                continue
            for dataset in study.domains[domain].datasets:
                key = dataset, input_name(recipe)
                _, known = stores.get(key, (0, ()))
                stores[key] = math.prod(recipe.size), (*known, domain)
    return stores


def _pixel_bytes(
    project: Project, study: ResolvedStudy, images: Mapping[str, int | None]
) -> int | None:
    """Return the size of all stores; one of patches has those of the largest of its domains."""
    total = 0
    for (dataset, _), (pixels, domains) in _stores(project, study).items():
        one = {dataset: images[dataset]}
        counts = [
            _arrays(study.domains[name].model_copy(update={"datasets": (dataset,)}), one)
            for name in domains
        ]
        if None in counts:
            return None
        total += max(count or 0 for count in counts) * pixels
    return total * BYTES_PER_PIXEL


def _trial_hours(
    project: Project,
    study: ResolvedStudy,
    arm: Arm,
    counts: Mapping[str, int | None],
    throughput: Mapping[str, Throughput],
) -> float | None:
    """Return the GPU-hours of all trials of an arm's search, None when unknown or there is none."""
    if arm.search is None:
        return None
    longest = {
        path: max(ends)
        for path, values in arm.search.space.items()
        if path.endswith(".epochs")
        and (ends := [end for end in values.ends if isinstance(end, int | float)])
    }
    inner = arm.search.inner_folds
    cost = _arm_hours(project, study, arm.with_chosen(longest), counts, throughput, inner)
    folds = study.folds(study.own_domain(arm.name))
    return None if cost is None else cost[0] * arm.search.trials * folds


def _arm_hours(
    project: Project,
    study: ResolvedStudy,
    arm: Arm,
    counts: Mapping[str, int | None],
    throughput: Mapping[str, Throughput],
    inner_folds: int | None = None,
) -> tuple[float, float] | None:
    """Return (training, scoring) GPU-hours of one run of an arm, None when unknown.

    With `inner_folds` the training is one for each of them. A stage that trains the head alone
    takes the features as scoring does.
    """
    cost = throughput.get(project.backbones[arm.backbone].architecture)
    own = study.own_domain(arm.name)
    learned, applied_to = counts[own], study.applied_to(arm.name)
    if cost is None or learned is None or any(counts[name] is None for name in applied_to):
        return None
    pixels = math.prod(arm.input.size)
    train, validation = _learned_shares(study.domains[own].split)
    scored = sum(
        (counts[name] or 0) * (1.0 - train if study.share_split(own, name) else 1.0)
        for name in applied_to
    )
    if inner_folds is not None:
        train, validation = (inner_folds - 1) * (train + validation), train + validation
    seconds = 0.0
    for stage in arm.training.stages:
        step = cost.scoring_seconds if stage.train == "head" else cost.training_seconds
        seconds += step(learned * train * stage.epochs, pixels)
        seconds += cost.scoring_seconds(learned * validation * stage.epochs, pixels)
    return seconds / 3600, cost.scoring_seconds(scored, pixels) / 3600


def _learned_shares(split: Any) -> tuple[float, float]:
    """Return the shares of a domain that one fold trains on and validates with."""
    shares = getattr(split, "shares", None)
    if shares is not None:
        return shares.train, shares.validation
    folds = getattr(split, "folds", None) or 1
    rest = (1.0 - getattr(split, "test_share", 0.0)) * (1.0 - 1.0 / folds if folds > 1 else 1.0)
    validation = rest * getattr(split, "validation_share", 0.0)
    return rest - validation, validation


def _parameters(project: Project, arm: Arm) -> int | None:
    """Return the parameters of an arm's model, None where it cannot be built."""
    backbone = project.backbones[arm.backbone]
    # Frozen models are hashed by their fields, which pyright does not see.
    try:
        return parameter_count(backbone, arm.input.size, arm.head)  # pyright: ignore[reportArgumentType]
    except ConfigurationError:
        return None


def _total(images: Mapping[str, int | None]) -> int | None:
    counts = list(images.values())
    return None if None in counts else sum(count for count in counts if count is not None)


def plan_rows(plans: list[StudyPlan]) -> list[list[str]]:
    """Return a table of plans for people, one column for each study, the header first."""
    rules = list(dict.fromkeys(rule for plan in plans for rule in plan.jobs))
    rows = [["", *(plan.study for plan in plans)]]
    rows.append(["images", *(_count(_total(plan.images)) for plan in plans)])
    rows += [[f"jobs: {rule}", *(str(plan.jobs.get(rule, 0)) for plan in plans)] for rule in rules]
    rows.append(["jobs: all", *(str(sum(plan.jobs.values())) for plan in plans)])
    rows.append(["GPU-hours, training", *(_hours(plan.training_hours) for plan in plans)])
    if any(plan.trial_hours for plan in plans):
        rows.append(["GPU-hours, trials", *(_hours(plan.trial_hours) for plan in plans)])
    rows.append(["GPU-hours, scoring", *(_hours(plan.scoring_hours) for plan in plans)])
    rows.append(["pixel store", *(_size(plan.pixel_bytes) for plan in plans)])
    rows.append(["models", *(_size(plan.model_bytes) for plan in plans)])
    return rows


def as_markdown(plans: list[StudyPlan]) -> str:
    """Return the table of plans as Markdown."""
    rows = plan_rows(plans)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _hours(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.1f}" if value >= 0.1 or not value else f"{value:.2g}"


def _size(value: int | None) -> str:
    if value is None:
        return "unknown"
    return f"{value / 2**30:.1f} GiB" if value >= 2**29 else f"{value / 2**20:.1f} MiB"
