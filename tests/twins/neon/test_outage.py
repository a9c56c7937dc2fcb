"""PostgreSQL dies alone, and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING

from server.local import postgres as embedded
from server.local.home import Home
from server.local.postgres import PostgresServer
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.twins.neon.conftest import Neon


async def test_the_twin_says_503_while_it_is_away_and_goes_on_when_it_is_back(
    tmp_path: Path, twin_on: Callable[..., AbstractAsyncContextManager[Neon]]
) -> None:
    home, binaries, password = Home(tmp_path / "home"), embedded.find_binaries({}), Secret("superuser's")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    await embedded.prepare(home, binaries, lambda _: None)
    pid = await embedded.start(home, binaries, port, password)
    postgres = PostgresServer("localhost", port, "postgres", password, binaries.major, embedded.socket_dir(home))
    try:
        async with twin_on(postgres, tmp_path / "twin", spares=1) as neon:
            made = await neon.project(name="kept")
            uri = neon.uri_of(made)
            await neon.rows(uri, "create table kept as select 42 as n")
            os.kill(pid, signal.SIGKILL)

            refused = await neon.api.post("/api/v2/projects", json={"project": {"name": "meanwhile"}})
            assert refused.status_code == 503
            lost = await neon.sql(uri, {"query": "select 1"})
            assert (lost.status_code, lost.json()["message"]) == (500, "couldn't connect to compute node")
            listed = await neon.call("GET", "/projects", search="meanwhile")
            assert listed["projects"] == [], "what was refused was not made"
            [known] = (await neon.call("GET", "/projects", search="kept"))["unavailable_project_ids"]

            await embedded.start(home, binaries, port, password)
            assert known == made["project"]["id"], "a project whose figures cannot be had is said to exist"
            assert await neon.rows(uri, "select n from kept") == [["42"]]
            assert await neon.rows(await neon.uri(), "select 1") == [["1"]]
    finally:
        await embedded.stop(home, binaries)
        shutil.rmtree(home.stack, ignore_errors=True)
