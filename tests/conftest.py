"""What every test shares: one event loop back end, and an environment with nobody's credentials in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRUBBED = ("ANTHROPIC_", "NEON_", "RESEND_", "POSTHOG_", "GITHUB_", "E2B_", "MK0R_")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_credentials() -> Iterator[None]:
    """A developer's own keys must never be used by a test, nor change what it sees."""
    kept = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(SCRUBBED)}
    yield
    os.environ.update(kept)
