from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mammoshift.commands.verify import verify
from mammoshift.errors import ConfigurationError

REPOSITORY = Path(__file__).resolve().parents[3]


def test_results_that_are_not_there_are_named_with_how_to_name_others(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    with pytest.raises(ConfigurationError, match=r"miniature: .* --configfile FILE"):
        verify(folder=tmp_path)
