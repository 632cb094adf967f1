"""Configuration: what is refused, and whether the message says what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.resolved import network_arms
from mammoshift.configuration.schemas import schema_texts
from mammoshift.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
STUDY = "studies/cross_sensor_miniature.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path


def _load(folder: Path, name: str = "config"):
    return load_project(read_yaml(folder / "config" / f"{name}.yaml"), folder)


@pytest.mark.parametrize("name", ["config", "paper", "real_images"])
def test_every_shipped_configuration_loads(folder: Path, name: str) -> None:
    project = _load(folder, name)
    assert all(study.arms and study.trained_runs for study in project.studies.values())


def test_the_paper_study_has_its_arms(folder: Path) -> None:
    study = _load(folder, "paper").studies["cross_sensor"]
    arms = network_arms(study)
    weights = [arm.loss.auxiliary_weight for name, arm in arms.items() if "focal" in name]
    assert len(arms) == 9
    assert weights == [0.0, 0.1, 0.3, 0.5]
    sizes = {family.family: len(family.pairs) for family in study.families}
    assert sizes == {"in_distribution": 4, "transfer": 4, "density_focal": 4, "density_term": 3}
    assert arms["dinov2_b14"].input.size == (1022, 616)
    assert arms["dinov2_b14"].input.fit == "pad"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (STUDY, "batch_size", "batchsize", ["training.batchsize", "'batch_size'"]),
        (STUDY, "fit: pad", "fit: padd", ["input.fit", "'pad' or 'stretch'"]),
        (STUDY, "name: density_aware_focal", "name: focl", ["loss.name", "'density_aware_focal'"]),
        (
            STUDY,
            "backbone: tiny_resnet",
            "backbone: tiny_res",
            ["arms.resnet.backbone"],
        ),
        (
            STUDY,
            "backbone: tiny_resnet",
            "backbone: Tiny-Resnet",
            ["arms.resnet.backbone: 'Tiny-Resnet' is not a name"],
        ),
        (STUDY, "[cmmd, dmid", "[cmmd, dmmid", ["targets.1", "'dmid'", "twins.yaml"]),
        (STUDY, "[cmmd, dmid", "[cmmd, cmmd", ["cmmd is given more than once"]),
        (STUDY, "[cmmd, dmid", "[cbis_ddsm, dmid", ["cbis_ddsm is the source"]),
        (STUDY, "train: 0.6", "train: 0.7", ["source.shares", "sum to 1"]),
        (STUDY, "lr: 3.0e-3", "lr: -2", ["training.stages.0.lr", "greater than 0"]),
        (STUDY, "seeds: [0, 1]", "seeds: [0, 0]", ["seeds", "more than once"]),
        (STUDY, "seeds: [0, 1]", "seeds: []", ["seeds"]),
        (
            STUDY,
            "reference: resnet,",
            "reference: vgg,",
            ["comparisons.0", "there is no arm 'vgg'"],
        ),
        (STUDY, "title:", "title: twice\ntitle:", ["'title' is given twice"]),
        (STUDY, "title:", "titel:", ["titel", "Did you mean 'title'?"]),
        (
            STUDY,
            "backbone: tiny_resnet}",
            "backbone: tiny_resnet, initialisation: pretrained}",
            ["arms.resnet.initialisation", "needs a weights file"],
        ),
        (
            STUDY,
            "backbone: tiny_resnet}",
            "backbone: tiny_resnet, initialisation: {arm: nobody}}",
            ["there is no arm 'nobody'"],
        ),
        (
            STUDY,
            "backbone: tiny_resnet}",
            "backbone: tiny_resnet, initialisation: {arm: resnet}}",
            ["start from each other", "resnet -> resnet"],
        ),
        ("datasets/twins.yaml", "adapter: cmmd", "adapter: cmd", ["cmmd.adapter", "'cbis_ddsm'"]),
        ("datasets/twins.yaml", "licence: synthetic", "root: x", ["cbis_ddsm", "required"]),
        (
            "datasets/twins.yaml",
            "adapter: mias",
            "adapter: csv\n  csv: {table: labels.dat, columns: {path: a, patient_id: b, label: c},"
            " label_values: {}}",
            ["mias.csv.table", "'labels.dat' must end in .csv, .tsv, .txt or .xlsx"],
        ),
        (
            "datasets/twins.yaml",
            "{lesion_contrast: 2.2}",
            "{malignant: 0.7, benign: 0.4}",
            ["cbis_ddsm.twin.population", "malignant 0.7 and benign 0.4", "1 at most"],
        ),
        ("backbones.yaml", "channels: 1", "channels: 3", ["mobilenetv2", "3 values"]),
        ("config.yaml", "archives: archives", "archive: archives", ["'archives'", "--configfile"]),
    ],
)
def test_a_wrong_value_is_named_with_file_key_and_what_is_allowed(
    folder: Path, file: str, old: str, new: str, said: list[str]
) -> None:
    path = folder / "config" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        _load(folder)
    message = str(caught.value)
    assert Path(file).name in message
    for part in said:
        assert part in message


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "config" / STUDY).unlink()
    with pytest.raises(ConfigurationError, match=r"cross_sensor_miniature\.yaml: there is no such"):
        _load(folder)


def test_yaml_cannot_build_objects(folder: Path) -> None:
    path = folder / "config" / STUDY
    path.write_text("title: !!python/object/apply:os.system ['true']\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        _load(folder)


def test_schemas_are_in_step_with_the_models() -> None:
    for name, text in schema_texts().items():
        written = (ROOT / "workflow" / "schemas" / name).read_text(encoding="utf-8")
        assert written == text, f"{name} is out of date: run `make schemas`"


def test_loading_imports_neither_torch_nor_pandas(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from mammoshift.configuration.load import load_project, read_yaml;"
        "load_project(read_yaml(Path('config/config.yaml')), Path());"
        "print(sorted({'torch', 'pandas', 'numpy', 'pydicom', 'pulp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["paper", "demo"])
def test_images_of_inbreast_whose_bits_are_not_filled_are_spread_in_every_study(name: str) -> None:
    project = _load(ROOT, name)
    found = {
        (study, project.of_dataset("inbreast", recipe).tone)
        for study, resolved in project.studies.items()
        for arm in resolved.arms
        for domain in resolved.judged_on(arm)
        if "inbreast" in resolved.domains[domain].datasets
        and (recipe := project.recipe(study, arm, domain)) is not None
    }
    assert len(found) == 2
    assert {tone for _, tone in found} == {"image_range"}
