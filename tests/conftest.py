"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real images and metadata; tests that need it skip where it is absent."""
    shared = Path(os.environ.get("MAMMOSHIFT_SHARED", REPOSITORY.parent / "shared"))
    data = shared / "data"
    if not data.is_dir():
        pytest.skip("real data not found: set MAMMOSHIFT_SHARED to the folder that holds data/")
    return data
