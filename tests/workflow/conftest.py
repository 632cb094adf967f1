"""One finished run of the small study, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniature import Project, create_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose study has been run to the report. Copy it before changing it."""
    project = create_project(tmp_path_factory.mktemp("finished") / "project")
    project.snakemake()
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project that a test may change."""
    return finished.copy_to(tmp_path / "project")
