"""What the faults' tests share: the local stack's own vendors, both kinds of database, servers that may die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.crash_sweep import Sweep
from tests.faults.lives import Lives, lives
from tests.faults.stage import Stage
from tests.faults.stores import Cluster, books, cluster, store_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conftest import Stack

__all__ = ["books", "cluster", "store_url"]


@pytest.fixture(scope="session")
async def begun(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lives]:
    async with lives(tmp_path_factory.mktemp("lives")) as made:
        yield made


@pytest.fixture
def shared(stack: Stack, cluster: Cluster, begun: Lives, tmp_path: Path) -> Sweep:
    return Sweep(stack.facts, stack.home.stack_file, cluster, begun, tmp_path)


@pytest.fixture
def staged(stack: Stack, cluster: Cluster, begun: Lives, tmp_path: Path) -> Stage:
    return Stage(stack, cluster, begun, tmp_path)
