"""What the server's tests share: its books in both kinds of database."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from server.local.home import Home
from server.secrets import Secret
from tests.faults.stores import books, cluster, store_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.app import Core
    from tests.conftest import Stack

__all__ = ["books", "cluster", "store_url"]


@pytest.fixture
async def core(stack: Stack, tmp_path: Path, store_url: str) -> AsyncIterator[Core]:
    """A server's core on the local stack, in each kind of database."""
    from server.app import open_core
    from server.local.stack import settings_from
    from server.settings import Settings

    changes = {"leg_budget_seconds": 15, "limit_resend": "0", "public_url": "http://localhost:1"}
    if store_url.startswith("postgresql"):
        changes |= {"database_url": Secret(store_url), "secret_key": Secret(Fernet.generate_key().decode())}
    settings = Settings().with_local(settings_from(stack.facts)).model_copy(update=changes)
    async with AsyncExitStack() as closing:
        core = await closing.enter_async_context(open_core(settings, Home(tmp_path)))
        core.durable.launch()
        yield core
        await stack.heal()
        for session in core.sessions.all():
            await core.provisioner.destroy(session.slug)
