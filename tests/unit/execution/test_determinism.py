from __future__ import annotations

import numpy as np
import pytest
import torch

from mammoshift.errors import ConfigurationError
from mammoshift.execution.determinism import (
    Purpose,
    deterministic_torch,
    numbered_draws,
    raise_if_indeterministic,
    seed_torch,
)
from mammoshift.execution.precision import autocast, float32_products

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_exact_refuses_what_cannot_be_repeated_and_all_is_restored() -> None:
    with deterministic_torch(CPU, 1):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_fast_is_exact_on_a_cpu_and_free_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: torch.inference_mode())
    with deterministic_torch(CPU, 1, "fast"):
        assert torch.are_deterministic_algorithms_enabled()
    with deterministic_torch(GPU, 1, "fast"):
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    with deterministic_torch(GPU, 1, "exact"):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark


def test_the_error_names_the_operation_and_the_setting() -> None:
    error = RuntimeError("upsample_backward does not have a deterministic implementation.\nMore")
    with pytest.raises(ConfigurationError, match=r"arm a: .*upsample_backward.*determinism to fas"):
        raise_if_indeterministic(error, "arm a")
    raise_if_indeterministic(RuntimeError("out of memory"), "arm a")


def test_products_are_what_the_precision_says() -> None:
    place = torch.backends.cuda.matmul
    before = place.fp32_precision
    for name, expected in (("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "ieee")):
        with float32_products(GPU, name), autocast(CPU, name):
            assert place.fp32_precision == expected
            assert torch.is_autocast_enabled("cpu") == (name == "bfloat16")
    assert place.fp32_precision == before


def test_numbered_draws_do_not_depend_on_who_else_is_drawn() -> None:
    numbers = np.array([7, 3, 900, 8])
    whole = numbered_draws(Purpose.AUGMENTATION, (1, 2), numbers, 5)
    alone = [numbered_draws(Purpose.AUGMENTATION, (1, 2), numbers[k : k + 1], 5) for k in range(4)]
    assert np.array_equal(whole, np.concatenate(alone))
    for other in (
        numbered_draws(Purpose.AUGMENTATION, (1, 3), numbers, 5),
        numbered_draws(Purpose.SYMMETRY, (1, 2), numbers, 5),
        numbered_draws(Purpose.AUGMENTATION, (1, 2), numbers + 10, 5),
    ):
        assert not np.isin(whole, other).any()
    many = numbered_draws(Purpose.AUGMENTATION, (0, 0), np.arange(4000), 9)
    assert len(np.unique(many)) == many.size
    assert np.abs(many.mean(axis=0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(many.T) - np.eye(9)).max() < 0.06
    assert abs(np.corrcoef(many[:-1, 0], many[1:, 0])[0, 1]) < 0.06
    assert numbered_draws(Purpose.AUGMENTATION, (0, 0), np.arange(0), 3).shape == (0, 3)


def test_seeding_a_cpu_is_torchs_own_and_asks_no_other_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _seed: pytest.fail("asked CUDA"))
    seed_torch(CPU, 11)
    assert torch.equal(torch.rand(3), expected)
