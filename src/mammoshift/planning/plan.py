"""What a study will cost before it is run: jobs, GPU-hours and storage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammoshift.configuration.audit_leaves import lineage_name
from mammoshift.configuration.gallery import gallery_arms
from mammoshift.configuration.leaves import bundles, input_name, sheet_inputs
from mammoshift.configuration.load import Project
from mammoshift.configuration.model import Arm
from mammoshift.configuration.resolved import ResolvedStudy, network_arms
from mammoshift.planning.images import image_count
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
        GPU-hours; None when an image count or an architecture's throughput is unknown. Those of the
        trials of searches are the most that they can be: none is given up, each is the longest.
    pixel_bytes, model_bytes
        Storage of the pixel stores and of the trained models; None when unknown.
    images
        Dataset -> number of images, None when unknown.
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
        if domain.patches is not None
    ]
    costs = {
        name: _arm_hours(project, resolved, arm, images, throughput) for name, arm in arms.items()
    }
    unknown += sorted(
        {
            f"throughput of {arm.backbone}"
            for arm in arms.values()
            if project.backbones[arm.backbone].architecture not in throughput
        }
    )
    known = all(cost is not None for cost in costs.values())
    trials = [_trial_hours(project, resolved, arm, images, throughput) for arm in arms.values()]
    parameters = {name: _parameters(project, arm, throughput) for name, arm in arms.items()}
    trained = [name for name, arm in arms.items() if arm.learns]
    return StudyPlan(
        study=study,
        jobs=_jobs(project, resolved),
        training_hours=_hours_of(resolved, costs, trained, 0) if known else None,
        scoring_hours=_hours_of(resolved, costs, list(arms), 1) if known else None,
        trial_hours=sum(hours or 0.0 for hours in trials) if known else None,
        pixel_bytes=_pixel_bytes(project, resolved, images),
        model_bytes=None
        if any(parameters[name] is None for name in trained)
        else sum(
            len(resolved.runs(name)) * BYTES_PER_PARAMETER * (parameters[name] or 0)
            for name in trained
        ),
        images=images,
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
    stores = {(dataset, name) for dataset, name, _ in _stores(project, study)}
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


def _stores(project: Project, study: ResolvedStudy) -> set[tuple[str, str, int]]:
    """Return (dataset, input, pixels of an array) of every pixel store of a study."""
    return {
        (dataset, input_name(recipe), math.prod(recipe.size))
        for arm in study.arms
        for domain in study.applied_to(arm)
        if (recipe := project.recipe(study.name, arm, domain)) is not None
        for dataset in study.domains[domain].datasets
    }


def _pixel_bytes(
    project: Project, study: ResolvedStudy, images: Mapping[str, int | None]
) -> int | None:
    """Return the size of all stores; unknown where patches are cut, whose number is unknown."""
    patches = any(domain.patches is not None for domain in study.domains.values())
    if patches or None in images.values():
        return None
    stores = _stores(project, study)
    return sum((images[dataset] or 0) * pixels * BYTES_PER_PIXEL for dataset, _, pixels in stores)


def _trial_hours(
    project: Project,
    study: ResolvedStudy,
    arm: Arm,
    images: Mapping[str, int | None],
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
    cost = _arm_hours(project, study, arm.with_chosen(longest), images, throughput, inner)
    folds = study.folds(study.own_domain(arm.name))
    return None if cost is None else cost[0] * arm.search.trials * folds


def _arm_hours(
    project: Project,
    study: ResolvedStudy,
    arm: Arm,
    images: Mapping[str, int | None],
    throughput: Mapping[str, Throughput],
    inner_folds: int | None = None,
) -> tuple[float, float] | None:
    """Return (training, scoring) GPU-hours of one run of an arm, None when unknown.

    With `inner_folds` the training is one for each of them.
    """
    cost = throughput.get(project.backbones[arm.backbone].architecture)
    own = study.own_domain(arm.name)
    learned = _total({name: images[name] for name in study.domains[own].datasets})
    judged = {d for domain in study.judged_on(arm.name) for d in study.domains[domain].datasets}
    total = _total({name: images[name] for name in judged})
    if any(study.domains[name].patches for name in (own, *study.judged_on(arm.name))):
        return None
    if cost is None or total is None or learned is None:
        return None
    pixels = math.prod(arm.input.size)
    epochs = sum(stage.epochs for stage in arm.training.stages)
    train, validation = _learned_shares(study.domains[own].split)
    if inner_folds is not None:
        train, validation = (inner_folds - 1) * (train + validation), train + validation
    seconds = cost.training_seconds(learned * train * epochs, pixels)
    seconds += cost.scoring_seconds(learned * validation * epochs, pixels)
    scored = total - learned * train
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


def _parameters(project: Project, arm: Arm, throughput: Mapping[str, Throughput]) -> int | None:
    cost = throughput.get(project.backbones[arm.backbone].architecture)
    return None if cost is None else cost.parameters


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
