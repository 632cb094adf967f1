from __future__ import annotations

import pytest
import torch

from mammoshift.errors import ConfigurationError
from mammoshift.execution.determinism import deterministic_torch, raise_if_indeterministic
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
