"""Lines of bounded width, and on a terminal one more below them that says what runs now."""

from __future__ import annotations

import re
import shutil
import textwrap
import threading
from typing import TextIO

WIDEST = 160
QUIET_SECONDS = 60.0
"""Where no terminal shows the status, it is a line of its own after so long without another."""

QUIETER = 10
"""After so many such lines in a row they come at a tenth of the pace."""

_ERASE = "\r\x1b[K"
_CONTROL = re.compile(r"[^\S\n]+|[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Screen:
    """A stream that is written to by two threads: lines, and a status that is overwritten."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.lock = threading.Lock()
        self.shown = False
        self.last = 0.0
        self.statuses = 0

    @property
    def width(self) -> int:
        """The characters of a line."""
        return min(WIDEST, shutil.get_terminal_size().columns) if self.is_terminal else WIDEST

    def say(self, text: str, now: float) -> None:
        """Write a message; its lines are broken where they are too wide."""
        lines = [part for line in clean(text).splitlines() for part in self._wrapped(line)]
        with self.lock:
            self._erase()
            self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
            self.last, self.statuses = now, 0

    def raw(self, text: str) -> None:
        """Write a text as it is."""
        with self.lock:
            self._erase()
            self.stream.write(f"{text}\n")
            self.stream.flush()

    def status(self, place: str, running: list[str], now: float) -> None:
        """Show what runs now: at the foot of a terminal, elsewhere from time to time as a line."""
        text = clean(f"{place} now: {'; '.join(running)}")
        with self.lock:
            if self.is_terminal:
                self.stream.write(
                    _ERASE + textwrap.shorten(text, self.width - 1, placeholder=" ...")
                )
                self.stream.flush()
                self.shown = True
                return
            pause = QUIET_SECONDS * (10 if self.statuses >= QUIETER else 1)
            if now - self.last >= pause:
                self.stream.write(textwrap.shorten(text, WIDEST, placeholder=" ...") + "\n")
                self.stream.flush()
                self.last = now
                self.statuses += 1

    def clear_status(self) -> None:
        """Take the status off the terminal."""
        with self.lock:
            self._erase()
            self.stream.flush()

    def _erase(self) -> None:
        if self.shown:
            self.stream.write(_ERASE)
            self.shown = False

    def _wrapped(self, line: str) -> list[str]:
        indent = " " * (len(line) - len(line.lstrip()))
        return textwrap.wrap(
            line, self.width, subsequent_indent=f"{indent}  ", break_on_hyphens=False
        ) or [""]


def clean(text: str) -> str:
    """Return text without control characters, which a log or a message may hold."""
    lines = []
    for line in text.replace("\r", "\n").splitlines():
        indent = len(line) - len(line.lstrip(" "))
        lines.append(" " * indent + _CONTROL.sub(" ", line.strip()))
    return "\n".join(lines)
