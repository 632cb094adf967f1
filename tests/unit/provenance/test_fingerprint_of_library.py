"""Fingerprints of the workflow's own scripts: which of them an edit of the library touches."""

from __future__ import annotations

import shutil
from pathlib import Path
from time import process_time

import pytest

from mammoshift.provenance.fingerprint import code_fingerprint, code_key
from mammoshift.provenance.outside import METHODS_ONLY, OUTSIDE

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted(path.name for path in (ROOT / "workflow" / "scripts").glob("*.py"))
STATISTICS = {
    "calibrate_study.py",
    "combine_seeds.py",
    "compare_arms.py",
    "evaluate_study.py",
    "report_study.py",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for part in ("src", "workflow/scripts"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.egg-info"))
    return folder


@pytest.fixture(scope="module")
def before(project: Path) -> dict[str, str]:
    return keys(project)


BY_NAME = {
    "ingest_dataset.py": ("mammoshift.archives.adapters.cmmd",),
    "make_twin.py": ("mammoshift.phantoms.twins.cmmd",),
    "make_cases.py": ("mammoshift.cases.splits.patient_stratified",),
    "train_arm.py": (
        "mammoshift.kinds.network:fit",
        "mammoshift.kinds.network:CASE_COLUMNS",
        "mammoshift.training.losses.focal:build",
        "mammoshift.models.heads.linear:build",
        "mammoshift.models.heads.linear:TAKES_MAP",
    ),
    "score_arm.py": (
        "mammoshift.kinds.network:score",
        "mammoshift.kinds.network:SCORED_COLUMNS",
        "mammoshift.models.heads.linear:build",
        "mammoshift.models.heads.linear:TAKES_MAP",
    ),
    "preprocess_bundle.py": (
        "mammoshift.imaging.tones.percentile:tone",
        "mammoshift.imaging.masks.breast:shown",
    ),
}
"""What the rules name of the modules that are looked up by name."""


def keys(project: Path) -> dict[str, str]:
    scripts = project / "workflow" / "scripts"
    library = project / "src"
    return {
        name: code_key(scripts / name, library, by_name=BY_NAME.get(name, ())) for name in SCRIPTS
    }


def touched(project: Path, before: dict[str, str], file: str, old: str, new: str) -> set[str]:
    """Edit a file of the library, give the scripts whose keys change, and take the edit back."""
    path = project / "src" / "mammoshift" / file
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    assert old in (text or "")
    try:
        edited = (text or "").replace(old, new) if old else (text or "") + new
        path.write_text(edited, encoding="utf-8")
        compile(path.read_text(encoding="utf-8"), path.name, "exec")
        after = keys(project)
        return {name for name in before if before[name] != after[name]}
    finally:
        path.unlink() if text is None else path.write_text(text, encoding="utf-8")


FUNCTION = "\n\ndef entirely_new(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "file",
    [
        "errors.py",
        "files.py",
        "training/losses/focal.py",
        "training/loop.py",
        "imaging/tone.py",
        "models/classifier.py",
        "pixelstore/index.py",
        "statistics/auc.py",
        "contracts/manifest.py",
        "configuration/model.py",
        "execution/determinism.py",
        "execution/job.py",
        "report/formatting.py",
        "statistics/entirely_new.py",
    ],
)
def test_a_new_function_touches_nothing(project: Path, before: dict[str, str], file: str) -> None:
    assert touched(project, before, file, "", FUNCTION) == set()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("configuration/training.py", "gamma: Anno", "delta: float | None = None\n    gamma: Anno"),
        ("configuration/training.py", "is only for the loss", "goes with the loss"),
        ("execution/gpu_claim.py", "LONGEST_PAUSE = 2.0", "LONGEST_PAUSE = 3.0"),
        ("execution/job.py", "YOUNG_OBJECTS = 50_000", "YOUNG_OBJECTS = 70_000"),
        ("execution/device.py", "but no GPU is visible", "and no GPU is visible"),
        ("training/loop.py", "training on {device}", "training on the {device}"),
        ("training/loop.py", "lr {record.lr:.2e}", "learning rate {record.lr:.3e}"),
        ("training/loop.py", "try a smaller lr", "try a smaller learning rate"),
        ("kinds/network.py", "no GPU was claimed", "no GPU was asked for"),
        ("training/run.py", "no training case of", "not one training case of"),
        ("provenance/reuse.py", "restored the finished", "found the finished"),
        ("training/losses/focal.py", "logits: Tensor", "logits: object"),
        ("statistics/auc.py", "def _", "def _another_"),
        ("errors.py", "exit_code = 1", "exit_code = 3"),
    ],
)
def test_what_only_executes_or_speaks_touches_nothing(
    project: Path, before: dict[str, str], file: str, old: str, new: str
) -> None:
    if file == "statistics/auc.py":
        text = (project / "src" / "mammoshift" / file).read_text(encoding="utf-8")
        old = text.partition("\ndef _")[2].partition("(")[0]
        old, new = f"_{old}", f"_another_{old}"
    assert touched(project, before, file, old, new) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "scripts"),
    [
        ("training/losses/focal.py", "torch.exp(gamma", "torch.exp(2 * gamma", {"train_arm.py"}),
        ("training/losses/bce.py", "pos_weight=weight", "pos_weight=2 * weight", set()),
        ("models/heads/mlp.py", "UNITS = 512", "UNITS = 256", set()),
        ("imaging/tones/film_log.py", "film_log(crop", "film_log(1 + crop", set()),
        ("imaging/pectoral.py", "= 0.015, 0.05", "= 0.016, 0.05", set()),
        (
            "execution/determinism.py",
            "ORDER = 2",
            "ORDER = 7",
            {"search_trial.py", "train_arm.py"},
        ),
        (
            "execution/determinism.py",
            "CUBLAS_WORKSPACE_CONFIG",
            "CUBLAS_WORKSPACE",
            {"draw_gallery.py", "train_arm.py", "score_arm.py"},
        ),
        (
            "imaging/tone.py",
            "= 0.5, 99.5",
            "= 1.0, 99.0",
            {"draw_gallery.py", "preprocess_bundle.py"},
        ),
        ("kinds/network.py", "BATCH_SIZE = 32", "BATCH_SIZE = 64", {"score_arm.py"}),
        ("phantoms/twins/cmmd.py", "0.55 if", "0.65 if", {"make_twin.py"}),
        ("archives/adapters/cmmd.py", "_PATIENT = ", "_PATIENT = 0, ", {"ingest_dataset.py"}),
        ("weights/key_maps.py", '"_bn0": "bn1"', '"_bn0": "bn2"', {"convert_weights.py"}),
        ("report/formatting.py", "not computed", "none", {"report_study.py"}),
    ],
)
def test_a_change_of_what_is_computed_touches_what_computes_it(
    project: Path, before: dict[str, str], file: str, old: str, new: str, scripts: set[str]
) -> None:
    assert touched(project, before, file, old, new) == scripts


@pytest.mark.parametrize(
    ("file", "scripts"),
    [
        ("training/losses/focal.py", {"train_arm.py"}),
        (
            "statistics/calibration.py",
            {"calibrate_study.py", "combine_seeds.py", "compare_arms.py", "evaluate_study.py"},
        ),
        ("archives/adapter.py", {"draw_gallery.py", "ingest_dataset.py"}),
        ("configuration/study.py", set()),
    ],
)
def test_a_statement_that_runs_at_import_touches_what_imports_it(
    project: Path, before: dict[str, str], file: str, scripts: set[str]
) -> None:
    assert touched(project, before, file, "", "\nset().clear()\n") == scripts


def test_one_adapter_or_twin_touches_its_own_datasets(project: Path) -> None:
    script, library = project / "workflow/scripts/ingest_dataset.py", project / "src"
    cmmd, mias = (f"mammoshift.archives.adapters.{name}" for name in ("cmmd", "mias"))
    assert mias in code_fingerprint(script, library, by_name=[mias])
    assert mias not in code_fingerprint(script, library, by_name=[cmmd])
    assert code_key(script, library, by_name=[cmmd]) != code_key(script, library, by_name=[mias])


def test_what_is_declared_to_be_outside_exists() -> None:
    for name in [*OUTSIDE, *METHODS_ONLY]:
        module, _, definition = name.partition(":")
        base = ROOT.joinpath("src", *module.split("."))
        path = base.with_suffix(".py")
        assert path.is_file() or base.is_dir(), name
        if definition:
            text = path.read_text(encoding="utf-8")
            assert f"def {definition}(" in text or f"\n{definition} = " in text, name


def test_keys_of_all_scripts_are_quick_once_the_files_are_known(
    project: Path, tmp_path: Path
) -> None:
    scripts, memory = project / "workflow" / "scripts", tmp_path / "code.json"
    taken = []
    for _ in range(2):
        began = process_time()
        for name in SCRIPTS:
            code_key(scripts / name, project / "src", memory)
        taken.append(process_time() - began)
    assert taken[1] < 0.5 * taken[0]
