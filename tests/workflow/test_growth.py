"""What the project grows by leaves every finished result valid, or costs its own stage alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from miniature import Project

pytestmark = pytest.mark.workflow

ADAPTER = '''"""An archive that nobody uses."""

from mammoshift.archives.registry import AdapterOptions

SOURCE = "A new archive."


class Options(AdapterOptions):
    """No choices."""


def read_records(archive, options):
    """Yield nothing."""
    return iter(())
'''
SPLIT = '''"""A split that nobody uses."""

from typing import Literal

from mammoshift.cases.splits._options import WithoutFolds


class Options(WithoutFolds):
    """No options."""

    method: Literal["all_train"] = "all_train"


def assign(cases, options, others):
    """Put everybody into train."""
    from mammoshift.cases.splits._assignment import Assignment

    return Assignment([("train",) for _ in range(len(cases))])
'''
KIND = '''"""A kind of arm that nobody uses."""

from typing import Literal

from mammoshift.configuration.model import ArmBase


class ConstantArm(ArmBase):
    """Gives every case the same score."""

    kind: Literal["constant"] = "constant"


ARM = ConstantArm
CASE_COLUMNS = ()
SCORED_COLUMNS = ()
SCORES_UNITS = False


def fit(request):
    """Write nothing."""


def score(request):
    """Return zeros."""
    import numpy as np

    return np.zeros((len(request.models), len(request.cases)))
'''
MODEL = "src/mammoshift/configuration/model.py"
INPUT = '    fit: Literal["pad", "stretch"] = "pad"'
TRAINING = "    batch_size: Annotated[int, Field(ge=1)] = 8"
BACKBONE = "    variable_size: bool = False"
NEW_ERROR = "def new():\n    pass\n\n\nclass A"
Growth = Callable[[Project], object]


def _write(project: Project, file: str, text: str) -> None:
    (project.folder / file).write_text(text, encoding="utf-8")


def _new_twin(project: Project) -> None:
    _write(project, "src/mammoshift/archives/adapters/other.py", ADAPTER)
    twins = project.folder / "src" / "mammoshift" / "phantoms" / "twins"
    (twins / "other.py").write_bytes((twins / "mias.py").read_bytes())


def _new_backbone(project: Project) -> None:
    project.edit_backbones(lambda content: content.update(other={**content["tiny"]}))


def _second_study(project: Project) -> None:
    study = (project.folder / "config/studies/small.yaml").read_text(encoding="utf-8")
    _write(project, "config/studies/other.yaml", study)


def _field(after: str, file: str = MODEL) -> Growth:
    return lambda project: project.edit(file, after, f"{after}\n    new: int | None = None")


def _new_metric(project: Project) -> None:
    project.edit(
        "src/mammoshift/evaluation/thresholds.py",
        '    "balanced_accuracy",\n',
        '    "balanced_accuracy",\n    "npv",\n',
    )


GROWTH: dict[str, tuple[Growth, set[str]]] = {
    "a new adapter": (
        lambda p: _write(p, "src/mammoshift/archives/adapters/other.py", ADAPTER),
        set(),
    ),
    "a new twin": (_new_twin, set()),
    "a new backbone": (_new_backbone, set()),
    "a study that is not named": (_second_study, set()),
    "a new split method": (
        lambda p: _write(p, "src/mammoshift/cases/splits/all_train.py", SPLIT),
        set(),
    ),
    "a new kind of arm": (lambda p: _write(p, "src/mammoshift/kinds/constant.py", KIND), set()),
    "an optional field of an input": (_field(INPUT), set()),
    "an optional field of a training": (
        _field(TRAINING, "src/mammoshift/configuration/training.py"),
        set(),
    ),
    "an optional field of a backbone": (_field(BACKBONE), set()),
    "an unused function where training errors are": (
        lambda p: p.edit("src/mammoshift/errors.py", "class A", NEW_ERROR),
        set(),
    ),
    "a metric column": (_new_metric, {"evaluate_study", "report_study"}),
}


@pytest.mark.parametrize("name", list(GROWTH))
def test_growth_reruns_nothing_but_its_own_stage(project: Project, name: str) -> None:
    grow, expected = GROWTH[name]
    grow(project)
    assert project.planned() == expected


def test_a_second_study_with_the_same_inputs_shares_the_pixels(project: Project) -> None:
    _second_study(project)
    project.edit_yaml(
        "config/config.yaml",
        lambda content: content["studies"].append("config/studies/other.yaml"),
    )
    jobs = project.planned_jobs()
    assert jobs
    others = [job for job in jobs if "study=other" not in job]
    assert len(others) == 1, others
    assert "link_reports" in others[0]
