from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from mammoshift.errors import TrainingError
from mammoshift.execution.lock import alone_in


def test_a_second_holder_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    entered: list[str] = []

    def hold() -> None:
        with alone_in(tmp_path / "run"):
            entered.append("second")

    with alone_in(tmp_path / "run"), pytest.raises(TrainingError, match="another process trains"):
        hold()
    assert entered == []
    hold()
    assert entered == ["second"]


def test_a_file_system_without_locks_is_named_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone_in(tmp_path / "run"):
        assert "has no locks (Function not implemented)" in capsys.readouterr().out
