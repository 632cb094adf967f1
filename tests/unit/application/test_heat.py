"""Heat maps: where the evidence is, for networks with maps and with tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

from mammoshift.application import explanations
from mammoshift.application.attention import has_open_attention, token_relevance
from mammoshift.application.explanations import explain_files
from mammoshift.application.facts import KnownFacts
from mammoshift.application.heat import find_heat_source, heat_maps
from mammoshift.application.pictures import overlay
from mammoshift.application.scores import Scoring, score_files
from mammoshift.application.trained import open_models
from mammoshift.configuration.model import Backbone, Flips
from mammoshift.errors import ConfigurationError
from mammoshift.imaging.raster_header import png_header
from mammoshift.models.classifier import Classifier, build_classifier
from models_on_disk import write_images, write_toy

CPU = torch.device("cpu")
ONE = Backbone(architecture="test_resnet", channels=1, mean=(0.0,), std=(1.0,))


class _Blocks(nn.Module):
    """Means of 8 x 8 blocks as a map of two channels: brightness, and darkness."""

    num_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.blocks_of = nn.AvgPool2d(8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.both = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = self.blocks_of(images)
        return self.pool(self.both(torch.cat([means, 1.0 - means], dim=1))).flatten(1)


def blocks(bright: float, dark: float) -> Classifier:
    classifier = Classifier(_Blocks(), ONE, density_head=False, size=(32, 24)).eval()
    with torch.no_grad():
        classifier.head.weight[:] = torch.tensor([[bright, dark]])  # pyright: ignore
        classifier.head.bias[:] = 0.0  # pyright: ignore
    return classifier


def spotted(row: int, column: int) -> np.ndarray:
    array = np.zeros((32, 24), np.uint16)
    array[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 60000
    return array


@pytest.mark.parametrize("place", [(0, 0), (3, 1), (1, 2)])
def test_the_map_is_hot_where_the_evidence_is(place: tuple[int, int]) -> None:
    classifier = blocks(bright=3.0, dark=0.0)
    source = find_heat_source(classifier, (32, 24))
    heat, logits = heat_maps(classifier, source, [spotted(*place), np.zeros((32, 24), np.uint16)])
    hottest = np.unravel_index(np.argmax(heat[0]), heat[0].shape)
    assert (hottest[0] // 8, hottest[1] // 8) == place
    assert heat[0].max() == 1.0
    assert logits[0] == pytest.approx(3.0 * 60000 / 65535 / 12, rel=1e-6)
    # Nothing speaks for the class where nothing is bright.
    assert not heat[1].any()


@pytest.mark.parametrize("flips", ["left_right", "both"])
def test_the_map_of_flips_lies_on_the_image(flips: Flips) -> None:
    classifier = blocks(bright=3.0, dark=0.0)
    array = spotted(0, 2)
    source = find_heat_source(classifier, array.shape)
    plain = heat_maps(classifier, source, [array])[0]
    classifier.flips = flips
    heat, logits = heat_maps(classifier, source, [array])
    np.testing.assert_allclose(heat, plain, atol=1e-6)
    assert logits[0] == pytest.approx(3.0 * 60000 / 65535 / 12, rel=1e-5)
    assert classifier.flips == flips


def test_the_attention_of_flips_is_that_of_each_laid_back() -> None:
    classifier = vision_transformer("avg")
    array = (65535 * torch.rand(48, 32)).numpy().astype(np.uint16)
    source = find_heat_source(classifier, array.shape)
    with torch.no_grad():
        own, mirrored = (
            token_relevance(classifier, torch.from_numpy(a.copy())[None])[0, 1:].reshape(3, 2)
            for a in (array, array[:, ::-1])
        )
    classifier.flips = "left_right"
    heat = heat_maps(classifier, source, [array])[0][0]
    expected = (own + mirrored.flip(1)) / 2
    assert np.argmax(heat[8::16, 8::16]) == int(expected.argmax())


def test_what_speaks_against_the_class_is_cold() -> None:
    classifier = blocks(bright=-3.0, dark=0.0)
    heat, _ = heat_maps(classifier, find_heat_source(classifier, (32, 24)), [spotted(1, 1)])
    assert not heat.any()


@pytest.mark.parametrize(
    ("architecture", "size", "grid"),
    [
        ("test_resnet", (64, 48), None),
        ("test_efficientnet", (64, 48), None),
        ("test_convnext", (64, 48), None),
        ("test_vit", (160, 160), (10, 10)),
    ],
)
def test_every_family_of_networks_has_a_map(
    architecture: str, size: tuple[int, int], grid: tuple[int, int] | None
) -> None:
    backbone = ONE.model_copy(update={"architecture": architecture})
    torch.manual_seed(0)
    classifier = build_classifier(backbone, size).eval()
    source = find_heat_source(classifier, size)
    assert source.grid == grid
    generator = np.random.default_rng(0)
    arrays = [generator.integers(0, 65536, size).astype(np.uint16) for _ in range(2)]
    heat, logits = heat_maps(classifier, source, arrays)
    assert heat.shape == (2, *size)
    assert heat.min() >= 0.0
    assert heat.max() == 1.0
    with torch.inference_mode():
        own = classifier(torch.from_numpy(np.stack(arrays))).logit
    np.testing.assert_allclose(logits, own.numpy(), atol=1e-5)
    alone, _ = heat_maps(classifier, source, arrays[1:])
    np.testing.assert_allclose(heat[1], alone[0], atol=1e-3)


def test_tokens_lie_where_their_patches_are() -> None:
    """Gradient times activation by hand, token by token in the order of the rows."""
    torch.manual_seed(0)
    classifier = build_classifier(ONE.model_copy(update={"architecture": "test_vit"}), (160, 160))
    classifier.eval()
    source = replace(find_heat_source(classifier, (160, 160)), attention=False)
    array = np.random.default_rng(0).integers(0, 65536, (160, 160)).astype(np.uint16)
    kept: list[torch.Tensor] = []
    hook = source.layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    logit = classifier(torch.from_numpy(array)[None]).logit
    hook.remove()
    (gradient,) = torch.autograd.grad(logit.sum(), kept[0])
    tokens = (gradient * kept[0]).sum(dim=-1)[0, source.prefix :].detach().numpy()
    heat, _ = heat_maps(classifier, source, [array])
    centres = heat[0][8::16, 8::16] * max(tokens.max(), 0.0)
    hottest = np.unravel_index(np.argmax(tokens), (10, 10))
    assert source.prefix == 1
    assert tokens.shape == (100,)
    assert np.unravel_index(np.argmax(centres), centres.shape) == hottest


def vision_transformer(pooling: str) -> Classifier:
    torch.manual_seed(0)
    options = {"img_size": (48, 32), "patch_size": 16, "embed_dim": 24, "depth": 3, "num_heads": 2}
    features = timm.models.VisionTransformer(
        in_chans=1, num_classes=0, global_pool=pooling, **options
    )
    return Classifier(features, ONE, density_head=False, size=(48, 32)).eval()


@pytest.mark.parametrize(("pooling", "pooled"), [("token", slice(1)), ("avg", slice(1, None))])
def test_attention_is_weighted_by_gradients_and_carried_through_all_blocks(
    pooling: str, pooled: slice
) -> None:
    """Equations 5 and 6 with the attention of all blocks at once and whole relevance matrices."""
    classifier = vision_transformer(pooling)
    images = torch.rand(2, 1, 48, 32)
    blocks = list(classifier.features.blocks)  # pyright: ignore
    kept: list[torch.Tensor] = []
    for block in blocks:
        block.attn.fused_attn = False
    hooks = [
        block.attn.attn_drop.register_forward_hook(lambda _m, _i, output: kept.append(output))
        for block in blocks
    ]
    logit = classifier(images).logit
    for hook in hooks:
        hook.remove()
    gradients = torch.autograd.grad(logit.sum(), kept)
    relevance = torch.eye(7).expand(2, 7, 7)
    for attention, gradient in zip(kept, gradients, strict=True):
        weighted = (attention * gradient).clamp(min=0).mean(dim=1)
        relevance = relevance + weighted @ relevance
    expected = relevance[:, pooled].mean(dim=1)
    blocks[1].attn.fused_attn = True
    found = token_relevance(classifier, images)
    assert torch.allclose(found, expected, atol=1e-6)
    assert float(found.std()) > 1e-6
    assert [block.attn.fused_attn for block in blocks] == [False, True, False]
    assert all(p.requires_grad for p in classifier.parameters())
    source = find_heat_source(classifier, (48, 32))
    assert source.attention
    array = (65535 * images[:, 0]).numpy().astype(np.uint16)
    heat, _ = heat_maps(classifier, source, list(array))
    assert np.unravel_index(np.argmax(heat[0][8::16, 8::16]), (3, 2)) == np.unravel_index(
        int(expected[0, 1:].argmax()), (3, 2)
    )


def test_attention_that_cannot_be_seen_leaves_gradient_times_activation() -> None:
    classifier = vision_transformer("token")
    assert has_open_attention(classifier.features)
    del classifier.features.blocks[1].attn.attn_drop  # pyright: ignore
    assert not has_open_attention(classifier.features)
    assert not find_heat_source(classifier, (48, 32)).attention


def test_a_map_with_channels_last_is_summed_over_them() -> None:
    torch.manual_seed(0)
    options = {"img_size": 64, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2)}
    features = timm.create_model(
        "swin_tiny_patch4_window7_224", in_chans=1, num_classes=0, window_size=4, **options
    )
    classifier = Classifier(features, ONE, density_head=False, size=(64, 64)).eval()
    source = find_heat_source(classifier, (64, 64))
    assert source.channels_last
    array = np.random.default_rng(0).integers(0, 65536, (64, 64)).astype(np.uint16)
    heat, _ = heat_maps(classifier, source, [array])
    assert heat.shape == (1, 64, 64)
    assert heat.max() == 1.0
    assert np.ptp(heat[0, ::8, ::8]) > 0.1


def test_an_overlay_shows_the_breast_alone_and_heat_everywhere() -> None:
    array = np.full((64, 32), 40000, np.uint16)
    shown = np.zeros((64, 32), bool)
    shown[:, :16] = True
    heat = np.zeros((64, 32), np.float32)
    heat[:8, 24:] = 1.0
    picture = overlay(array, shown, heat)
    assert picture.shape == (512, 2 * 256 + 8, 3)
    plain, mixed = picture[:, :256], picture[:, 264:]
    assert plain[256, 60].tolist() == [156, 156, 156]
    assert not plain[:, 160:].any()
    assert mixed[5, 250].max() > 100
    assert mixed[400, 60].tolist() == [156, 156, 156]


def scoring_of(folder: Path) -> Scoring:
    applied = open_models([folder], CPU)
    return Scoring(applied, applied.recipe, KnownFacts(), None, CPU, batch_size=2)


def test_each_file_has_a_picture_of_its_own_and_the_logit_of_predict(tmp_path: Path) -> None:
    scoring = scoring_of(write_toy(tmp_path / "toy"))
    files = [*write_images(tmp_path / "one", 2), *write_images(tmp_path / "two", 2)]
    bad = tmp_path / "bad name.png"
    bad.write_bytes(b"no image")
    drawn = list(explain_files([*files, bad], scoring, tmp_path / "out"))
    pictures = [one.picture for one in drawn[:4]]
    assert [path.name for path in pictures if path] == [
        "000.png",
        "001.png",
        "000-00003.png",
        "001-00004.png",
    ]
    assert drawn[4].picture is None
    assert "not a readable" in drawn[4].score.note
    expected = [score.logit for score in score_files(files, scoring)]
    assert [one.score.logit for one in drawn[:4]] == pytest.approx(expected, abs=1e-5)


def test_opaque_names_say_nothing_of_the_files_and_pixels_are_all_there_is(tmp_path: Path) -> None:
    scoring = scoring_of(write_toy(tmp_path / "toy"))
    (path,) = write_images(tmp_path, 1)
    named = path.rename(tmp_path / "Jane_Doe.png")
    (drawn,) = explain_files([named], scoring, tmp_path / "out", opaque=True)
    assert drawn.picture == tmp_path / "out" / "image-00001.png"
    content = drawn.picture.read_bytes()
    assert png_header(content).rows == 512
    chunks = {
        content[at - 4 : at] for at in range(16, len(content)) if content[at - 4 : at].isalpha()
    }
    assert not chunks & {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}


def test_maps_that_do_not_fit_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    scoring = scoring_of(write_toy(tmp_path / "toy"))
    monkeypatch.setattr(explanations, "heat_maps", full)
    with pytest.raises(ConfigurationError, match=r"a batch of 2 images of .* --batch-size"):
        list(explain_files(write_images(tmp_path, 3), scoring, tmp_path / "out"))
