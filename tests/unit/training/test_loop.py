from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate

from mammoshift.configuration.model import Backbone, Head, Normalisation, WeightsFile
from mammoshift.configuration.training import Loss
from mammoshift.errors import ConfigurationError, TrainingError, WeightsError
from mammoshift.execution.interruption import TrainingInterrupted
from mammoshift.models.architectures import reference_state
from mammoshift.models.saved_model import read_record, read_state, write_model
from mammoshift.training import checkpoint, loop
from mammoshift.training.artefacts import write_artefacts
from mammoshift.training.checkpoint import EVENTS, find_checkpoint, save_checkpoint
from mammoshift.training.loop import train_arm
from mammoshift.training.request import Cases, Execution, TrainingRequest
from mammoshift.training.start import current_versions
from mammoshift.training.step import Stepper

sys.path.append(str(Path(__file__).parent))

from toy_training import BACKBONE, TRAIN, VALIDATION, ToyImages, cases, model_bytes, request_for

TWO_STAGES = [
    {"train": "head", "epochs": 1, "lr": 1e-2, "optimiser": "adam"},
    {"train": "all", "epochs": 2, "lr": 2e-3, "optimiser": "sgd", "dropout": 0.3},
]


def events(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "run" / EVENTS).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_learns_what_can_be_learnt(tmp_path: Path) -> None:
    stages = [{"epochs": 6, "lr": 3e-3}]
    result = train_arm(request_for(tmp_path, stages=stages))
    assert result.selected_validation_auc > 0.9
    assert len(result.history) == 6
    assert result.history[-1].train_loss < result.history[0].train_loss


def test_equal_requests_give_equal_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    found = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        request = replace(request_for(tmp_path / name), seed=seed)
        found.append(model_bytes(tmp_path / name, request, train_arm(request))[0])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_torch_is_left_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    handler = signal.getsignal(signal.SIGTERM)
    train_arm(request_for(tmp_path, stages=[{"epochs": 1, "lr": 1e-3}]))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(
    ("number", "stages"),
    [
        (1, None),
        (TRAIN + 3, None),
        (TRAIN + VALIDATION + 11, None),
        (TRAIN + VALIDATION + 11, TWO_STAGES),
        (2 * (TRAIN + VALIDATION) - 2, TWO_STAGES),
    ],
    ids=["first step", "validation", "mid-epoch", "mid-epoch of stage 2", "validation of stage 2"],
)
@pytest.mark.parametrize("readers", [0, 2])
def test_interrupted_training_ends_bit_identical(
    tmp_path: Path, number: int, stages: list[dict[str, object]] | None, readers: int
) -> None:
    options = {"stages": stages} if stages else {}
    loss = {"name": "density_aware_focal", "auxiliary_weight": 0.3}
    whole = request_for(tmp_path / "whole", loss=loss, **options)
    expected = model_bytes(tmp_path / "whole", whole, train_arm(whole))

    def terminate(reads: int) -> None:
        if reads == number:
            os.kill(os.getpid(), signal.SIGTERM)

    broken = request_for(tmp_path / "broken", loss=loss, **options)
    broken = replace(broken, execution=replace(broken.execution, readers=readers))
    with pytest.raises(TrainingInterrupted, match="goes on from there") as caught:
        train_arm(replace(broken, pixels=ToyImages(before_read=terminate)))
    assert caught.value.exit_code == 143
    result = train_arm(broken)
    assert model_bytes(tmp_path / "broken", broken, result) == expected
    assert [e["event"] for e in events(tmp_path / "broken")] == [
        "started",
        "interrupted",
        "resumed",
        "finished",
    ]
    assert result.resumed_from_step == events(tmp_path / "broken")[1]["step"]
    assert [r.epoch for r in result.history] == [1, 2, 3]


@dataclass
class TerminatingOnce(ToyImages):
    """Asks the process to end when the first training image is read."""

    asked: bool = False

    def read(self, image_id: str) -> np.ndarray:
        if not self.asked and int(image_id.removeprefix("toy-")) < TRAIN:
            self.asked = True
            signal.raise_signal(signal.SIGTERM)
        return super().read(image_id)


def test_every_step_can_be_the_last_before_a_restart(tmp_path: Path) -> None:
    options = {"stages": TWO_STAGES, "batch_size": TRAIN // 2}
    whole = request_for(tmp_path / "whole", **options)
    expected = model_bytes(tmp_path / "whole", whole, train_arm(whole))
    broken = request_for(tmp_path / "broken", **options)
    for step in range(1, 7):
        with pytest.raises(TrainingInterrupted):
            train_arm(replace(broken, pixels=TerminatingOnce()))
        assert events(tmp_path / "broken")[-1]["step"] == step
    result = train_arm(broken)
    assert model_bytes(tmp_path / "broken", broken, result) == expected


EVERY_STEP = {"checkpoint_minutes": 1e-9}


def test_crash_goes_on_from_the_last_checkpoint(tmp_path: Path) -> None:
    def crash(reads: int) -> None:
        if reads == TRAIN + VALIDATION + 20:
            raise OSError("the disk is gone")

    whole = request_for(tmp_path / "whole", **EVERY_STEP)
    expected = model_bytes(tmp_path / "whole", whole, train_arm(whole))
    request = request_for(tmp_path / "broken", **EVERY_STEP)
    with pytest.raises(OSError, match="disk"):
        train_arm(replace(request, pixels=ToyImages(before_read=crash)))
    result = train_arm(request)
    assert result.resumed_from_step == TRAIN // 8 + 2
    assert model_bytes(tmp_path / "broken", request, result) == expected


def crashed(tmp_path: Path) -> TrainingRequest:
    def crash(reads: int) -> None:
        if reads == 2 * (TRAIN + VALIDATION) + 5:
            raise OSError("the disk is gone")

    request = request_for(tmp_path, **EVERY_STEP)
    with pytest.raises(OSError, match="disk"):
        train_arm(replace(request, pixels=ToyImages(before_read=crash)))
    return request


@pytest.mark.parametrize("kind", ["checkpoint", "model"])
def test_damage_falls_back_to_the_checkpoint_before(tmp_path: Path, kind: str) -> None:
    whole = request_for(tmp_path / "whole", **EVERY_STEP)
    expected = model_bytes(tmp_path / "whole", whole, train_arm(whole))
    request = crashed(tmp_path)
    older, newer = sorted((tmp_path / "run").glob("checkpoint-*.pt"))
    damaged = newer if kind == "checkpoint" else selected_by(newer)
    other = kind == "checkpoint" or selected_by(older) != damaged
    damaged.write_bytes(damaged.read_bytes()[:-100])
    lines: list[str] = []
    result = train_arm(request, lines.append)
    assert any("is damaged" in line for line in lines)
    assert result.resumed_from_step == (int(older.name.split("-")[1]) if other else None)
    assert model_bytes(tmp_path, request, result) == expected


def selected_by(path: Path) -> Path:
    return path.with_name(torch.load(path)["state"]["models"]["selected"])


def test_the_selected_model_is_written_once_and_the_rest_by_time(tmp_path: Path) -> None:
    written: list[str] = []

    def look(_reads: int) -> None:
        written.extend(path.name for path in (tmp_path / "run").glob("*.pt"))

    images = ToyImages(before_read=look)
    stages = [{"epochs": 4, "lr": 1e-9}]
    request = request_for(tmp_path, stages=stages, select="best_validation_loss", **EVERY_STEP)
    result = train_arm(replace(request, pixels=images))
    losses = [record.validation_loss for record in result.history]
    bests = {min(losses[: number + 1]) for number in range(3)}
    assert len({name for name in written if name.startswith("model")}) == len(bests)
    assert len({name for name in written if name.startswith("checkpoint")}) > 4
    written.clear()
    seldom = request_for(tmp_path / "seldom", stages=stages)
    train_arm(seldom)
    assert not list((tmp_path / "seldom" / "run").glob("*.pt"))


def test_a_checkpoint_that_cannot_be_written_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save_checkpoint", fail)
    with pytest.raises(OSError, match="no space left"):
        train_arm(request_for(tmp_path, **EVERY_STEP))


def test_of_two_checkpoints_of_one_step_the_later_counts(tmp_path: Path) -> None:
    for attempt in range(8):
        folder = tmp_path / str(attempt)
        for number in range(3):
            path = save_checkpoint(folder, "key", 5, {"number": [attempt, number]})
            # Set back, since the clock of a file system may be coarse.
            os.utime(path, ns=(0, 10**9 + number))
            found = find_checkpoint(folder, "key").state
            assert found == {"number": [attempt, number]}
        assert len(list(folder.glob("checkpoint-*.pt"))) == 2


def test_no_usable_checkpoint_means_a_clean_start(tmp_path: Path) -> None:
    request = crashed(tmp_path)
    for path in (tmp_path / "run").glob("checkpoint-*.pt"):
        path.write_bytes(b"nothing")
    result = train_arm(request)
    assert result.resumed_from_step is None
    names = [e["event"] for e in events(tmp_path)]
    assert names == ["started", "rejected", "rejected", "started", "finished"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 7},
        {"data_key": "other"},
        {"training": cases(2, TRAIN)},
        {"validation": cases(2, TRAIN)},
        {"arm": {"loss": Loss(name="focal")}},
        {"backbone": {"per_image_range": True}},
    ],
)
def test_key_tells_requests_apart(tmp_path: Path, change: dict[str, object]) -> None:
    request = request_for(tmp_path)
    changed = {
        name: getattr(request, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in change.items()
    }
    versions = current_versions()
    assert request.key(None, versions) == request_for(tmp_path).key(None, versions)
    assert request.key(None, versions) != replace(request, **changed).key(None, versions)
    assert request.key(None, versions) != request.key("0" * 64, versions)


def test_checkpoint_of_another_request_is_passed_over(tmp_path: Path) -> None:
    request = crashed(tmp_path)
    lines: list[str] = []
    result = train_arm(replace(request, data_key="other"), lines.append)
    assert result.resumed_from_step is None
    assert sum("belongs to other data" in line for line in lines) == 2


def test_checkpoints_are_also_saved_within_an_epoch(tmp_path: Path) -> None:
    def crash(reads: int) -> None:
        if reads == 3 * 8 + 1:
            raise OSError("the disk is gone")

    request = request_for(tmp_path, checkpoint_minutes=1e-9)
    with pytest.raises(OSError, match="disk"):
        train_arm(replace(request, pixels=ToyImages(before_read=crash)))
    assert train_arm(request).resumed_from_step == 3


def test_readers_do_not_change_the_result(tmp_path: Path) -> None:
    alone = request_for(tmp_path / "alone", stages=[{"epochs": 2, "lr": 1e-3}])
    helped = replace(alone, execution=Execution(tmp_path / "helped" / "run", readers=3))
    one = model_bytes(tmp_path / "alone", alone, train_arm(alone))
    assert one == model_bytes(tmp_path / "helped", helped, train_arm(helped))


def test_head_stage_changes_the_head_only(tmp_path: Path) -> None:
    state = reference_state(Backbone(architecture="test_resnet", mean=(0,) * 3, std=(1,) * 3))
    save_file(state, tmp_path / "start.safetensors")
    stages = [{"train": "head", "epochs": 1, "lr": 1e-2}]
    request = request_for(
        tmp_path,
        start=tmp_path / "start.safetensors",
        initialisation="pretrained",
        stages=stages,
    )
    weights = WeightsFile(file="w", format="timm", licence="cc-by-nc-sa-4.0", source="group/model")
    request = replace(request, backbone=request.backbone.model_copy(update={"weights": weights}))
    result = train_arm(request)
    for name, tensor in state.items():
        if name != "conv1.0.weight":
            assert torch.equal(result.state[f"features.{name}"], tensor), name
    assert result.licence is not None
    assert result.licence.name == "cc-by-nc-sa-4.0"


def test_start_from_another_arm_inherits_weights_and_licence(tmp_path: Path) -> None:
    save_file(reference_state(BACKBONE), tmp_path / "start.safetensors")
    weights = WeightsFile(file="w", format="timm", licence="cc-by-nc-sa-4.0", source="group/model")
    parent = request_for(
        tmp_path / "parent",
        start=tmp_path / "start.safetensors",
        initialisation="pretrained",
        stages=[{"epochs": 1, "lr": 1e-3}],
    )
    parent = replace(parent, backbone=BACKBONE.model_copy(update={"weights": weights}))
    parent_result = train_arm(parent)
    write_artefacts(tmp_path / "parent" / "model", parent, parent_result)
    child = request_for(
        tmp_path / "child",
        start=tmp_path / "parent" / "model",
        initialisation={"arm": "parent"},
        stages=[{"train": "head", "epochs": 1, "lr": 1e-9}],
    )
    result = train_arm(child)
    assert torch.allclose(result.state["head.weight"], parent_result.state["head.weight"])
    name = "features.conv1.0.weight"
    assert torch.equal(result.state[name], parent_result.state[name])
    assert result.licence is not None
    assert result.licence.name == "cc-by-nc-sa-4.0"
    other = child.backbone.model_copy(update={"architecture": "test_efficientnet"})
    with pytest.raises(ConfigurationError, match="architecture"):
        train_arm(replace(child, backbone=other))


def test_without_stages_what_an_arm_starts_from_is_its_model(tmp_path: Path) -> None:
    parent = request_for(tmp_path / "parent")
    write_artefacts(tmp_path / "parent", parent, train_arm(parent))
    start = tmp_path / "parent" / "model.safetensors"
    request = request_for(
        tmp_path / "child", start=start.parent, initialisation={"arm": "toy"}, stages=[]
    )
    result = train_arm(request)
    assert result.history == ()
    assert result.selected_epoch == 0
    for name, tensor in read_state(start.parent).items():
        assert torch.equal(result.state[name], tensor), name


def test_start_from_an_arm_of_another_input_size_keeps_its_positions(tmp_path: Path) -> None:
    vit = BACKBONE.model_copy(update={"architecture": "test_vit"})
    stages = [{"train": "head", "epochs": 1, "lr": 1e-9}]
    # Eight by two patches are as many as four by four, but lie elsewhere.
    tall = of_size(replace(request_for(tmp_path / "tall", stages=stages), backbone=vit), (128, 32))
    write_artefacts(tmp_path / "tall" / "model", tall, train_arm(tall))
    square = request_for(
        tmp_path / "square",
        start=tmp_path / "tall" / "model",
        initialisation={"arm": "tall"},
        stages=stages,
    )
    square = of_size(replace(square, backbone=vit), (64, 64))
    theirs = read_state(tmp_path / "tall" / "model")["features.pos_embed"][0, 1:]
    ours = train_arm(square).state["features.pos_embed"][0, 1:]
    expected = interpolate(theirs.T.reshape(1, -1, 8, 2), (4, 4), mode="bicubic", antialias=True)
    assert torch.allclose(ours, expected[0].flatten(1).T, atol=1e-6)


def of_size(request: TrainingRequest, size: tuple[int, int]) -> TrainingRequest:
    recipe = request.arm.input.model_copy(update={"size": size})
    arm = request.arm.model_copy(update={"input": recipe})
    return replace(request, arm=arm, pixels=ToyImages(size=size))


def test_selection_takes_the_best_epoch_or_the_last(tmp_path: Path) -> None:
    best = train_arm(request_for(tmp_path / "best", stages=[{"epochs": 4, "lr": 3e-3}]))
    aucs = [record.validation_auc for record in best.history]
    assert best.selected_epoch == 1 + int(np.argmax(aucs))
    last = request_for(tmp_path / "last", stages=[{"epochs": 4, "lr": 3e-3}], select="last_epoch")
    assert train_arm(replace(last, validation=Cases.make([], []))).selected_epoch == 4


def test_loss_that_is_not_finite_says_where_and_what_to_try(tmp_path: Path) -> None:
    stages = [{"epochs": 2, "lr": 1e30, "optimiser": "sgd"}]
    with pytest.raises(
        TrainingError, match=r"epoch 1, step \d, at a learning rate of \d.*smaller lr"
    ):
        train_arm(request_for(tmp_path, stages=stages))


def test_bfloat16_trains(tmp_path: Path) -> None:
    stages = [{"epochs": 1, "lr": 1e-3}]
    result = train_arm(request_for(tmp_path, stages=stages, precision="bfloat16"))
    assert all(t.dtype == torch.float32 for n, t in result.state.items() if n.endswith("weight"))


def test_requests_without_use_are_refused(tmp_path: Path) -> None:
    request = request_for(tmp_path)
    one_class = Cases.make(["toy-1", "toy-3"], [1, 1])
    with pytest.raises(TrainingError, match="no training case has the label 0"):
        train_arm(replace(request, training=one_class))
    with pytest.raises(TrainingError, match="validation cases of both"):
        train_arm(replace(request, validation=one_class))
    with pytest.raises(ConfigurationError, match="no weights"):
        train_arm(replace(request, start=tmp_path))
    with pytest.raises(TrainingError, match="toy-2: the label is 3"):
        Cases.make(["toy-1", "toy-2"], [1, 3])


def test_image_of_another_size_is_named(tmp_path: Path) -> None:
    request = request_for(tmp_path)
    smaller = request.arm.model_copy(
        update={"input": request.arm.input.model_copy(update={"size": (32, 64)})}
    )
    with pytest.raises(ConfigurationError, match=r"image toy-\d+: the pixel store holds"):
        train_arm(replace(request, arm=smaller))


def test_artefacts_tell_what_was_trained_and_nothing_of_the_machine(tmp_path: Path) -> None:
    request = request_for(tmp_path, stages=[{"epochs": 2, "lr": 1e-3}])
    result = train_arm(request)
    write_artefacts(tmp_path / "model", request, result)
    record = read_record(tmp_path / "model")
    assert record.arm == request.arm
    assert record.backbone == request.backbone
    assert (record.training_cases, record.training_positives) == (TRAIN, TRAIN // 2)
    text = (tmp_path / "model" / "model.json").read_text()
    assert str(tmp_path) not in text
    assert os.uname().nodename not in text
    header, *rows = (tmp_path / "model" / "history.csv").read_text().splitlines()
    assert header.startswith("epoch,stage,train_loss,validation_loss,validation_auc,lr,")
    assert [row.split(",")[0] for row in rows] == ["1", "2"]


def parent_of(folder: Path, **changes: object) -> TrainingRequest:
    request = request_for(folder, stages=[{"epochs": 1, "lr": 1e-3}], **changes)
    write_artefacts(folder / "model", request, train_arm(request))
    return request


CHILD = {"stages": [{"train": "head", "epochs": 1, "lr": 1e-9}]}


def test_features_alone_leave_the_heads_behind(tmp_path: Path) -> None:
    loss = {"name": "density_aware_focal", "auxiliary_weight": 0.3}
    parent_of(tmp_path / "parent", loss=loss)
    theirs = read_state(tmp_path / "parent" / "model")
    start = tmp_path / "parent" / "model"
    found = {}
    for part in ("model", "features"):
        initialisation = {"arm": "parent", "part": part}
        child = request_for(tmp_path / part, start=start, initialisation=initialisation, **CHILD)
        found[part] = train_arm(replace(child, seed=9)).state
    name = "features.conv1.0.weight"
    assert all(torch.equal(state[name], theirs[name]) for state in found.values())
    assert torch.allclose(found["model"]["head.weight"], theirs["head.weight"], atol=1e-6)
    assert not torch.allclose(found["features"]["head.weight"], theirs["head.weight"], atol=1e-2)


def test_a_whole_model_whose_head_does_not_fit_is_an_error(tmp_path: Path) -> None:
    parent_of(tmp_path / "parent")
    start = tmp_path / "parent" / "model"
    state = read_state(start)
    widened = {**state, "head.weight": torch.cat([state["head.weight"]] * 2, dim=1)}
    write_model(start, widened, read_record(start))
    options = {"start": start, **CHILD}
    whole = request_for(tmp_path / "whole", initialisation={"arm": "parent"}, **options)
    with pytest.raises(WeightsError, match=r"layer head.*part: features"):
        train_arm(whole)
    part = {"arm": "parent", "part": "features"}
    assert train_arm(request_for(tmp_path / "part", initialisation=part, **options)).history


def test_a_child_may_have_its_own_normalisation(tmp_path: Path) -> None:
    parent_of(tmp_path / "parent")
    start = tmp_path / "parent" / "model"
    child = request_for(tmp_path / "child", start=start, initialisation={"arm": "p"}, **CHILD)
    same = train_arm(child)
    own = child.arm.model_copy(update={"normalisation": Normalisation(mean=(0.5,), std=(0.1,))})
    other = train_arm(replace(child, arm=own, execution=Execution(tmp_path / "other")))
    assert other.history[0].validation_loss != same.history[0].validation_loss


def test_threads_come_from_the_configuration_and_are_part_of_the_key(tmp_path: Path) -> None:
    seen: list[int] = []
    for threads in (None, 1, 2):
        request = request_for(tmp_path / str(threads), **CHILD, cpu_threads=threads)
        images = ToyImages(before_read=lambda _number: seen.append(torch.get_num_threads()))
        train_arm(replace(request, pixels=images))
    assert set(seen[: len(seen) // 3 * 2]) == {1}
    assert set(seen[len(seen) // 3 * 2 :]) == {2}
    keys = [
        request_for(tmp_path, cpu_threads=threads).key(None, current_versions())
        for threads in (None, 1, 2)
    ]
    assert len(set(keys)) == 3


def test_the_epoch_with_the_smallest_loss_can_be_kept(tmp_path: Path) -> None:
    stages = [{"epochs": 4, "lr": 3e-3}]
    result = train_arm(request_for(tmp_path, stages=stages, select="best_validation_loss"))
    losses = [record.validation_loss for record in result.history]
    assert result.selected_epoch == 1 + int(np.argmin(losses))


def test_features_move_to_another_size_and_leave_a_head_that_is_bound_to_one(
    tmp_path: Path,
) -> None:
    head = Head(kind="flatten_dense", units=8)
    parent = request_for(tmp_path / "parent", stages=[{"epochs": 1, "lr": 1e-3, "dropout": 0.2}])
    parent = replace(parent, arm=parent.arm.model_copy(update={"head": head}))
    result = train_arm(parent)
    write_artefacts(tmp_path / "parent" / "model", parent, result)
    part = {"arm": "parent", "part": "features"}
    start = tmp_path / "parent" / "model"
    child = request_for(tmp_path / "child", start=start, initialisation=part, **CHILD)
    child = of_size(child, (64, 32))
    found = train_arm(replace(child, arm=child.arm.model_copy(update={"head": head}))).state
    name = "features.conv1.0.weight"
    assert torch.equal(found[name], result.state[name])
    assert found["head.hidden.weight"].shape[1] == 2 * result.state["head.hidden.weight"].shape[1]


@pytest.mark.parametrize(
    ("owner", "name"), [(Stepper, "backward"), (Stepper, "update"), (loop, "validate")]
)
def test_a_batch_that_does_not_fit_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    def full(*_arguments: object, **_named: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(owner, name, full)
    with pytest.raises(ConfigurationError, match=r"a batch of 8 images of 32 x 32 .*batch_size"):
        train_arm(request_for(tmp_path))
