from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mammoshift.configuration.training import Augmentation
from mammoshift.training.augmentation import Changes, augment, draw_changes

EVERYTHING = Augmentation(
    horizontal_flip=0.5,
    vertical_flip=0.5,
    rotation_degrees=20,
    translation=0.1,
    scaling=0.2,
    shear_degrees=15,
    brightness=0.2,
    contrast=0.2,
    noise=0.05,
)


def changes(count: int = 1, **values: float) -> Changes:
    drawn = {"symmetry", "displacement"}
    zeros = {n: np.zeros(count) for n in Changes.__dataclass_fields__ if n not in drawn}
    zeros["zoom"], zeros["contrast"] = np.ones(count), np.ones(count)
    for name in ("flip_columns", "flip_rows"):
        zeros[name] = np.zeros(count, dtype=bool)
    zeros["noise_seed"] = np.zeros(count, dtype=np.int64)
    for name, value in values.items():
        zeros[name] = np.full(count, value).astype(zeros[name].dtype)
    return Changes(**zeros)


def images(count: int, rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(count, 1, rows, columns, generator=generator)


def augmented(batch: Tensor, places: np.ndarray, seed: int = 1, epoch: int = 2) -> Tensor:
    return augment(batch, EVERYTHING, draw_changes(EVERYTHING, seed, epoch, places))


def test_batching_does_not_change_an_image() -> None:
    batch = images(6, 24, 16)
    places = np.array([0, 7, 3, 12, 5, 900])
    whole = augmented(batch, places)
    parts = torch.cat([augmented(batch[k : k + 2], places[k : k + 2]) for k in (0, 2, 4)])
    assert torch.equal(whole, parts)


def test_seed_epoch_and_position_each_change_the_image() -> None:
    batch, place = images(1, 24, 16), np.array([4])
    first = augmented(batch, place)
    for other in (
        augmented(batch, place, seed=2),
        augmented(batch, place, epoch=3),
        augmented(batch, np.array([5])),
    ):
        assert not torch.equal(first, other)


def test_nothing_switched_on_changes_nothing() -> None:
    batch = images(3, 8, 6)
    off = Augmentation()
    assert torch.equal(augment(batch, off, draw_changes(off, 1, 1, np.arange(3))), batch)


def test_values_stay_in_range_and_keep_their_shape() -> None:
    out = augmented(images(8, 24, 16), np.arange(8))
    assert out.shape == (8, 1, 24, 16)
    assert 0 <= out.min() <= out.max() <= 1


def test_flips_are_exact_and_per_image() -> None:
    batch = images(2, 6, 4)
    drawn = changes(2)
    drawn.flip_columns[1] = True
    out = augment(batch, Augmentation(horizontal_flip=0.5), drawn)
    assert torch.equal(out[0], batch[0])
    assert torch.equal(out[1], batch[1].flip(2))


@pytest.mark.parametrize(("rows", "columns"), [(9, 9), (20, 8)])
def test_translation_moves_by_whole_pixels(rows: int, columns: int) -> None:
    batch = images(1, rows, columns)
    drawn = changes(shift_rows=2 / rows, shift_columns=-1 / columns)
    out = augment(batch, Augmentation(translation=0.5), drawn)
    expected = torch.zeros_like(batch)
    expected[..., 2:, :-1] = batch[..., :-2, 1:]
    assert torch.allclose(out, expected, atol=1e-5)


def test_rotation_by_a_right_angle_keeps_pixels_square() -> None:
    batch = torch.zeros(1, 1, 21, 11)
    batch[0, 0, 10, 5:9] = 1.0
    out = augment(batch, Augmentation(rotation_degrees=90), changes(angle=np.pi / 2))
    expected = torch.zeros_like(batch)
    expected[0, 0, 10:14, 5] = 1.0
    assert torch.allclose(out, expected, atol=1e-5)


def test_zoom_enlarges_about_the_centre() -> None:
    batch = torch.zeros(1, 1, 20, 12)
    batch[0, 0, 8:12, 4:8] = 1.0
    out = augment(batch, Augmentation(scaling=0.9), changes(zoom=1.5))
    assert float(out.sum()) == pytest.approx(float(batch.sum()) * 1.5**2, rel=0.03)
    assert torch.allclose(out, out.flip(2).flip(3), atol=1e-5)


def test_shear_moves_rows_in_proportion_to_their_height() -> None:
    batch = torch.zeros(1, 1, 21, 41)
    batch[0, 0, :, 20] = 1.0
    out = augment(batch, Augmentation(shear_degrees=45), changes(shear=np.pi / 4))
    found = out[0, 0].argmax(dim=1)
    assert found.tolist() == list(range(10, 31))


def test_brightness_adds_and_contrast_keeps_the_mean() -> None:
    batch = 0.4 + 0.2 * images(1, 8, 8)
    brighter = augment(batch, Augmentation(brightness=0.2), changes(brightness=0.1))
    assert torch.allclose(brighter, batch + 0.1, atol=1e-6)
    stronger = augment(batch, Augmentation(contrast=0.5), changes(contrast=1.5))
    assert float(stronger.mean()) == pytest.approx(float(batch.mean()), abs=1e-6)
    assert float(stronger.std()) == pytest.approx(1.5 * float(batch.std()), rel=1e-4)


def test_drawn_changes_fill_their_ranges() -> None:
    drawn = draw_changes(EVERYTHING, 0, 0, np.arange(2000))
    limits = {
        "angle": np.deg2rad(20),
        "shear": np.deg2rad(15),
        "shift_rows": 0.1,
        "shift_columns": 0.1,
        "brightness": 0.2,
    }
    for name, limit in limits.items():
        values = getattr(drawn, name)
        assert 0.98 * limit < np.abs(values).max() <= limit, name
        assert abs(values.mean()) < 0.06 * limit, name
    assert abs(drawn.flip_rows.mean() - 0.5) < 0.05
    assert 0.8 <= drawn.zoom.min() < drawn.zoom.max() <= 1.2


def test_the_four_published_symmetries_are_three() -> None:
    batch = images(1, 6, 6)
    names = ["flip_left_right", "rotate_180", "flip_top_bottom_rotate_180", "rotate_90"]
    shown = {
        name: augment(batch, settings, draw_changes(settings, 0, 0, np.array([0])))
        for name in names
        for settings in [Augmentation.model_validate({"symmetries": [name]})]
    }
    assert torch.equal(shown["flip_left_right"], batch.flip(3))
    assert torch.equal(shown["flip_top_bottom_rotate_180"], shown["flip_left_right"])
    assert torch.equal(shown["rotate_90"][0, 0], torch.rot90(batch[0, 0]))
    assert torch.equal(shown["rotate_180"], batch.flip(2, 3))


def test_symmetries_are_drawn_with_equal_chances() -> None:
    settings = Augmentation.model_validate({"symmetries": ["as_is", "rotate_90", "rotate_180"]})
    drawn = draw_changes(settings, 3, 1, np.arange(300)).symmetry
    assert drawn is not None
    assert np.bincount(drawn).min() > 70


def test_elastic_deformation_is_smooth_has_its_size_and_is_the_image_s_own() -> None:
    settings = Augmentation(elastic=0.05)
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, 64), torch.linspace(0, 1, 48), indexing="ij"
    )
    ramps = torch.stack([rows, columns])[:, None]
    drawn = draw_changes(settings, 0, 0, np.array([7, 7]))
    moved = augment(ramps, settings, drawn)
    shift = (moved - ramps)[:, 0, 12:-12, 12:-12] * torch.tensor([64.0, 48.0])[:, None, None]
    assert 0.2 < shift.std() / (0.05 * 48) < 2.0
    assert shift.diff(dim=1).abs().max() < 1.5
    alone = draw_changes(settings, 0, 0, np.array([7]))
    assert torch.equal(augment(ramps[:1], settings, alone), moved[:1])
