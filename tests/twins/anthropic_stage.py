"""A rehearsal of its own for a test: a small example with two scripts, a clock that stands, and a key."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from server.secrets import Secret
from server.twins.anthropic import build
from server.twins.core import Site
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

KEY = "sk-ant-api03-local"
ADMIN = "admin"
SCRIPT = """
title = "Run tracker"
idea = "A run tracker"
subject = ["run"]

[[step]]
say = "I look and I write."
think = "A schema first."
[[step.call]]
tool = "get_env"
[[step.call]]
tool = "write_files"
files = ["server/schema.ts"]
change = [{ path = "server/schema.ts", from = "numeric", to = "nummeric" }]

[[step]]
say = "I check."
[[step.call]]
tool = "run_in_vm"
arguments = { command = "npm run check" }
expect = "fails"

[[step]]
when = "failed"
say = "It failed, I mend it."
[[step.call]]
tool = "write_files"
files = ["server/schema.ts"]
[[step.call]]
tool = "run_in_vm"
arguments = { command = "npm run db:migrate" }
needs = ["DATABASE_URL"]

[[step]]
lacks = ["DATABASE_URL"]
say = "Done, without a database."

[[step]]
needs = ["DATABASE_URL"]
say = "Done."
"""
SEQUEL = """
title = "Weekly goal"
idea = "Add a weekly goal"
subject = ["goal"]
after = "Run tracker"

[[step]]
say = "A goal it is."
"""
SCHEMA = 'const distance = numeric("distance_km")\n'
TOOLS: list[Any] = [
    {"name": name, "description": "", "input_schema": {"type": "object"}}
    for name in ("get_env", "run_in_vm", "write_files")
]


@dataclass
class Clock:
    now: datetime = field(default=datetime(2026, 1, 31, 9, 30, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Rehearsed:
    site: Site
    url: str
    examples: Path
    clock: Clock

    async def twin(self, method: str, path: str, body: Any = None) -> Any:
        """Call one of the twin's own `/_twin` routes."""
        async with httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {ADMIN}"}) as http:
            answer = await http.request(method, f"/_twin/{path}", json=body)
            answer.raise_for_status()
            return answer.json() if answer.content else None


@asynccontextmanager
async def rehearsing(folder: Path) -> AsyncGenerator[Rehearsed]:
    example = folder / "examples" / "run-tracker"
    (example / "app" / "server").mkdir(parents=True)
    (example / "app" / "server" / "schema.ts").write_text(SCHEMA)
    (example / "rehearsal").mkdir()
    (example / "rehearsal" / "script.toml").write_text(SCRIPT)
    (example / "rehearsal" / "weekly-goal.toml").write_text(SEQUEL)
    clock = Clock()
    site = Site("anthropic", "http://127.0.0.1:0", folder / "data", Secret(KEY), Secret(ADMIN), clock=clock)
    async with serving(build(site, scripts=example.parent), bind(), drain=1) as port:
        yield Rehearsed(site, f"http://127.0.0.1:{port}", example.parent, clock)
