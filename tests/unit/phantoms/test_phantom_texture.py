from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.phantoms.streams import stream, synthetic_uid
from mammoshift.phantoms.texture import power_law_fields, spectral_exponent

SIZE_MM = (160, 128)


@given(beta=st.floats(2.0, 3.6), seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_the_measured_exponent_is_the_one_asked_for(beta: float, seed: int) -> None:
    first, second = power_law_fields(seed, ("field",), beta, SIZE_MM, 2)
    measured = [spectral_exponent(field, 0.25) for field in (first, second)]
    assert abs(float(np.mean(measured)) - beta) < 0.1


def test_a_finer_grid_samples_the_same_field() -> None:
    coarse, _ = power_law_fields(3, ("field",), 3.2, SIZE_MM, 1)
    fine, _ = power_law_fields(3, ("field",), 3.2, SIZE_MM, 2)
    assert fine.shape == (640, 512)
    assert np.corrcoef(coarse.ravel(), fine[::2, ::2].ravel())[0, 1] > 0.999


def test_fields_are_standardised_and_independent() -> None:
    fields = [power_law_fields(seed, ("field",), 3.0, SIZE_MM, 0) for seed in range(30)]
    variance = np.mean([field.var() for pair in fields for field in pair])
    assert variance == pytest.approx(1.0, abs=0.1)
    correlation = np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in fields])
    assert abs(correlation) < 0.15


def test_elongation_stretches_structures_along_x() -> None:
    field, _ = power_law_fields(1, ("field",), 3.0, (128, 128), 0, elongation=3.0)
    along_x = np.abs(np.diff(field, axis=1)).mean()
    along_y = np.abs(np.diff(field, axis=0)).mean()
    assert along_y > 1.3 * along_x


def test_streams_depend_on_seed_and_on_every_part_of_the_key() -> None:
    first = stream(1, "patient", 2, "age").random()
    assert stream(1, "patient", 2, "age").random() == first
    others = [
        stream(2, "patient", 2, "age"),
        stream(1, "patient", 3, "age"),
        stream(1, "patient", 2, "side"),
        stream(1, "patient", "2", "age"),
        stream(1, "patient2", "age"),
    ]
    assert len({first, *(other.random() for other in others)}) == 6


def test_uids_are_valid_and_reproducible() -> None:
    uid = synthetic_uid(4, "series", 1)
    assert uid == synthetic_uid(4, "series", 1)
    assert uid != synthetic_uid(4, "series", 2)
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert str(int(uid.removeprefix("2.25."))) == uid.removeprefix("2.25.")
