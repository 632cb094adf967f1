from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from mammoshift.configuration.model import Backbone, Head
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.models.classifier import Classifier, build_classifier, mean_probability
from mammoshift.models.size import part_size

GREY = {"channels": 1, "mean": (0.3,), "std": (0.25,)}
TINY = Backbone(architecture="test_resnet", **GREY)
MOBILENET = Backbone(architecture="mobilenetv2_100", **GREY)


def numbers(classifier: Classifier) -> int:
    """Count the parameters and running statistics, as Keras does."""
    return sum(
        tensor.numel()
        for name, tensor in classifier.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )


@pytest.mark.parametrize(
    ("size", "expected"), [(200, 130_712_065), (144, 67_797_505), (100, 44_204_545)]
)
def test_mobilenet_of_the_mexbreast_study_has_its_published_size(size: int, expected: int) -> None:
    with torch.device("cpu"):
        model = build_classifier(MOBILENET, (size, size), head=Head(kind="flatten_dense"))
    assert numbers(model) == expected


def test_the_parts_of_a_record_are_counted_as_table_7_does() -> None:
    record = {
        "arm": {"head": {"kind": "flatten_dense"}, "input": {"size": [144, 144]}},
        "backbone": MOBILENET.model_dump(mode="json"),
    }
    published = {
        "features": 2_257_408,
        "head.flatten": 0,
        "head.hidden": 65_538_048,
        "head.output": 2_049,
        "total": 67_797_505,
        "trainable": 67_763_393,
        "not_trainable": 34_112,
        "head.absent": None,
    }
    assert {part: part_size(record, part) for part in published} == published
    assert part_size({"arm": {"kind": "radiomics"}}, "total") is None


def test_end2end_has_the_published_size_less_one_of_two_outputs() -> None:
    backbone = Backbone(architecture="vgg16", mean=(0.2,) * 3, std=(1.0,) * 3)
    head = Head(kind="end2end_512x1")
    model = build_classifier(backbone, (128, 128), head=head)
    assert numbers(model) == 19_439_426 - 513
    with torch.inference_mode():
        assert model.eval()(torch.rand(2, 128, 128)).logit.shape == (2,)
    child = build_classifier(backbone, (160, 128), state=model.state_dict(), head=head)
    assert all(torch.equal(t, child.state_dict()[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("kind", ["linear", "mlp", "flatten_dense", "end2end_512x1"])
def test_every_head_trains_with_its_dropout_and_a_density_head(kind: str) -> None:
    torch.manual_seed(0)
    size = (160, 128)
    model = build_classifier(TINY, size, density_head=True, head=Head(kind=kind))
    output = model(torch.rand(3, *size))
    assert output.logit.shape == (3,)
    assert output.density is not None
    assert output.density.shape == (3, 4)
    (output.logit.sum() + output.density.sum()).backward()
    assert all(p.grad is not None for p in model.head.parameters())
    model.set_dropout(0.5)
    image = torch.rand(3, *size)
    model.features.eval()
    assert not torch.equal(model(image).logit, model(image).logit)
    model.eval()
    assert torch.equal(model(image).logit, model(image).logit)


def test_no_head_is_the_linear_head_by_the_same_names() -> None:
    plain, named = (build_classifier(TINY, (64, 64), head=h) for h in (None, Head()))
    assert plain.state_dict().keys() == named.state_dict().keys()
    assert "head.weight" in plain.state_dict()


def test_a_head_that_is_bound_to_a_size_is_left_behind_or_named() -> None:
    head = Head(kind="flatten_dense", units=16)
    state = build_classifier(TINY, (160, 128), head=head).state_dict()
    features = {name: t for name, t in state.items() if name.startswith("features.")}
    moved = build_classifier(TINY, (96, 96), state=features, head=head).state_dict()
    assert all(torch.equal(moved[name], t) for name, t in features.items())
    with pytest.raises(WeightsError, match=r"layer head: hidden\.weight is .*part: features"):
        build_classifier(TINY, (96, 96), state=state, head=head)


def test_heads_that_cannot_be_are_refused() -> None:
    vit = Backbone(architecture="test_vit", **GREY)
    with pytest.raises(ConfigurationError, match="gives no feature map"):
        build_classifier(vit, (64, 64), head=Head(kind="flatten_dense"))
    with pytest.raises(ConfigurationError, match="halves the feature map"):
        build_classifier(TINY, (32, 32), head=Head(kind="end2end_512x1"))
    dct = Backbone(architecture="csatv2", **GREY)
    with pytest.raises(ConfigurationError, match=r"csatv2: does not take images of \[96, 96\]"):
        build_classifier(dct, (96, 96), head=Head(kind="flatten_dense"))
    with pytest.raises(ValidationError, match="units are for"):
        Head(kind="linear", units=3)


def test_a_pyramid_of_patches_takes_what_is_no_square() -> None:
    pyramid = build_classifier(Backbone(architecture="pvt_v2_b0", **GREY), (512, 448)).eval()
    with torch.inference_mode():
        assert pyramid(torch.rand(1, 512, 448)).logit.shape == (1,)


def test_two_outputs_have_the_published_size_and_end_in_their_difference() -> None:
    backbone = Backbone(architecture="vgg16", mean=(0.2,) * 3, std=(1.0,) * 3)
    model = build_classifier(backbone, (128, 128), head=Head(kind="end2end_512x1", outputs=2))
    assert numbers(model) == 19_439_426
    for kind in ("linear", "mlp", "flatten_dense"):
        tiny = build_classifier(TINY, (64, 64), head=Head(kind=kind, outputs=2)).eval()
        image = torch.rand(2, 64, 64)
        outputs: list[torch.Tensor] = []
        tiny.head.register_forward_hook(lambda _m, _i, out, kept=outputs: kept.append(out))
        logit = tiny(image).logit
        assert torch.equal(logit, outputs[0][:, 1] - outputs[0][:, 0])


def test_flips_at_test_time_average_probabilities() -> None:
    model = build_classifier(TINY, (64, 64)).eval()
    image = torch.rand(2, 1, 64, 64)
    flips = [image, image.flip(3), image.flip(2), image.flip(2, 3)]
    expected = torch.stack([model(i).logit.sigmoid() for i in flips]).mean(dim=0)
    model.flips = "both"
    found = model(image).logit
    assert torch.allclose(found.sigmoid(), expected, atol=1e-6)
    assert torch.allclose(model(image.flip(3)).logit, found, atol=1e-5)
    far = torch.tensor([[80.0, -90.0], [100.0, -85.0]])
    assert torch.isfinite(mean_probability(far)).all()
