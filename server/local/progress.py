"""Start-up told as it happens: each step, how far it is, and how long it took."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from server.errors import Mk0rError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


@dataclass(frozen=True)
class StackStep:
    """One thing the stack does at start-up, and how far it is. `ms` once it has ended."""

    name: str
    state: Literal["running", "done", "failed"]
    detail: str = ""
    ms: int | None = None


@asynccontextmanager
async def step(name: str, report: Callable[[StackStep], None]) -> AsyncGenerator[Callable[[str], None]]:
    """Report the begin and the end of one step; gives a way to say what it is at. One given up has no end."""
    began = time.monotonic()

    def at(state: Literal["running", "done", "failed"], detail: str = "", *, ended: bool = False) -> None:
        report(StackStep(name, state, detail, round((time.monotonic() - began) * 1000) if ended else None))

    at("running")
    try:
        yield lambda detail: at("running", detail)
    except Mk0rError as error:
        at("failed", error.message, ended=True)
        raise
    except Exception:
        at("failed", ended=True)
        raise
    at("done", ended=True)
