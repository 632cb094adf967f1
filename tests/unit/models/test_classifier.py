from __future__ import annotations

import pytest
import torch

from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.models.classifier import Classifier, build_classifier, unit_intensities


def classifier(channels: int = 3, density: bool = False, **changes: object) -> Classifier:
    values = {
        "architecture": "test_resnet",
        "channels": channels,
        "mean": (0.4, 0.5, 0.6)[:channels],
        "std": (0.1, 0.2, 0.25)[:channels],
    }
    torch.manual_seed(0)
    backbone = Backbone.model_validate({**values, **changes})
    return build_classifier(backbone, (32, 32), density).eval()


def test_sixteen_bit_pixels_and_unit_intensities_are_the_same_image() -> None:
    pixels = torch.arange(2 * 32 * 32).reshape(2, 32, 32).to(torch.uint16)
    unit = pixels.to(torch.float32) / 65535
    model = classifier()
    assert torch.allclose(model.normalise(pixels), model.normalise(unit[:, None]), atol=1e-6)
    assert unit_intensities(torch.full((1, 2, 2), 65535, dtype=torch.uint16)).max() == 1


def test_grey_is_repeated_and_each_channel_normalised() -> None:
    out = classifier().normalise(torch.full((1, 32, 32), 0.5))
    assert out.shape == (1, 3, 32, 32)
    assert out[0, :, 0, 0].tolist() == pytest.approx([1.0, 0.0, -0.4], abs=1e-6)


def test_per_image_range_ignores_brightness_and_survives_blank_images() -> None:
    model = classifier(per_image_range=True)
    image = torch.rand(1, 1, 32, 32)
    assert torch.allclose(model.normalise(image), model.normalise(0.3 * image + 0.2), atol=1e-4)
    blank = model.normalise(torch.full((1, 1, 32, 32), 0.7))
    assert torch.allclose(blank[0, :, 0, 0], torch.tensor([-4.0, -2.5, -2.4]))


def test_frozen_features_keep_weights_and_running_statistics() -> None:
    model = classifier(density=True)
    model.features.requires_grad_(False)
    model.keep_still()
    model.train()
    before = {name: tensor.clone() for name, tensor in model.features.state_dict().items()}
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained == ["head.weight", "head.bias", "density_head.weight", "density_head.bias"]
    output = model(torch.rand(4, 1, 32, 32))
    (output.logit.sum() + output.density.sum()).backward()
    assert all(torch.equal(before[n], t) for n, t in model.features.state_dict().items())
    assert model.dropout.training
    model.features.requires_grad_(True)
    model.keep_still()
    model.train()
    model(torch.rand(4, 1, 32, 32))
    assert any(not torch.equal(before[n], t) for n, t in model.features.state_dict().items())


def test_output_shapes() -> None:
    logit, density = classifier(density=True)(torch.rand(3, 32, 32))
    assert logit.shape == (3,)
    assert density.shape == (3, 4)
    assert classifier(1)(torch.rand(3, 32, 32)).density is None


def test_start_from_another_model_takes_over_every_tensor() -> None:
    state = classifier(density=True).state_dict()
    torch.manual_seed(9)
    backbone = Backbone(architecture="test_resnet", mean=(0.5,) * 3, std=(0.2,) * 3)
    other = build_classifier(backbone, (64, 32), True, state).state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)
    with pytest.raises(WeightsError, match="head"):
        build_classifier(backbone, (64, 32), True, {**state, "head.bias": torch.ones(2)})


def test_normalisation_is_not_among_the_weights() -> None:
    assert not {"mean", "scale"} & set(classifier().state_dict())


def test_overlapping_patches_do_not_bind_the_size() -> None:
    backbone = Backbone(architecture="pvt_v2_b1", mean=(0.5,) * 3, std=(0.2,) * 3)
    assert build_classifier(backbone, (512, 448)).features.num_features


@pytest.mark.parametrize(
    ("architecture", "size", "channels"),
    [("csatv2", (300, 200), 3), ("csatv2", (64, 64), 1), ("crossvit_9_240", (256, 192), 3)],
)
@pytest.mark.filterwarnings("ignore:CSATv2 is designed for")
def test_images_that_a_network_does_not_take_are_refused_in_words(
    architecture: str, size: tuple[int, int], channels: int
) -> None:
    backbone = Backbone(
        architecture=architecture,
        channels=channels,
        mean=(0.5,) * channels,
        std=(0.2,) * channels,
    )
    model = build_classifier(backbone, size)
    with pytest.raises(ConfigurationError, match=f"{architecture}: does not take images of"):
        model(torch.rand(1, *size))


def test_another_failure_stays_what_it_is() -> None:
    model = classifier()
    model.features.conv1.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        model(torch.rand(1, 32, 32))


def fail(_module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
    if not inputs[0].is_meta:
        raise RuntimeError("out of memory")
