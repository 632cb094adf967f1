"""What a study will cost before it is run: jobs, GPU-hours and storage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mammoshift.configuration.leaves import input_name
from mammoshift.configuration.load import Project
from mammoshift.configuration.model import Arm
from mammoshift.planning.throughput import THROUGHPUT

BYTES_PER_PIXEL = 2
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class StudyPlan:
    """The cost of one study.

    Attributes
    ----------
    jobs
        Rule -> number of jobs, in the order of the data.
    training_hours, scoring_hours
        GPU-hours; None when an image count or an architecture's throughput is unknown.
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
    pixel_bytes: int | None
    model_bytes: int | None
    images: Mapping[str, int | None]
    unknown: tuple[str, ...]


def plan_study(project: Project, study: str) -> StudyPlan:
    """Return the cost of a study from its configuration alone."""
    record, arms = project.studies[study], project.arms[study]
    images = {name: project.datasets[name].expected_images for name in record.datasets}
    runs = len(arms) * len(record.seeds)
    unknown = [f"number of images of {name}" for name, count in images.items() if count is None]
    costs = [_arm_hours(project, study, arm, images) for arm in arms.values()]
    unknown += sorted(
        {
            f"throughput of {a.backbone}"
            for a, c in zip(arms.values(), costs, strict=True)
            if c is None
        }
    )
    known = all(cost is not None for cost in costs)
    recipes = {input_name(arm.input): arm.input.size for arm in arms.values()}
    pixels = sum(math.prod(size) for size in recipes.values())
    total_images = _total(images)
    parameters = [_parameters(project, arm) for arm in arms.values()]
    return StudyPlan(
        study=study,
        jobs=_jobs(project, study, len(recipes), runs),
        training_hours=len(record.seeds) * sum(c[0] for c in costs if c) if known else None,
        scoring_hours=len(record.seeds) * sum(c[1] for c in costs if c) if known else None,
        pixel_bytes=None if total_images is None else total_images * pixels * BYTES_PER_PIXEL,
        model_bytes=None
        if None in parameters
        else len(record.seeds) * BYTES_PER_PARAMETER * sum(p for p in parameters if p),
        images=images,
        unknown=tuple(unknown),
    )


def _jobs(project: Project, study: str, recipes: int, runs: int) -> dict[str, int]:
    record = project.studies[study]
    shards = sum(project.datasets[name].shards for name in record.datasets)
    arms = project.arms[study].values()
    pretrained = {arm.backbone for arm in arms if arm.initialisation == "pretrained"}
    jobs = {
        "make_twin": sum(project.datasets[name].twin is not None for name in record.datasets),
        "ingest": len(record.datasets),
        "preprocess_shard": shards * recipes,
        "split_source": 1,
        "audit_split": 1,
        "audit_study": 1,
        "convert_weights": len(pretrained),
        "train_arm": runs,
        "infer": len(arms),
        "audit_predictions": 1,
        "statistics": 4,
        "report_study": 1,
    }
    return {rule: count for rule, count in jobs.items() if count}


def _arm_hours(
    project: Project, study: str, arm: Arm, images: Mapping[str, int | None]
) -> tuple[float, float] | None:
    """Return (training, scoring) GPU-hours of one seed of an arm, None when unknown."""
    cost = THROUGHPUT.get(project.backbones[arm.backbone].architecture)
    record = project.studies[study]
    total, source = _total(images), images[record.source.dataset]
    if cost is None or total is None or source is None:
        return None
    pixels = math.prod(arm.input.size)
    epochs = sum(stage.epochs for stage in arm.training.stages)
    shares = record.source.shares
    training = cost.training_seconds(source * shares.train * epochs, pixels)
    validation = cost.scoring_seconds(source * shares.validation * epochs, pixels)
    scored = total - source * shares.train
    return (training + validation) / 3600, cost.scoring_seconds(scored, pixels) / 3600


def _parameters(project: Project, arm: Arm) -> int | None:
    cost = THROUGHPUT.get(project.backbones[arm.backbone].architecture)
    return None if cost is None else cost.parameters


def _total(images: Mapping[str, int | None]) -> int | None:
    counts = list(images.values())
    return None if None in counts else sum(count for count in counts if count is not None)


def as_markdown(plans: list[StudyPlan]) -> str:
    """Return a table of plans for people, one column for each study."""
    rules = list(dict.fromkeys(rule for plan in plans for rule in plan.jobs))
    rows = [["", *(plan.study for plan in plans)]]
    rows.append(["images", *(_count(_total(plan.images)) for plan in plans)])
    rows += [[f"jobs: {rule}", *(str(plan.jobs.get(rule, 0)) for plan in plans)] for rule in rules]
    rows.append(["jobs: all", *(str(sum(plan.jobs.values())) for plan in plans)])
    rows.append(["GPU-hours, training", *(_hours(plan.training_hours) for plan in plans)])
    rows.append(["GPU-hours, scoring", *(_hours(plan.scoring_hours) for plan in plans)])
    rows.append(["pixel store", *(_size(plan.pixel_bytes) for plan in plans)])
    rows.append(["models", *(_size(plan.model_bytes) for plan in plans)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _hours(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def _size(value: int | None) -> str:
    return "unknown" if value is None else f"{value / 2**30:.1f} GiB"
