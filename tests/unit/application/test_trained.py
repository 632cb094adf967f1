"""Folders of models: what is taken for one, and what is said of what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mammoshift.application.trained import open_models, run_folders
from mammoshift.errors import ConfigurationError, MammoshiftError, WeightsError
from mammoshift.files import sha256_of_file
from mammoshift.provenance.keys import Made, write_made
from models_on_disk import reading_of, write_toy, write_toy_card

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that no test changes."""
    return write_toy(tmp_path_factory.mktemp("toy") / "arm" / "seed-0" / "fold-0")


def test_a_run_its_files_and_an_arm_are_taken(toy: Path, tmp_path: Path) -> None:
    for place in (toy, toy / "model.json", toy / "model.safetensors", toy.parent.parent):
        assert run_folders(place) == [toy]
    for name in ("seed-10/fold-0", "seed-2/fold-1", "seed-2/fold-0"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").touch()
    names = [str(folder.relative_to(tmp_path)) for folder in run_folders(tmp_path)]
    assert names == ["seed-2/fold-0", "seed-2/fold-1", "seed-10/fold-0"]
    with pytest.raises(WeightsError, match=r"no folder of a trained model: there is no model\.js"):
        run_folders(tmp_path / "absent")


def edited(toy: Path, folder: Path, change: Any) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((toy / "model.safetensors").read_bytes())
    content = json.loads((toy / "model.json").read_text())
    change(content)
    (folder / "model.json").write_text(json.dumps(content))
    return folder


def _newer(content: dict[str, Any]) -> None:
    content["versions"]["mammoshift"] = "99.1.0"
    content["arm"]["of_the_future"] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_newer, r"written by mammoshift 99\.1\.0, which is newer than this one \(.*\); update"),
        (
            lambda c: c["arm"].update(of_the_future=1),
            r"no record that this version of mammoshift reads: arm\.of_the_future: is not known",
        ),
        (lambda c: c.pop("backbone"), r"backbone: Field required"),
        (lambda c: c["arm"].update(kind="covariates"), "the kind 'covariates', which takes no im"),
        (lambda c: c.pop("arm"), "no record of a trained model: there is no arm in it"),
        (lambda c: c["backbone"].update(architecture="resnte50"), "did you mean"),
    ],
)
def test_a_record_that_cannot_be_used_is_refused_in_a_sentence(
    toy: Path, tmp_path: Path, change: Any, message: str
) -> None:
    with pytest.raises(MammoshiftError, match=message) as raised:
        open_models([edited(toy, tmp_path / "edited", change)], CPU)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"[" * 100_000])
def test_a_damaged_record_is_refused(toy: Path, tmp_path: Path, content: bytes) -> None:
    folder = edited(toy, tmp_path / "edited", lambda content: None)
    (folder / "model.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.json: is no"):
        open_models([folder], CPU)


def test_weights_that_are_absent_or_pickled_are_refused(toy: Path, tmp_path: Path) -> None:
    folder = edited(toy, tmp_path / "edited", lambda content: content.pop("weights_sha256"))
    (folder / "model.safetensors").write_bytes(b"\x80\x02cos\nsystem\n")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        open_models([folder], CPU)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"there is no model\.safetensors beside the record"):
        open_models([folder], CPU)


def test_a_card_of_other_weights_is_refused(tmp_path: Path) -> None:
    first, second = (write_toy(tmp_path / name, seed=s) for s, name in enumerate("ab"))
    write_toy_card(first)
    (second / "model_card.json").write_bytes((first / "model_card.json").read_bytes())
    assert open_models([first], CPU).reading == reading_of()
    with pytest.raises(WeightsError, match="the model card is of other weights"):
        open_models([second], CPU)


@pytest.mark.parametrize("name", ["model.json", "model_card.json"])
def test_what_was_changed_since_the_workflow_wrote_it_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_toy(tmp_path / "run")
    write_toy_card(folder)
    path = folder / name
    write_made(folder / "model.safetensors", {name: sha256_of_file(path)}, Made({}, 1.0))
    assert open_models([folder], CPU).models
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(WeightsError, match="is not as the workflow wrote it"):
        open_models([folder], CPU)


def test_models_of_other_images_are_not_averaged(toy: Path, tmp_path: Path) -> None:
    other = write_toy(tmp_path, size=(64, 32))
    with pytest.raises(ConfigurationError, match="has another input recipe than"):
        open_models([toy, other], CPU)


def test_a_model_of_patches_is_not_applied_to_whole_images(tmp_path: Path) -> None:
    write_toy(tmp_path)
    write_toy_card(tmp_path, [reading_of(unit="patch")])
    with pytest.raises(ConfigurationError, match="classifies patches of an image"):
        open_models([tmp_path], CPU)


def test_a_card_of_breasts_alone_calls_no_single_file(tmp_path: Path) -> None:
    write_toy(tmp_path)
    write_toy_card(tmp_path, [reading_of(unit="breast")])
    applied = open_models([tmp_path], CPU)
    assert applied.reading is None
    assert "reads logits of a breast alone" in applied.note
    write_toy_card(tmp_path, [reading_of(unit="breast"), reading_of(temperature=3.0)])
    applied = open_models([tmp_path], CPU)
    assert applied.reading is not None
    assert applied.reading.temperature == 3.0
