"""DBOS, and nothing else of it elsewhere: a workflow per session, a step per vendor call.

A workflow's id is its idempotency key. Outcomes are stored readable, so steps answer with references.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import sqlalchemy as sa

# Runs begun under one version finish under it; raise it only with a change no running workflow can take.
APPLICATION_VERSION = "1"


class Durable:
    """Workflows that continue where a killed process stopped."""

    def __init__(self, engine: sa.Engine, executor: str) -> None:
        self._engine = engine
        self._executor = executor
        self._workflows: dict[str, Any] = {}

    def register(self, name: str, story: Callable[..., Awaitable[Any]]) -> None:
        """Make `story` a workflow. All are registered before `launch`, which continues interrupted ones."""
        from dbos import DBOS

        async def workflow(*args: Any) -> Any:
            return await story(*args)

        workflow.__qualname__ = workflow.__name__ = name
        self._workflows[name] = DBOS.workflow(name=name)(workflow)

    async def start(self, name: str, workflow_id: str, *args: Any) -> None:
        """Start the workflow, unless one of this id was started before."""
        from dbos import DBOS, SetWorkflowID

        async def begin() -> None:
            with SetWorkflowID(workflow_id):
                await DBOS.start_workflow_async(self._workflows[name], *args)

        # In a context of its own: a tool that a run's step calls may begin provisioning, and the engine
        # refuses a workflow inside a step.
        await asyncio.create_task(begin(), context=Context())

    async def step(self, name: str, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """`work`'s outcome, from the journal if an earlier life of this workflow had it."""
        from dbos import DBOS

        return await DBOS.run_step_async({"name": name}, work, *args)

    async def cancel(self, workflow_id: str) -> None:
        """Stop the workflow before its next step. One that has ended, or never was, is no error."""
        from dbos import DBOS

        await DBOS.cancel_workflow_async(workflow_id)

    def launch(self) -> None:
        from dbos import DBOS

        DBOS.launch()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Open the engine's own tables; close with every workflow left where it is, to be continued."""
        from dbos import DBOS

        DBOS(
            config={
                "name": "mk0r",
                "system_database_engine": self._engine,
                "application_version": APPLICATION_VERSION,
                "executor_id": self._executor,
                "log_level": "ERROR",
                # Its listener sleeps this long at a time, and an end waits for it.
                "notification_listener_polling_interval_sec": 0.1,
            }
        )
        try:
            yield
        finally:
            DBOS.destroy(destroy_registry=True)
            # The engine made its own threads the loop's default and has just ended them.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
