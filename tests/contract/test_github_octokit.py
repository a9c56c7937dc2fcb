"""The unmodified octokit, with its App, throttling and retries, under `node:test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.contract.conftest import Service

HERE = Path(__file__).parent / "github"


async def test_octokit_does_what_it_does_with_github(
    github: Service, node_tests: Callable[..., Awaitable[None]]
) -> None:
    await node_tests(HERE / "octokit.test.mjs", GITHUB_API_URL=github.base_url, GITHUB_TOKEN=github.key)


async def test_an_app_throttled_and_retried(github: Service, node_tests: Callable[..., Awaitable[None]]) -> None:
    if github.stack is None:
        pytest.skip("needs an App of the account's own, and faults")
    await node_tests(
        HERE / "app.test.mjs",
        GITHUB_API_URL=github.base_url,
        GITHUB_TWIN_URL=github.direct_url,
        GITHUB_TWIN_ADMIN=github.stack.facts.twins["github"].admin.reveal(),
        GITHUB_TOKEN=github.key,
    )
