"""A GitHub twin whose clock the test holds, and the calls its tests make."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import jwt

from server.secrets import Secret
from server.twins.core import Site
from server.twins.core.serve import bind, serving
from server.twins.github import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

ADMIN = {"Authorization": "Bearer admin-token"}


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Twin:
    http: httpx.AsyncClient
    clock: Clock
    site: Site

    async def own(self, method: str, path: str, **body: Any) -> Any:
        """One of the twin's own routes."""
        answer = await self.http.request(method, f"/_twin/{path}", json=body, headers=ADMIN)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def call(self, spec: str, token: str, **options: Any) -> httpx.Response:
        method, path = spec.split()
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    async def told(self, spec: str, token: str, **options: Any) -> tuple[int, str]:
        """Status and message."""
        answer = await self.call(spec, token, **options)
        return answer.status_code, answer.json().get("message", "") if answer.content else ""

    async def assertion(self, **changed: Any) -> str:
        """What the App signs to call in its own name."""
        app = await self.own("GET", "app")
        moment = int(self.clock.now.timestamp())
        return jwt.encode(
            {"iss": str(app["id"]), "iat": moment, "exp": moment + 600, **changed}, app["private_key"], "RS256"
        )

    async def installation_token(self, account: str, **asked: Any) -> str:
        app = await self.own("GET", "app")
        (number,) = (each["id"] for each in app["installations"] if each["account"] == account)
        path = f"/app/installations/{number}/access_tokens"
        answer = await self.call(f"POST {path}", await self.assertion(), json=asked)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]


@asynccontextmanager
async def running(data: Path, **parts: Any) -> AsyncGenerator[Twin]:
    sockets = bind()
    base = f"http://localhost:{sockets[0].getsockname()[1]}"
    clock = Clock(datetime(2026, 5, 1, 12, tzinfo=UTC))
    site = Site("github", base, data, Secret("ghp_operator"), Secret("admin-token"), clock=clock)
    async with serving(build(site, **parts), sockets, drain=1), httpx.AsyncClient(base_url=base) as http:
        yield Twin(http, clock, site)
