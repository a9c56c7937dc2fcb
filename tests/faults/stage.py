"""What a long run stands on outside a test suite: vendors of its own, a PostgreSQL, servers that may die."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from server.local import stack
from server.local.facts import VENDORS
from server.local.home import Home
from tests import prepared
from tests.conftest import Stack
from tests.faults.lives import Lives, lives
from tests.faults.stores import Cluster, start_cluster, stop_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True)
class Stage:
    """`folder` is for whatever a run writes down."""

    stack: Stack
    cluster: Cluster
    lives: Lives
    folder: Path

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def new_store(self, kind: str, folder: Path) -> tuple[str, str | None]:
        """The URL of an empty database of this kind, and what a server is told of it."""
        if kind == "sqlite":
            return f"sqlite:///{Home(folder).database}", None
        url = self.cluster.new_database()
        return url, url


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    """The twins without their limits. Everything begun here is gone at the end."""
    async with AsyncExitStack() as closing:
        home, books = (Home(Path(tempfile.mkdtemp(prefix="mk0r-faults-"))) for _ in range(2))
        closing.callback(prepared.remove, home)
        await prepared.make_template()
        prepared.link_template(home)
        facts = await stack.up(home, lambda _: None, which=VENDORS, environ=os.environ)
        closing.push_async_callback(stack.down, home)
        running = Stack(home, facts)
        for vendor in facts.twins:
            await running.twin(vendor, "PUT", "limits", {"enforced": False})
        cluster = await start_cluster(books)
        closing.push_async_callback(stop_cluster, books)
        begun = await closing.enter_async_context(lives(home.logs))
        yield Stage(running, cluster, begun, home.root)
