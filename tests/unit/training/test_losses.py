from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.configuration.training import Loss
from mammoshift.models.classifier import Output
from mammoshift.training.losses._protocol import build_loss
from mammoshift.training.losses.bce import binary_cross_entropy
from mammoshift.training.losses.density_aware_focal import density_cross_entropy
from mammoshift.training.losses.focal import focal_loss

LOGITS = st.lists(st.floats(-15, 15), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(logits=LOGITS, gamma=st.floats(0, 5), alpha=st.floats(0, 1), flip=st.integers(0, 255))
def test_focal_loss_is_equation_5(
    logits: list[float], gamma: float, alpha: float, flip: int
) -> None:
    labels = np.array([(flip >> k) & 1 for k in range(len(logits))], dtype=float)
    z = np.array(logits)
    p_t = 1 / (1 + np.exp(np.where(labels == 1, -z, z)))
    one_minus_p_t = 1 / (1 + np.exp(np.where(labels == 1, z, -z)))
    alpha_t = np.where(labels == 1, alpha, 1 - alpha)
    expected = np.mean(-alpha_t * one_minus_p_t**gamma * np.log(p_t))
    found = focal_loss(torch.tensor(z), torch.tensor(labels), gamma, alpha)
    assert float(found) == pytest.approx(expected, rel=1e-5, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(logits=LOGITS)
def test_focal_loss_without_focus_is_half_the_cross_entropy(logits: list[float]) -> None:
    z = torch.tensor(logits, dtype=torch.float64)
    labels = torch.ones_like(z)
    assert torch.allclose(focal_loss(z, labels, 0.0, 0.5), binary_cross_entropy(z, labels) / 2)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_losses_and_gradients_are_finite_for_extreme_logits(gamma: float) -> None:
    logits = torch.tensor([-1e4, -200.0, 0.0, 200.0, 1e4], requires_grad=True)
    for label in (0.0, 1.0):
        loss = focal_loss(logits, torch.full((5,), label), gamma, 0.25)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_positive_weight_multiplies_positive_cases_only() -> None:
    logits, labels = torch.tensor([0.3, -0.7]), torch.tensor([1.0, 0.0])
    weighted = binary_cross_entropy(logits, labels, 3.0)
    single = [binary_cross_entropy(logits[k : k + 1], labels[k : k + 1]) for k in (0, 1)]
    assert torch.allclose(weighted, (3 * single[0] + single[1]) / 2)
    balanced = build_loss(Loss(positive_weight="balanced"), 3.0)
    plain = build_loss(Loss(), 3.0)
    none = torch.tensor([-1, -1])
    assert torch.allclose(balanced(Output(logits, None), labels, none), weighted)
    assert torch.allclose(plain(Output(logits, None), labels, none), sum(single) / 2)


def test_density_term_leaves_out_missing_densities() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    some = density_cross_entropy(logits, torch.tensor([2, -1, 0]))
    whole = torch.nn.functional.cross_entropy(logits[[0, 2]], torch.tensor([2, 0]))
    assert torch.allclose(some, whole)
    none = density_cross_entropy(logits, torch.full((3,), -1))
    none.backward()
    assert none == 0
    assert torch.equal(logits.grad, torch.zeros(3, 4))


def test_density_aware_focal_adds_the_weighted_density_term() -> None:
    settings_ = Loss(name="density_aware_focal", auxiliary_weight=0.3)
    generator = torch.Generator().manual_seed(1)
    output = Output(torch.randn(5, generator=generator), torch.randn(5, 4, generator=generator))
    labels, densities = torch.tensor([0.0, 1, 1, 0, 1]), torch.tensor([0, 1, -1, 3, 2])
    expected = focal_loss(output.logit, labels, 2.0, 0.25)
    expected = expected + 0.3 * density_cross_entropy(output.density, densities)
    assert torch.allclose(build_loss(settings_, 1.0)(output, labels, densities), expected)
