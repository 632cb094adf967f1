"""Ending a long job in order when the system asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from mammoshift.errors import MammoshiftError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingInterrupted(MammoshiftError):  # noqa: N818 - it is no error of the training
    """Training stopped on a signal, after its state was saved; run again to go on from there.

    The exit code is that of a process that the signal ended: 128 + its number.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class InterruptionGuard:
    """Context in which SIGTERM and SIGINT are noted rather than obeyed at once.

    A second SIGINT is obeyed at once, since a person who presses Ctrl-C twice means it. A second
    SIGTERM is not: SLURM sends two to a job that it cancels or preempts, and SIGKILL later.
    Python delivers signals to its main thread only; in another thread the guard does nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> InterruptionGuard:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            for number in SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = number
