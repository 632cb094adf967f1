"""Signals during a training."""

from __future__ import annotations

import signal

from mammoshift.execution.interruption import InterruptionGuard


def test_a_repeated_sigterm_is_noted_and_does_not_kill() -> None:
    with InterruptionGuard() as guard:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert guard.received == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
