"""Fabricated studies for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabricated_tables import LONG, SHORT, Fabricated, fabricate


@pytest.fixture
def short(tmp_path: Path) -> Fabricated:
    """Every patient has two views; all arms were trained on film."""
    return fabricate(SHORT, tmp_path)


@pytest.fixture
def chain(tmp_path: Path) -> Fabricated:
    """Two trained domains, folds, an applied arm, one that scores patients, and patches."""
    return fabricate(LONG, tmp_path)
