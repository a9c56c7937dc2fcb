"""The command in a home of its own, a browser beside it, and the one app they share: the page makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent_loop.cli import server_process
from server.local.home import Home
from tests.browser.driver import Browser, Page, chromium
from tests.prepared import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MK0R = str(Path(sys.executable).parent / "mk0r")
IDEA = "a run tracker that saves my runs"
BUILD_MS = 90_000
PHONE = {"width": 390, "height": 844, "isMobile": True, "hasTouch": True}


@dataclass(frozen=True)
class Cli:
    """The command, in a home of its own."""

    home: Home

    def __call__(self, *args: str) -> str:
        ran = self._run(*args)
        assert ran.returncode == 0, (args, ran.stdout[-2000:], ran.stderr[-2000:])
        return ran.stdout

    def _run(self, *args: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "HOME": str(self.home.root.parent), "MK0R_HOME": str(self.home.root)}
        return subprocess.run([MK0R, *args], env=environ, capture_output=True, text=True, timeout=110, check=False)

    def any_code(self, *args: str) -> str:
        return self._run(*args).stdout

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json").strip().splitlines()[-1])

    @property
    def url(self) -> str:
        server = server_process.find(self.home)
        assert server is not None
        return f"http://127.0.0.1:{server['port']}"


@dataclass(frozen=True)
class Build:
    """What the page made, and the page, left as it was when the build was done."""

    page: Page
    slug: str
    key: str
    lit: list[str]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]) -> Iterator[Cli]:
    command = Cli(Home(tmp_path_factory.mktemp("browser") / ".mk0r"))
    give_template(command.home)
    yield command
    command("down")
    remove(command.home)


@pytest.fixture(scope="module")
def browser(cli: Cli) -> Iterator[Browser]:
    cli("twins")  # when they are there, so is the browser
    with chromium(cli.home) as running:
        yield running


@pytest.fixture(scope="module")
def build(cli: Cli, browser: Browser) -> Build:
    page = browser.open()
    page.do(["goto", cli.url])
    page.do(["getByLabel", "Your idea"], ["fill", IDEA])
    page.do(["getByRole", "button", {"name": "Build it"}], ["click"])
    page.do(["locator", "#log"], ["getByText", "Done", {"exact": True}], ["waitFor", {"timeout": BUILD_MS}])
    [kept] = json.loads(page.do(["evaluate", "localStorage.getItem('mk0r.sessions')"]))
    lit = page.do(["locator", '#lights li[data-state="on"]'], ["allInnerTexts"])
    return Build(page, kept["slug"], kept["key"], lit)


@pytest.fixture
def shown(cli: Cli, build: Build) -> dict[str, Any]:
    """The session, as `mk0r show` shows it."""
    return cli.json("show", build.slug)
