"""Real servers, `mk0r serve`, that share their vendors and, in PostgreSQL, their books. They may die or be stopped."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from server.local.facts import free_port
from server.local.home import Home
from server.local.stack import settings_from
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping
    from pathlib import Path

    from server.books.record import SessionKey
    from server.local.facts import StackFacts
    from tests.faults.lives import Life, Lives
    from tests.faults.stage import Stage
    from tests.faults.verdict import Verdict

START_SECONDS = 60.0
STORY_SECONDS = 90.0
CALL_SECONDS = 20.0
ALIVE_SECONDS = 3.0
NAME_OF = {"neon_base_url": "MK0R_NEON_BASE_URL", "resend_base_url": "MK0R_RESEND_BASE_URL"} | {
    field: f"MK0R_{field.upper()}"
    for field in ("github_owner", "github_api_url", "github_git_url", "e2b_api_url", "e2b_sandbox_url", "model")
}
Refused = (httpx.TransportError, httpx.HTTPStatusError)


def environment(facts: StackFacts, verdict: Verdict, hosted: str | None, **more: str) -> dict[str, str]:
    """A server's: the twins as vendors with credentials, so that it starts no stack of its own."""
    values = {field: value for field, value in settings_from(facts).items() if value is not None}
    told = {NAME_OF.get(name, name.upper()): getattr(v, "reveal", lambda v=v: v)() for name, v in values.items()}
    limits = {f"MK0R_LIMIT_{vendor}": "0" for vendor in ("NEON", "RESEND", "GITHUB", "E2B")}
    return {
        "PATH": os.environ["PATH"],
        **told,
        **limits,
        "HOME": os.environ.get("HOME", "/"),
        **({"MK0R_DATABASE_URL": hosted} if hosted else {}),
        "MK0R_SECRET_KEY": verdict.secret_key,
        "MK0R_PUBLIC_URL": "http://localhost:1",
        "MK0R_WORKER_ALIVE_SECONDS": str(ALIVE_SECONDS),
        **more,
    }


@dataclass
class Server:
    """One server: a home and a port that stay, and the process there now."""

    home: Home
    port: int
    environ: Mapping[str, str]
    lives: Lives
    life: Life | None = None
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        # A server that closes an idle connection just when it is used again would look like one that died.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.AsyncClient(base_url=url, timeout=CALL_SECONDS, limits=limits, trust_env=False)

    @property
    def log(self) -> Path:
        return self.home.logs / "serve.log"

    @property
    def is_running(self) -> bool:
        return self.life is not None and not self.life.is_over

    async def spawn(self) -> None:
        """Begin the process, and do not wait for it."""
        self.life = await self.lives.serve(self.home, self.port, self.environ)

    async def start(self) -> None:
        await self.spawn()
        await self.ready()

    async def ready(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not await self._is_ready():
                assert self.is_running, self.log.read_text()[-3000:]
                await asyncio.sleep(0.02)

    async def _is_ready(self) -> bool:
        try:
            return (await self.http.get("/api/stack")).json()["ready"]
        except (httpx.TransportError, ValueError):
            return False

    async def kill(self) -> None:
        """As a machine that loses its power."""
        if self.life is not None and self.is_running:
            self.life.kill()
            await self.life.end()

    async def ask(self, key: SessionKey, services: Collection[str], *, seconds: float = CALL_SECONDS) -> dict[str, Any]:
        """Have these services made. Raises one of `Refused`."""
        wanted = {"services": [*services]}
        return await self._call("POST", f"/api/sessions/{key.slug}/services", key, wanted, seconds=seconds)

    async def show(self, key: SessionKey) -> dict[str, Any]:
        return await self._call("GET", f"/api/sessions/{key.slug}", key)

    async def destroy(self, key: SessionKey) -> None:
        """Raises one of `Refused`; one that is gone already is no error."""
        try:
            await self._call("DELETE", f"/api/sessions/{key.slug}", key)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise

    async def reap(self) -> dict[str, Any]:
        """What the operator's `mk0r reap --apply` does."""
        token = Secret(json.loads(self.home.server_file.read_text())["token"])
        return await self._call("POST", "/api/reap", token, {"apply": True}, seconds=600)

    async def settled(self, key: SessionKey, *, seconds: float = STORY_SECONDS) -> dict[str, Any]:
        """The session once its provisioning has ended, as this server shows it."""
        async with asyncio.timeout(seconds):
            while (session := await self.show(key))["state"] == "provisioning":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        return session

    async def _call(
        self, method: str, path: str, key: Secret, body: Any = None, *, seconds: float = CALL_SECONDS
    ) -> dict[str, Any]:
        bearer = {"Authorization": f"Bearer {key.reveal()}"}
        answer = await self.http.request(method, path, json=body, headers=bearer, timeout=seconds)
        answer.raise_for_status()
        return json.loads(answer.content)


@asynccontextmanager
async def servers(on: Stage, folder: Path, count: int, environ: Mapping[str, str]) -> AsyncGenerator[list[Server]]:
    """So many, all ready; whatever became of them, none is left at the end."""
    taken: set[int] = set()
    made = [Server(Home(folder / f"server-{n}"), free_port(taken), environ, on.lives) for n in range(count)]
    try:
        await asyncio.gather(*(each.start() for each in made))
        yield made
    finally:
        for each in made:
            await each.kill()
            await each.http.aclose()
