"""After an edit to a finished study exactly the rules that the edit concerns run again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from miniature import Project, write_weights

from mammoshift.files import sha256_of_file

pytestmark = pytest.mark.workflow

REPORT = {"report_study"}
STATISTICS = {"calibrate_study", "evaluate_study", "compare_arms", "combine_seeds"} | REPORT
AFTER_SCORING = {"score_arm", "audit_predictions"} | STATISTICS
CARDS = {"write_card"}
AFTER_TRAINING = {"train_arm"} | CARDS | AFTER_SCORING
PIXELS = {"preprocess_bundle", "collect_bundles"}
AUDITS = {"audit_lineage", "audit_study"}
AFTER_A_TARGET = {"ingest_dataset", "make_cases"} | PIXELS | AUDITS | AFTER_SCORING
# The source is a twin, which has a contact sheet; the real target has none.
AFTER_THE_SOURCE = AFTER_A_TARGET | {"audit_domain", "draw_contact_sheet", "train_arm"} | CARDS


def _touch_everything(project: Project) -> None:
    for path in project.folder.rglob("*"):
        if ".snakemake" not in path.parts and not path.is_symlink():
            os.utime(path)


def _fresh_code(project: Project) -> None:
    """Replace all code by a fresh copy, as a clone beside the results would."""
    for part in ("Snakefile", "rules", "workflow", "src"):
        path = project.folder / part
        old = path.with_name(f"old_{part}")
        path.rename(old)
        if old.is_dir():
            shutil.copytree(old, path, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(old, path)


def _move_data(project: Project) -> None:
    for name in ("archives", "weights"):
        (project.folder / name).rename(project.folder / f"elsewhere_{name}")
        project.edit("config/config.yaml", f"{name}: {name}", f"{name}: elsewhere_{name}")


def _new_target(content: dict) -> None:
    content["targets"].append("hospital")


def _new_arm(content: dict) -> None:
    content["arms"]["focal"] = {"backbone": "tiny", "loss": {"name": "focal"}}


def _new_seed(content: dict) -> None:
    content["seeds"].append(7)


def _remove_the_target(content: dict) -> None:
    content["targets"] = []


def _remove_a_seed(content: dict) -> None:
    content["seeds"] = [0]


def _remove_an_arm(content: dict) -> None:
    del content["arms"]["started"]


def _new_augmentation(content: dict) -> None:
    content["training"]["augmentation"] = {"vertical_flip": 0.25}


def _one_arm_trains_longer(content: dict) -> None:
    content["arms"]["started"]["training"] = {"batch_size": 4}


def _new_title(content: dict) -> None:
    content["title"] = "Another title"


def _new_subgroup(content: dict) -> None:
    content["subgroups"] = ["density", "view"]


def _new_tone(content: dict) -> None:
    content["mias"]["tone"] = "percentile"


def _new_twin(content: dict) -> None:
    content["cbis_ddsm"]["twin"]["seed"] = 2


def _allow_more_loss(content: dict) -> None:
    content["mias"]["maximum_lost_share"] = 0.5


def _allow_more_loss_and_change_the_loss(project: Project) -> None:
    """Two changes at once, of which the first concerns an audit before the training."""
    project.edit_datasets(_allow_more_loss)
    project.add_code("src/mammoshift/training/losses.py")


def _swap_the_seeds(content: dict) -> None:
    content["seeds"].reverse()


def _save_more_often(content: dict) -> None:
    content["training"]["checkpoint_minutes"] = 1.0


def _other_licence(content: dict) -> None:
    content["tiny"]["weights"]["licence"] = "another text"


def _pin_the_weights(project: Project) -> None:
    digest = sha256_of_file(project.folder / "weights" / "tiny.safetensors")
    project.edit_backbones(lambda content: content["tiny"]["weights"].update(sha256=digest))


def _other_split(content: dict) -> None:
    content["source"]["split_seed"] = 5


def _new_dataset_title(content: dict) -> None:
    content["mias"]["title"] = "Another name"


Edit = Callable[[Project], object]
PLANNED: dict[str, tuple[Edit, set[str]]] = {
    "nothing": (lambda p: None, set()),
    "every file touched": (_touch_everything, set()),
    "a fresh clone beside the results": (_fresh_code, set()),
    "a comment in a library module": (
        lambda p: p.edit("src/mammoshift/training/losses.py", "def ", "# a comment\ndef "),
        set(),
    ),
    "a docstring in a library module": (
        lambda p: p.edit("src/mammoshift/training/losses.py", '"""', '"""Other words: '),
        set(),
    ),
    "formatting of a script": (
        lambda p: p.edit("workflow/scripts/train_arm.py", "from pathlib", "\n\nfrom pathlib"),
        set(),
    ),
    "a new function in a library module": (
        lambda p: p.edit(
            "src/mammoshift/errors.py", "class A", "def new():\n    pass\n\n\nclass A"
        ),
        set(),
    ),
    "a changed loss": (
        lambda p: p.add_code("src/mammoshift/training/losses.py"),
        AFTER_TRAINING,
    ),
    "a changed augmentation (code)": (
        lambda p: p.add_code("src/mammoshift/training/augmentation.py"),
        AFTER_TRAINING,
    ),
    "a changed augmentation (study)": (
        lambda p: p.edit_study(_new_augmentation),
        AFTER_TRAINING,
    ),
    "a changed arm": (lambda p: p.edit_study(_one_arm_trains_longer), AFTER_TRAINING),
    "a changed statistic of the calibration": (
        lambda p: p.add_code("src/mammoshift/statistics/recalibration_budget.py"),
        {"calibrate_study"} | REPORT,
    ),
    "a changed statistic of all": (
        lambda p: p.add_code("src/mammoshift/statistics/auc.py"),
        STATISTICS | CARDS,
    ),
    "a changed table": (
        lambda p: p.add_code("src/mammoshift/report/formatting.py"),
        REPORT,
    ),
    "a changed template": (
        lambda p: p.edit("workflow/report/report.css", "{", "{ /* a comment counts here */"),
        REPORT,
    ),
    "moved archives and weights": (_move_data, set()),
    "a changed title": (lambda p: p.edit_study(_new_title), REPORT),
    "a changed title of a dataset": (lambda p: p.edit_datasets(_new_dataset_title), REPORT),
    "a new subgroup": (
        lambda p: p.edit_study(_new_subgroup),
        {"evaluate_study", "compare_arms"} | REPORT,
    ),
    "a new arm": (lambda p: p.edit_study(_new_arm), {"audit_study"} | AFTER_TRAINING),
    "a new seed": (lambda p: p.edit_study(_new_seed), AFTER_TRAINING),
    "a new target": (
        lambda p: p.edit_study(_new_target),
        AFTER_A_TARGET,
    ),
    "a removed target": (
        lambda p: p.edit_study(_remove_the_target),
        {"audit_study", "audit_predictions"} | STATISTICS,
    ),
    "a removed seed": (lambda p: p.edit_study(_remove_a_seed), AFTER_SCORING | CARDS),
    "a removed arm": (
        lambda p: p.edit_study(_remove_an_arm),
        {"audit_study", "audit_predictions"} | STATISTICS,
    ),
    "another order of the seeds": (lambda p: p.edit_study(_swap_the_seeds), set()),
    "state of trainings saved more often": (
        lambda p: p.edit_study(_save_more_often),
        REPORT,
    ),
    "another licence text of weights": (lambda p: p.edit_backbones(_other_licence), set()),
    "the pin of the same weights file": (_pin_the_weights, set()),
    "another split": (
        lambda p: p.edit_study(_other_split),
        {"make_cases", "audit_domain"} | AUDITS | AFTER_TRAINING,
    ),
    "code of one adapter": (
        lambda p: p.add_code("src/mammoshift/archives/adapters/mias.py"),
        AFTER_A_TARGET,
    ),
    "code of one twin": (
        lambda p: p.add_code("src/mammoshift/phantoms/twins/cbis_ddsm.py"),
        {"make_twin"} | AFTER_THE_SOURCE,
    ),
    "code of another split method": (
        lambda p: p.add_code("src/mammoshift/cases/splits/k_fold.py"),
        set(),
    ),
    "more of a target may be lost, and a changed loss": (
        _allow_more_loss_and_change_the_loss,
        {"train_arm"} | CARDS | AFTER_A_TARGET,
    ),
    "a new version of a weights file": (
        lambda p: write_weights(p.folder / "weights" / "tiny.safetensors", seed=1),
        {"convert_weights"} | AFTER_TRAINING,
    ),
    "a changed tone for one target": (
        lambda p: p.edit_datasets(_new_tone),
        PIXELS | AUDITS | AFTER_SCORING,
    ),
    "another twin": (
        lambda p: p.edit_datasets(_new_twin),
        {"make_twin"} | AFTER_THE_SOURCE,
    ),
}


@pytest.mark.parametrize("edit", PLANNED)
def test_an_edit_plans_exactly_what_it_concerns(project: Project, edit: str) -> None:
    change, rules = PLANNED[edit]
    change(project)
    assert project.planned() == rules


def test_a_new_target_is_its_own_jobs(project: Project) -> None:
    project.edit_study(_new_target)
    jobs = project.planned_jobs()
    for rule in ("ingest_dataset", "make_cases", "preprocess_bundle", "score_arm", "audit_lineage"):
        own = [job for job in jobs if job.startswith(f"{rule}:")]
        assert own
        assert all("hospital" in job for job in own), own
    assert sum(job.startswith("score_arm:") for job in jobs) == 2


def test_a_new_arm_is_its_own_jobs(project: Project) -> None:
    project.edit_study(_new_arm)
    jobs = project.planned_jobs()
    assert sum(job.startswith("train_arm:") for job in jobs) == 2
    assert sum(job.startswith("score_arm:") for job in jobs) == 2
    assert all("arm=focal" in j for j in jobs if j.startswith(("train_arm:", "score_arm:")))


def test_a_new_seed_trains_its_runs_and_scores_them_alone(project: Project) -> None:
    project.edit_study(_new_seed)
    trained = [job for job in project.planned_jobs() if job.startswith("train_arm:")]
    assert len(trained) == 2
    assert all("seed=7" in job for job in trained)
    executed = project.executed()
    assert executed.count("train_arm") == 2
    assert executed.count("score_arm") == 4
    for text in _logs(project, "small", "score_arm.log"):
        assert text.count("restored") == 2
        assert text.count("seed 7, fold 0: scored") == 1


@pytest.mark.parametrize("change", ["new image", "removed image"])
def test_another_set_of_images_makes_its_bundle_alone(project: Project, change: str) -> None:
    folder = project.folder / "archives" / "mias"
    if change == "new image":
        _add_mias_pair(folder)
    else:
        sorted(folder.rglob("*.pgm"))[0].unlink()
    assert set(project.executed()) == AFTER_A_TARGET
    bundles = [text for text in _logs(project, "preprocess/mias") if "shards/" in text]
    assert sum("kept" in text for text in bundles) == 2
    assert sum("images stored" in text for text in bundles) == 1
    scored = _logs(project, "small", "score_arm.log")
    assert all("restored" not in text for text in scored if "mias" in text)


def test_a_changed_label_decodes_and_scores_nothing_again_and_is_in_the_tables(
    project: Project,
) -> None:
    table = project.folder / "results" / "small" / "tables" / "metrics.csv"
    before = table.read_bytes()
    _flip_a_label(project.folder / "archives" / "mias")
    assert set(project.executed()) == AFTER_A_TARGET
    assert all("stored" not in text for text in _logs(project, "preprocess/mias"))
    scored = [text for text in _logs(project, "small", "score_arm.log") if "mias" in text]
    assert scored
    assert all("scored" not in text for text in scored)
    assert table.read_bytes() != before
    assert project.planned() == set()


def test_an_adapter_that_finds_the_same_trains_and_scores_nothing_again(project: Project) -> None:
    table = project.folder / "results" / "small" / "tables" / "metrics.csv"
    before = table.read_bytes()
    project.add_code("src/mammoshift/archives/adapter.py")
    project.snakemake()
    trained = _logs(project, "small", "train_arm.log")
    assert len(trained) == 4
    assert all("restored the finished training" in text for text in trained)
    assert all("scored" not in text for text in _logs(project, "small", "score_arm.log"))
    assert all("images stored" not in text for text in _logs(project, "preprocess"))
    assert table.read_bytes() == before


def test_densities_of_another_scale_are_not_taken_for_those_of_birads(project: Project) -> None:
    domains = project.folder / "results" / "small" / "domains"
    film, source = (
        set(pq.read_table(domains / name / "cases.parquet")["density"].drop_null().to_pylist())
        for name in ("mias", "cbis_ddsm")
    )
    assert film
    assert film <= {"mias_f", "mias_g", "mias_d"}
    assert source
    assert source <= {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("pixels/mias/*/shards/*/shard.npy", "score_arm"),
        ("pixels/mias/*/shards/*/index.parquet", "score_arm"),
        ("small/plain/seed-0/fold-0/model.safetensors", "score_arm"),
    ],
)
def test_flipped_bytes_reach_no_number(project: Project, pattern: str, rule: str) -> None:
    path = sorted((project.folder / "results").glob(pattern))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    done = project.snakemake("--forcerun", rule, check=False)
    assert done.returncode != 0
    assert path.name in done.stdout + done.stderr


def _logs(project: Project, folder: str, name: str = "*.log") -> list[str]:
    """Return the texts of all logs of one name below a folder."""
    logs = sorted((project.folder / "logs" / folder).rglob(name))
    assert logs
    return [log.read_text(encoding="utf-8") for log in logs]


def _info(folder: Path) -> Path:
    return next(path for path in folder.rglob("*") if path.name.lower() == "info.txt")


def _add_mias_pair(folder: Path) -> None:
    """Add the two breasts of one more patient to a small copy of MIAS."""
    films = sorted(folder.rglob("*.pgm"))
    number = int(films[-1].stem[3:]) + 1
    info = _info(folder)
    lines = info.read_text(encoding="utf-8").splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("mdb"))
    names = [f"mdb{number + k:03}" for k in (0, 1)]
    for name, film in zip(names, films[-2:], strict=True):
        shutil.copyfile(film, film.with_name(f"{name}.pgm"))
    lines[last + 1 : last + 1] = [f"{name} G NORM" for name in names]
    info.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _flip_a_label(folder: Path) -> None:
    info = _info(folder)
    lines = info.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("mdb") and " B" in line)
    lines[place] = lines[place].replace(" B", " M", 1)
    info.write_text("\n".join(lines) + "\n", encoding="utf-8")
