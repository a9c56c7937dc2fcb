"""A headless Chromium a test can talk to: the project's own pair, driven by `driver.mjs`."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.local.node import find_node

if TYPE_CHECKING:
    from collections.abc import Generator

    from server.local.home import Home

PROGRAM = Path(__file__).with_name("driver.mjs")
PATIENCE_MS = 30_000


class BrowserError(Exception):
    """What Playwright said."""


@dataclass(frozen=True)
class Seen:
    """Everything a page asked for, complained of, and moved to; its frames included."""

    urls: list[str]
    complaints: list[str]
    navigations: list[str]


@dataclass(frozen=True)
class Page:
    """One page in a browser profile of its own."""

    browser: Browser
    number: int

    def do(self, *chain: Any) -> Any:
        """Call Playwright: each link is `[method, *arguments]` on what the link before it gave."""
        return self.browser.order({"page": self.number, "do": chain})

    def seen(self) -> Seen:
        return Seen(**self.browser.order({"page": self.number, "seen": True}))


class Browser:
    """The running program. Every order is bounded by Playwright's own timeouts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._orders, self._answers = process.stdin, process.stdout

    def open(self, width: int = 1280, height: int = 800, **context: Any) -> Page:
        return Page(self, self.order({"open": {"viewport": {"width": width, "height": height}, **context}}))

    def order(self, order: dict[str, Any]) -> Any:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        answer = json.loads(self._answers.readline() or '{"error": "the browser is gone"}')
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer["value"]


@contextmanager
def chromium(home: Home) -> Generator[Browser]:
    """The browser of this home's template, which must be prepared."""
    settings = {"browser": str(home.template / "opt" / "browser"), "patience": PATIENCE_MS}
    command = [str(find_node().node), str(PROGRAM), json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Browser(process)
            assert process.stdin
            process.stdin.close()
            process.wait(timeout=20)
        finally:
            process.kill()
