"""Backbones in training, and at other sizes, as the implementations that they come from."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm

from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.models.architectures import create_features
from mammoshift.models.positions import resample_positions
from mammoshift.weights.key_maps import IMAGE_ENCODER, from_mammo_clip

THREE = {"mean": (0.3,) * 3, "std": (0.25,) * 3}


def test_drop_path_and_momentum_reach_the_network() -> None:
    backbone = Backbone(
        architecture="tf_efficientnet_b0", **THREE, drop_path=0.2, batch_norm_momentum=0.01
    )
    features = create_features(backbone)
    assert {m.momentum for m in features.modules() if isinstance(m, _BatchNorm)} == {0.01}
    rates = [m.drop_prob for m in features.modules() if type(m).__name__ == "DropPath"]
    # The rate of a block is its number's share of the 16 blocks.
    assert max(rates) == pytest.approx(0.2 * 15 / 16)
    plain = create_features(Backbone(architecture="tf_efficientnet_b0", **THREE))
    assert plain.state_dict().keys() == features.state_dict().keys()


def test_settings_that_a_network_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no batch normalisation"):
        create_features(Backbone(architecture="test_vit", **THREE, batch_norm_momentum=0.01))
    backbone = Backbone(architecture="test_resnet", **THREE, position_resampling="facebook")
    state = create_features(backbone).state_dict()
    with pytest.raises(WeightsError, match="position_resampling is for Vision Transformers"):
        create_features(backbone, (64, 64), state)


@pytest.mark.parametrize("manner", ["huggingface", "facebook"])
def test_positions_follow_the_original_off_the_native_size(manner: str) -> None:
    backbone = Backbone(architecture="test_vit", **THREE, position_resampling=manner)
    torch.manual_seed(0)
    state = {name: t.clone() for name, t in create_features(backbone).state_dict().items()}
    state["pos_embed"] = torch.randn_like(state["pos_embed"])
    side = round((state["pos_embed"].shape[1] - 1) ** 0.5)
    grid = state["pos_embed"][:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if manner == "facebook":
        scale = ((4 + 0.1) / side, (6 + 0.1) / side)
        expected = interpolate(grid, scale_factor=scale, mode="bicubic")
    else:
        expected = interpolate(grid, size=(4, 6), mode="bicubic")
    found = create_features(backbone, (64, 96), state).state_dict()["pos_embed"]
    assert torch.allclose(found[0, 1:], expected[0].flatten(1).T, atol=1e-6)
    assert torch.equal(found[0, :1], state["pos_embed"][0, :1])
    timm = create_features(
        backbone.model_copy(update={"position_resampling": None}), (64, 96), state
    )
    assert (timm.state_dict()["pos_embed"] - found).abs().max() > 1e-2
    native = create_features(backbone, (side * 16, side * 16), state).state_dict()["pos_embed"]
    assert torch.equal(native, state["pos_embed"])


def test_positions_at_their_own_size_are_left_alone() -> None:
    positions = torch.randn(1, 1 + 12, 8)
    assert resample_positions(positions, (3, 4), (3, 4), "facebook") is positions


@pytest.mark.parametrize("size", [224, 160])
def test_mammo_clips_encoder_equals_its_reference_in_training_and_evaluation(size: int) -> None:
    """B0 stands for B5, which is the same code: outputs and running statistics after one batch."""
    reference_package = pytest.importorskip("efficientnet_pytorch")
    torch.manual_seed(1)
    theirs = reference_package.EfficientNet.from_name("efficientnet-b0")
    # Stochastic depth draws random numbers; off on both sides it leaves what is deterministic.
    theirs._global_params = theirs._global_params._replace(drop_connect_rate=0.0)
    state = {IMAGE_ENCODER + n: t for n, t in theirs.state_dict().items() if "_fc" not in n}
    backbone = Backbone(
        architecture="tf_efficientnet_b0", **THREE, static_padding=True, batch_norm_momentum=0.01
    )
    ours = create_features(backbone)
    ours.load_state_dict(
        from_mammo_clip({n: t.clone() for n, t in state.items()}, ours.state_dict()), strict=True
    )
    images = torch.randn(4, 3, size, size)
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        expected = theirs.extract_features(images).mean(dim=(2, 3))
        assert torch.allclose(ours(images), expected, atol=1e-4, rtol=1e-4)
    after = from_mammo_clip(
        {IMAGE_ENCODER + n: t for n, t in theirs.state_dict().items() if "_fc" not in n},
        ours.state_dict(),
    )
    for name, tensor in ours.state_dict().items():
        assert torch.allclose(tensor.float(), after[name].float(), atol=1e-4, rtol=1e-4), name
