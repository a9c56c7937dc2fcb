"""A server of its own, in a process of its own, that may be killed at a named point. The one place that arms points.

A plan comes in as JSON; what came of it goes out as JSON, if the process lives to write it.
"""

# pyright: reportPrivateUsage=false
# (a test may look inside)

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server import crash
from server.app import open_core
from server.books.record import Session, SessionKey
from server.local import facts as remembered
from server.local.home import Home
from server.local.stack import settings_from
from server.pool import pool
from server.secrets import Secret
from server.settings import LEGS, LegName, Settings

if TYPE_CHECKING:
    from server.app import Core

ALIVE_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """What one life of a server does."""

    stack_file: str
    home: str
    result: str
    database_url: str | None
    secret_key: str
    session_key: str
    services: list[LegName] = field(default_factory=list["LegName"])
    ask: bool = True
    """Whether a caller asks for the services; else only what a start does by itself."""
    destroy: bool = False
    push: bool = False
    """Whether the caller pushes what is in the VM."""
    lose_vm: bool = False
    """Whether the VM is ended behind the server's back."""
    use_vm: bool = False
    """Whether the caller then calls something in the VM."""
    stop_at: str = ""
    """The point at which to be killed."""
    occasion: int = 1
    """At which of the point's occasions."""
    after_ms: int = 0
    """Killed so long after the point instead of at it: in the middle of whatever comes then."""
    asleep: bool = False
    """Stopped (SIGSTOP) at the point instead of killed."""
    newer: bool = False
    """A later release than the one before: what it does with a workflow is written otherwise."""
    pool: int | None = None
    """How many sessions to keep ahead; a life with a pool does nothing else, and ends when all is settled."""
    claim: bool = False
    """Whether a caller asks for one of them."""
    seconds: float = 30.0
    budget_seconds: float = 20.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Armed:
    """Ends, or stops, this process at its point."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = plan.occasion

    def __call__(self, point: str) -> None:
        if point not in crash.POINTS:
            raise AssertionError(f"{point} is not a named point")
        if point != self._plan.stop_at:
            return
        self._left -= 1
        if self._left == 0:
            kind = signal.SIGSTOP if self._plan.asleep else signal.SIGKILL
            if self._plan.after_ms:
                threading.Timer(self._plan.after_ms / 1000, os.kill, (os.getpid(), kind)).start()
            else:
                os.kill(os.getpid(), kind)


async def live(plan: Plan) -> dict[str, Any]:
    """One life: open everything, do what the plan says, wait for the session to settle."""
    found = remembered.load(Path(plan.stack_file))
    assert found is not None
    changes: dict[str, Any] = {
        "leg_budget_seconds": plan.budget_seconds,
        "worker_alive_seconds": ALIVE_SECONDS,
        "pool_size": plan.pool or 0,
        "secret_key": Secret(plan.secret_key),
        "database_url": Secret(plan.database_url) if plan.database_url else None,
        **dict.fromkeys(("limit_neon", "limit_resend", "limit_github", "limit_e2b"), "0"),
    }
    settings = Settings().with_local(settings_from(found)).model_copy(update=changes)
    key = SessionKey(plan.session_key)
    pool.LEFT_SECONDS, pool.IDLE_SECONDS = 1.0, 0.3
    from e2b import AsyncSandbox

    async with open_core(settings, Home(Path(plan.home)), at=Armed(plan)) as core:
        if plan.newer:
            core.durable.register("added-in-this-release", _added)
        core.durable.launch()
        if plan.pool is not None:
            return await _with_a_pool(core, plan, plan.pool)
        if plan.ask:
            core.sessions.open(key, services=tuple(plan.services))
            await core.provisioner.start(key.slug, plan.services)
        session = await core.provisioner.wait(key.slug, plan.seconds)
        if plan.push:
            await core.workbench.push(session, "All of it")
        if plan.lose_vm:
            await AsyncSandbox.kill(session.sandbox_id or "", **core.sandboxes.api())
        if plan.use_vm:
            await core.workbench.run(session, "true", cwd="/", seconds=10)
            session = core.sessions.by_slug(key.slug)
        if plan.destroy:
            await core.provisioner.destroy(key.slug)
        run = f"provision-{key.slug}-{session.generation}"
        async with asyncio.timeout(plan.seconds):
            while not await core.durable.is_over(run) or _ends(core.sessions.by_slug(key.slug)) or _is_at_work():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return core.sessions.by_slug(key.slug).model_dump(mode="json")


async def _with_a_pool(core: Core, plan: Plan, size: int) -> dict[str, Any]:
    """Until there are so many entries, all ready, and whatever was claimed or is to go is seen off."""

    async def shows(states: list[str]) -> None:
        while [entry.state for entry in core.pool._entries.all()] != states or _is_at_work():  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.01)

    async with asyncio.timeout(plan.seconds):
        if plan.claim:
            await shows(["ready"] * size)
            await core.pool.claim("a run tracker", LEGS)
        await shows(["ready"] * size)
    return {}


async def _added() -> None:
    """Code the engine takes into the version it would reckon by itself."""


def _is_at_work() -> bool:
    """Whether this very process still executes something, be it only that it gives way."""
    from dbos._dbos import _get_dbos_instance  # pyright: ignore[reportPrivateUsage]

    return bool(_get_dbos_instance()._active_workflows_set.activeList())


def _ends(session: Session) -> bool:
    return session.ending and session.state != "destroyed"


def main(line: str) -> int:
    plan = Plan(**json.loads(line))
    Path(plan.result).write_text(json.dumps(asyncio.run(live(plan))))
    return 0
