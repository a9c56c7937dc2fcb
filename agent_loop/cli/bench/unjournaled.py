"""`python -P -m agent_loop.cli.bench.unjournaled`: the server with nothing journalled, to measure what that costs.

The same story, without the workflow engine: a process that dies loses what it was doing. Nobody is offered this.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from server.durable import Durable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import sqlalchemy as sa


class Unjournaled(Durable):
    """Runs each workflow once, from the beginning to the end, in this process."""

    def __init__(self, engine: sa.Engine, executor: str) -> None:
        super().__init__(engine, executor)
        self._runs: dict[str, asyncio.Task[Any]] = {}

    def register(self, name: str, story: Callable[..., Awaitable[Any]]) -> None:
        self._workflows[name] = story

    async def start(self, name: str, workflow_id: str, *args: Any) -> None:
        if workflow_id not in self._runs:
            self._runs[workflow_id] = asyncio.ensure_future(self._workflows[name](*args))

    async def is_over(self, workflow_id: str) -> bool:
        return workflow_id in self._runs and self._runs[workflow_id].done()

    async def step(self, name: str, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return await work(*args)

    insist = step

    async def cancel(self, workflow_id: str) -> None:
        if run := self._runs.get(workflow_id):
            run.cancel()

    def launch(self) -> None:
        self.go_on()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.end_behind()


def main() -> int:
    from agent_loop.web.__main__ import main as server
    from agent_loop.web.boot import open_local

    return server(partial(open_local, workflows=Unjournaled))


if __name__ == "__main__":
    sys.exit(main())
