"""The whole local product in a home of its own: the server, PostgreSQL and the real twins."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_loop.cli import server_process
from agent_loop.cli.bench.stage import unlimited
from server.local import facts as remembered
from server.local import stack
from server.local.home import Home

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from agent_loop.cli.client import Client

PREPARED = ("node", "template")


@dataclass(frozen=True)
class Local:
    """One home, its server and its twins, started when first asked for."""

    home: Home
    environ: Mapping[str, str]

    def server(self) -> Client:
        return server_process.ensure(self.home, self.environ, tell=lambda _: None, say=lambda _: None)

    def twin(self, vendor: str, method: str, path: str, body: Any = None) -> Any:
        """One of a twin's own `/_twin` routes."""
        facts = remembered.load(self.home.stack_file)
        assert facts is not None  # noqa: S101 - the server has started
        request = urllib.request.Request(  # noqa: S310 - a loopback address of ours
            f"{facts.base_url(vendor)}/_twin/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {facts.twins[vendor].admin.reveal()}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            text = answer.read()
        return json.loads(text) if text else None

    def end(self) -> None:
        if server := server_process.find(self.home):
            server_process.stop(self.home, server)
        asyncio.run(stack.down(self.home))

    def unlimit(self) -> None:
        for vendor in remembered.VENDORS:
            self.twin(vendor, "PUT", "limits", {"enforced": False})


@contextmanager
def whole(environ: Mapping[str, str], template_of: Home | None) -> Generator[Local]:
    """Nothing is left of it afterwards. `template_of`: a home whose prepared template is used, if it has one."""
    folder = Path(tempfile.mkdtemp(prefix="mk0r-bench-"))
    local = Local(Home(folder / "home"), {**environ, **unlimited()})
    try:
        if template_of and template_of.template.exists():
            local.home.make()
            # As hard links: nothing ever writes to a template in place.
            there = [str(template_of.stack / name) for name in PREPARED]
            subprocess.run(["/bin/cp", "-al", *there, f"{local.home.stack}/"], check=True)
        yield local
    finally:
        local.end()
        shutil.rmtree(local.home.stack, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
