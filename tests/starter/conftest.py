"""One prepared template for all tests of the starter, and copies of it that really run."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest

from server.local import template
from server.local.home import Home
from tests.prepared import remove

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "run-tracker" / "app"
T = TypeVar("T")
PATIENCE = 30.0  # seconds for anything that starts


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, give_template: Callable[[Home], None]) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("starter-home"))
    give_template(home)
    yield home
    remove(home)


@dataclass
class App:
    """A copy of the starter in a folder of its own, and the processes a test started in it."""

    folder: Path
    node: Path
    browser: Path
    port: int
    children: list[subprocess.Popen[str]] = field(default_factory=list["subprocess.Popen[str]"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # the copy shares its files with the template
            path.write_text(text)

    def write_env(self, values: dict[str, str]) -> None:
        """As the server writes it: whole, renamed into place."""
        fresh = self.folder / ".env.new"
        fresh.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
        fresh.rename(self.folder / ".env")

    def environ(self, **more: str) -> dict[str, str]:
        path = f"{self.folder}/node_modules/.bin:{self.node.parent}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "PORT": str(self.port), **more}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environ(**more), text=True, capture_output=True, timeout=60, check=False
        )

    def start(self, *command: str, **more: str) -> subprocess.Popen[str]:
        log = (self.folder / "test.log").open("a")
        child = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ(**more),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.children.append(child)
        return child

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.ask("GET", path, headers=headers)

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=10, trust_env=False) as http:
            return await http.request(method, path, **more)

    async def serves(self) -> httpx.Response:
        """Wait until the app's server answers."""

        async def asked() -> httpx.Response | None:
            try:
                answer = await self.get("/api/health")
            except httpx.TransportError:
                return None
            return answer if answer.is_success else None

        return await self.until(asked, f"the app answers; log: {self.folder / 'test.log'}")

    @staticmethod
    async def until(probe: Callable[[], Awaitable[T | None]], what: str) -> T:
        """Ask again and again until there is an answer. Fails after `PATIENCE` seconds."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if (found := await probe()) is not None:
                return found
            await asyncio.sleep(0.03)
        raise AssertionError(f"It never came true that {what}")

    def preview(self, path: str = "/", *more: str) -> dict[str, Any]:
        out = self.folder / "preview.png"
        script = str(self.browser / "preview.mjs")
        done = self.run(str(self.node), script, "--url", self.url + path, "--out", str(out), *more)
        return {**json.loads(done.stdout), "exit": done.returncode, "png": out}

    def stop(self) -> None:
        for child in self.children:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            child.wait(10)


@pytest.fixture
def make_app(prepared: Home, tmp_path: Path) -> Iterator[Callable[..., App]]:
    apps: list[App] = []

    def make(files: dict[str, str] | None = None, *, example: bool = False) -> App:
        folder = tmp_path / f"app{len(apps)}"
        shutil.copytree(prepared.template / "app", folder, symlinks=True, copy_function=_link)
        node = template.installed_node(prepared).node
        app = App(folder, node, prepared.template / "opt" / "browser", _free_port())
        if example:
            app.write(
                {str(path.relative_to(EXAMPLE)): path.read_text() for path in EXAMPLE.rglob("*") if path.is_file()}
            )
        app.write(files or {})
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.stop()


def _link(source: str, target: str) -> None:
    """Share the file where the file system allows: a copy of the packages takes seconds."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
