"""DBOS, and nothing else of it elsewhere: a workflow per session, a step per vendor call.

A workflow's id is its idempotency key. Outcomes are stored readable, so steps answer with references.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from server.books.database import is_away

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    import sqlalchemy as sa

# Runs begun under one version finish under it; raise it only with a change no running workflow can take. Another order
# of steps is none: a run whose journal no longer fits ends, and a new round takes what stands.
APPLICATION_VERSION = "1"
OVER = {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}
# An outage of the database is waited out for half a minute; after that `Provisioner.recover` begins a new round.
AWAY_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)


class Durable:
    """Workflows that continue where a killed process stopped."""

    def __init__(self, engine: sa.Engine, executor: str) -> None:
        self._engine = engine
        self.executor = executor
        self._workflows: dict[str, Any] = {}
        self._behind: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, name: str, story: Callable[..., Awaitable[Any]]) -> None:
        """Make `story` a workflow. All are registered before `launch`, which continues interrupted ones."""
        from dbos import DBOS

        async def workflow(*args: Any) -> Any:
            return await story(*args)

        workflow.__qualname__ = workflow.__name__ = name
        self._workflows[name] = DBOS.workflow(name=name)(workflow)

    def keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have `work` go on behind everything else, from the launch to the end."""
        self._behind.append(work)

    async def start(self, name: str, workflow_id: str, *args: Any) -> None:
        """Start the workflow, unless one of this id was started before."""
        from dbos import DBOS, SetWorkflowID

        async def begin() -> None:
            with SetWorkflowID(workflow_id):
                await DBOS.start_workflow_async(self._workflows[name], *args)

        # In a context of its own: a tool that a run's step calls may begin provisioning, and the engine
        # refuses a workflow inside a step.
        await asyncio.create_task(begin(), context=Context())

    async def is_over(self, workflow_id: str) -> bool:
        """Whether it has ended, well or badly; False for one that runs, waits to be continued, or never was."""
        from dbos import DBOS

        async def look() -> bool:
            status = await DBOS.get_workflow_status_async(workflow_id)
            return status is not None and status.status in OVER

        return await asyncio.create_task(look(), context=Context())

    async def step(self, name: str, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """`work`'s outcome, from the journal if an earlier life of this workflow had it."""
        from dbos import DBOS

        return await DBOS.run_step_async({"name": name}, work, *args)

    async def insist(self, name: str, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """A step that may be done over: it is, while the database is away."""
        return await self.step(name, patiently, work, *args)

    async def cancel(self, workflow_id: str) -> None:
        """Stop the workflow before its next step. One that has ended, or never was, is no error."""
        from dbos import DBOS

        await DBOS.cancel_workflow_async(workflow_id)

    async def executors(self) -> set[str]:
        """Whose workflows are under way: this process's own and every other's."""
        from dbos import DBOS

        running = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
        return {status.executor_id for status in running if status.executor_id}

    async def take_over(self, dead: set[str]) -> None:
        """Let any living process continue what these have left. Asked twice, by two, it happens once."""
        from dbos import DBOS

        recover: Any = DBOS._recover_pending_workflows  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the public way, resume, would also interrupt a workflow that another has just taken over
        await asyncio.to_thread(recover, sorted(dead))

    def launch(self) -> None:
        from dbos import DBOS

        DBOS.launch()
        self.go_on()

    def go_on(self) -> None:
        """Begin what goes on behind everything else."""
        self._tasks.update(asyncio.create_task(_going_on(work)) for work in self._behind)

    async def end_behind(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Open the engine's own tables; close with every workflow left where it is, to be continued."""
        from dbos import DBOS

        DBOS(
            config={
                "name": "mk0r",
                "system_database_engine": self._engine,
                "application_version": APPLICATION_VERSION,
                "executor_id": self.executor,
                "log_level": "ERROR",
                # Its listener sleeps this long at a time, and an end waits for it.
                "notification_listener_polling_interval_sec": 0.1,
            }
        )
        try:
            yield
        finally:
            await self.end_behind()
            # What runs now will find the engine gone: that leaves it where it is, and is no error.
            logging.getLogger("dbos").setLevel(logging.CRITICAL)
            DBOS.destroy(destroy_registry=True)
            # The engine made its own threads the loop's default and has just ended them.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


PAUSE_SECONDS = 5.0


async def patiently(work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """`work`'s outcome, done over while the database is away. Raises what it raises after half a minute of that."""
    for seconds in AWAY_SECONDS:
        try:
            return await work(*args)
        except Exception as error:
            if not is_away(error):
                raise
        await asyncio.sleep(seconds)
    return await work(*args)


async def _going_on(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """`work` again and again, whatever becomes of one go at it."""
    while True:
        try:
            await work()
        except Exception:
            logging.getLogger("mk0r").exception("background work failed")
        else:
            return
        await asyncio.sleep(PAUSE_SECONDS)
