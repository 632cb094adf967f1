"""ONNX: the same logits as PyTorch's, for each family of networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from mammoshift.application.export import export_onnx
from mammoshift.application.trained import Trained, open_models
from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError
from mammoshift.models.classifier import Classifier
from mammoshift.models.padding import StaticallyPaddedConv
from models_on_disk import reading_of, write_toy, write_toy_card

CPU = torch.device("cpu")
# Odd, so that TensorFlow's paddings are not the same on both sides.
SIZE = (67, 50)


def network_of(architecture: str, **others: object) -> Backbone:
    record = {"architecture": architecture, "channels": 1, "mean": (0.3,), "std": (0.2,)}
    return Backbone.model_validate(record | others)


def opened(folder: Path, architecture: str, size: tuple[int, int], **others: object) -> Trained:
    write_toy(folder, backbone=network_of(architecture, **others), size=size, seed=3)
    return open_models([folder], CPU).models[0]


def check_parity(model: Trained, path: Path, size: tuple[int, int]) -> None:
    """Compare an exported file with the classifier on images of several brightnesses at once."""
    levels = np.linspace(0.2, 1.0, 5, dtype=np.float32)[:, None, None, None]
    images = levels * np.random.default_rng(1).random((5, 1, *size), dtype=np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(["logit"], {"images": images})[0]
    with torch.inference_mode():
        own = model.classifier(torch.from_numpy(images)).logit.numpy()
    assert found.shape == (5,)
    np.testing.assert_allclose(found, own, atol=1e-5, rtol=1e-4)
    assert np.ptp(own) > 1e-3 * np.abs(own).max()


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    """A network with a card and a density head, and what it was exported to."""
    folder = tmp_path_factory.mktemp("resnet")
    write_toy(folder, backbone=network_of("test_resnet"), size=SIZE, density_head=True)
    write_toy_card(folder, [reading_of(threshold=0.25)])
    model = open_models([folder], CPU).models[0]
    done = export_onnx(model, folder / "model.onnx")
    assert done.largest_difference <= 2e-5
    return model, done.path


def test_a_small_network_gives_the_same_logits(resnet: tuple[Trained, Path]) -> None:
    check_parity(*resnet, SIZE)


def test_flips_stay_finite_where_a_network_is_sure(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_toy(folder, backbone=network_of("test_resnet"), size=SIZE)
    model = open_models([folder], CPU).models[0]
    with torch.no_grad():
        model.classifier.head.bias -= 200.0  # pyright: ignore
    model.classifier.flips = "left_right"
    assert export_onnx(model, tmp_path / "model.onnx").largest_difference < 1e-5


@pytest.mark.parametrize(
    ("architecture", "size"), [("test_efficientnet", SIZE), ("test_vit", (160, 160))]
)
def test_every_family_gives_the_same_logits(
    tmp_path: Path, architecture: str, size: tuple[int, int]
) -> None:
    model = opened(tmp_path / "toy", architecture, size)
    assert export_onnx(model, tmp_path / "m.onnx").largest_difference <= 2e-5
    check_parity(model, tmp_path / "m.onnx", size)


class _Padded(nn.Sequential):
    """A convolution padded as TensorFlow's SAME is, and one by paddings of another size."""

    num_features = 4

    def __init__(self) -> None:
        strided = nn.Conv2d(4, 4, 5, stride=2)
        super().__init__(
            Conv2dSame(1, 4, 3, stride=2),
            nn.SiLU(),
            StaticallyPaddedConv(strided, (1, 2, 1, 2)),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


def test_both_paddings_of_efficientnets_are_exported(
    resnet: tuple[Trained, Path], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    padded = Classifier(_Padded(), network_of("test_resnet"), False, SIZE).eval()
    model = Trained(tmp_path, padded, resnet[0].record, None)
    assert export_onnx(model, tmp_path / "m.onnx").largest_difference <= 2e-5
    check_parity(model, tmp_path / "m.onnx", SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
def test_an_efficientnet_of_the_papers_is_exported(tmp_path: Path, static: bool) -> None:
    model = opened(tmp_path / "toy", "tf_efficientnet_b0", SIZE, static_padding=static)
    for layer in model.classifier.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    # Without statistics of images the signal would die away in so many layers.
    model.classifier.train()(torch.rand((8, 1, *SIZE)))
    model.classifier.eval()
    assert export_onnx(model, tmp_path / "m.onnx").largest_difference <= 2e-5
    check_parity(model, tmp_path / "m.onnx", SIZE)


def test_record_and_card_travel_with_the_network(resnet: tuple[Trained, Path]) -> None:
    graph = onnx.load(resnet[1])
    texts = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(texts["card"])["readings"][0]["operating_points"][0]["threshold"] == 0.25
    assert json.loads(texts["record"])["backbone"]["architecture"] == "test_resnet"
    assert json.loads(texts["classes"]) == ["rest", "malignant"]


def test_an_export_that_gives_other_logits_is_not_written(
    resnet: tuple[Trained, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_toy(tmp_path / "other", backbone=network_of("test_resnet"), size=SIZE, seed=9)
    other = open_models([tmp_path / "other"], CPU).models[0]
    exported = SimpleNamespace(model_proto=onnx.load(resnet[1]))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: exported)
    with pytest.raises(ConfigurationError, match="not written: the exported network's logits"):
        export_onnx(other, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_network_that_cannot_be_exported_is_named(
    resnet: tuple[Trained, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("an operator is unknown\nand more")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(ConfigurationError, match=r"test_resnet cannot be exported .*unknown$"):
        export_onnx(resnet[0], tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_a_package_that_is_absent_is_named_with_what_to_do(
    resnet: tuple[Trained, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ConfigurationError, match=rf"needs the package {name}, .*pip install onnx onnxscript"
    ):
        export_onnx(resnet[0], tmp_path / "m.onnx")
