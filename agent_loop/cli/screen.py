"""What a command prints: plain lines anywhere, colour and a moving line on a terminal only."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

GREEN, RED, YELLOW, DIM, BOLD, CYAN = "32", "31", "33", "2", "1", "36"
PATIENCE_SECONDS = 1.0  # what takes longer says so
CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)))


def clean(text: object) -> str:
    """`text` without control characters: what a model or an app wrote must not drive a terminal."""
    return str(text).replace("\r", "\n").translate(CONTROL)


@dataclass
class Screen:
    """One stream, and whether a person is looking at it."""

    stream: TextIO
    terminal: bool = False
    unicode: bool = True
    _moving: bool = field(default=False, init=False)

    @classmethod
    def on(cls, stream: TextIO, environ: Mapping[str, str]) -> Screen:
        terminal = stream.isatty() and environ.get("TERM") != "dumb"
        encoding = (getattr(stream, "encoding", "") or "").lower().replace("-", "")
        return cls(stream, terminal and not environ.get("NO_COLOR"), encoding == "utf8")

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.terminal else text

    def mark(self, good: bool | None) -> str:
        """A light that is on, off, or missing."""
        sign = {True: "●", False: "✗", None: "○"}[good] if self.unicode else {True: "*", False: "x", None: "-"}[good]
        return self.paint(sign, {True: GREEN, False: RED, None: DIM}[good])

    def line(self, text: str = "") -> None:
        self.settle()
        self._write(text + "\n")

    def piece(self, text: str) -> None:
        """Text that goes on where the last piece ended."""
        self.settle()
        self._write(text)

    def moving(self, text: str) -> None:
        """A line that the next one replaces; only a terminal shows it."""
        if self.terminal:
            self._write(f"\r\x1b[2K{self.paint(text, DIM)}")
            self._moving = True

    def settle(self) -> None:
        if self._moving:
            self._write("\r\x1b[2K")
            self._moving = False

    def _write(self, text: str) -> None:
        if not self.unicode:
            text = text.encode("ascii", "replace").decode()
        self.stream.write(text)
        self.stream.flush()


@dataclass
class StackProgress:
    """The stack's start, told step by step. What had ended before we looked is no news."""

    screen: Screen
    _told: dict[str, str] = field(default_factory=dict[str, str])
    _first: dict[str, float] = field(default_factory=dict[str, float])

    def __call__(self, step: dict[str, Any]) -> None:
        name, state, detail = step["name"], step["state"], clean(step["detail"])
        if state == "running":
            waited = time.monotonic() - self._first.setdefault(name, time.monotonic())
            self.screen.moving(f"  {name}{f': {detail}' if detail else ''}  {waited:.1f} s")
            if not self.screen.terminal and waited > PATIENCE_SECONDS and self._told.get(name) != detail:
                self._told[name] = detail
                self.screen.line(f"  {name}: {detail or 'starting'} ...")
        elif self._first.pop(name, None) is not None:
            self.screen.line(f"  {self.screen.mark(state == 'done')} {name}  {spent(step['ms'])}")


def spent(ms: float | None) -> str:
    """Milliseconds, as a person reads them."""
    if ms is None:
        return ""
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"  # noqa: PLR2004 - two minutes


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows with their columns aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def streams(environ: Mapping[str, str]) -> tuple[Screen, Screen]:
    """What a command says, and what it says about itself."""
    return Screen.on(sys.stdout, environ), Screen.on(sys.stderr, environ)
