"""Which parameters learn, at which rates, and what a stage leaves as it was."""

from __future__ import annotations

import pytest
import torch

from mammoshift.configuration.model import Backbone, Head
from mammoshift.configuration.training import Stage
from mammoshift.errors import ConfigurationError
from mammoshift.models.classifier import Classifier, build_classifier
from mammoshift.training.learning import learning_parameters, parameter_groups, prepare_stage

TINY = Backbone(architecture="test_resnet", channels=1, mean=(0.25,), std=(0.25,))


def tiny(head: Head | None = None) -> Classifier:
    torch.manual_seed(0)
    return build_classifier(TINY, (128, 128), head=head)


def stage(**settings: object) -> Stage:
    return Stage.model_validate({"epochs": 1, "lr": 1.0, **settings})


def modules(model: Classifier, **settings: object) -> set[str]:
    """Return the modules whose parameters learn."""
    return {n.rpartition(".")[0] for n in learning_parameters(model, stage(**settings))}


def test_the_last_blocks_learn_beside_the_head() -> None:
    model = tiny()
    blocks = [n for n, _ in model.features.named_children() if n.startswith("layer")]
    found = {n.split(".")[1] for n in modules(model, train="head", last_blocks=1) if "." in n}
    assert found == {blocks[-1]}
    assert modules(model, train="head") == {"head"}
    everything = {n for n, _ in model.named_parameters()}
    assert learning_parameters(model, stage()) == everything
    with pytest.raises(ConfigurationError, match=r"has \d+ blocks, not 99"):
        learning_parameters(model, stage(train="head", last_blocks=99))


def test_named_parts_are_frozen_and_unfrozen() -> None:
    model = tiny(Head(kind="end2end_512x1", outputs=2))
    one = modules(model, train="head", freeze=["head.convolution1", "head.normalisation1"])
    assert one == {"head.convolution2", "head.normalisation2", "head.output"}
    more = modules(model, train="head", unfreeze=["features.layer4.*.conv?"])
    assert {n for n in more if n.startswith("features")} >= {"features.layer4.0.conv1"}
    with pytest.raises(ConfigurationError, match=r"no such part; its parts are features\.conv1"):
        learning_parameters(model, stage(freeze=["head.convolution3"]))
    with pytest.raises(ConfigurationError, match="freezes everything"):
        learning_parameters(model, stage(freeze=["features", "head"]))


def test_configurations_one_and_two_of_the_thesis_as_coded_train_the_same() -> None:
    model = tiny(Head(kind="end2end_512x1", outputs=2))
    coded = {"train": "head", "batch_norm": "frozen", "freeze": ["head.convolution1"]}
    layers_from_7 = modules(model, **coded)
    assert layers_from_7 == {"head.convolution2", "head.output"}
    printed = modules(model, train="head")
    assert printed - layers_from_7 >= {"head.convolution1", "head.normalisation2"}


@pytest.mark.parametrize(
    ("settings", "statistics", "weights"),
    [
        ({}, True, True),
        ({"batch_norm": "frozen_statistics"}, False, True),
        ({"batch_norm": "frozen"}, False, False),
        ({"freeze": ["features.conv1", "features.bn1"]}, False, False),
    ],
)
def test_batch_normalisation_is_frozen_in_statistics_and_weights(
    settings: dict[str, object], statistics: bool, weights: bool
) -> None:
    model = tiny()
    name = "features.bn1" if "freeze" in settings else "features.layer1.0.bn1"
    before = {n: t.clone() for n, t in model.state_dict().items()}
    prepare_stage(model, stage(**settings))
    model.train()
    model(torch.rand(4, 1, 128, 128)).logit.sum().backward()
    found = model.state_dict()
    assert (not torch.equal(found[f"{name}.running_mean"], before[f"{name}.running_mean"])) == (
        statistics
    )
    assert (model.get_parameter(f"{name}.weight").grad is not None) == weights
    prepare_stage(model, stage())
    model.train()
    assert model.get_submodule(name).training


def test_rates_fall_from_the_head_to_the_input_and_kernels_alone_decay() -> None:
    model = tiny()
    settings = stage(layer_decay=0.5, features_lr=0.1, weight_decay=0.3, weight_decay_on="kernels")
    prepare_stage(model, settings)
    names = {id(p): name for name, p in model.named_parameters()}
    groups = {
        names[id(p)]: (group["lr_scale"], group["weight_decay"])
        for group in parameter_groups(model, settings)
        for p in group["params"]
    }
    assert set(groups) == set(names.values())
    assert groups["head.weight"] == (1.0, 0.3)
    assert groups["head.bias"] == (1.0, 0.0)
    last, first = "features.layer4.0.conv1.weight", "features.conv1.0.weight"
    assert groups[last] == (pytest.approx(0.05), 0.3)
    assert groups[first][0] < groups["features.layer1.0.conv1.weight"][0] < groups[last][0]
    assert groups["features.layer1.0.bn1.weight"][1] == 0.0


def test_without_settings_that_tell_them_apart_all_parameters_are_one_group() -> None:
    model = tiny()
    prepare_stage(model, stage(train="head"))
    (group,) = parameter_groups(model, stage(train="head"))
    assert [tuple(p.shape) for p in group["params"]] == [
        tuple(p.shape) for p in model.head.parameters()
    ]
    assert group["lr_scale"] == 1.0
