"""Starts the twins' process and waits until every twin answers, at the ports the stack remembers for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from server.errors import StackError
from server.local import facts as remembered
from server.local import processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import Popen

    from server.local.facts import StackFacts
    from server.local.home import Home

START_SECONDS = 60.0
TRIES = 3


async def start(home: Home, facts: StackFacts, environ: Mapping[str, str]) -> StackFacts:
    """End what is left of an earlier one and start another. The facts say where the twins are then.

    Raises `StackError`. A port that another program takes between our look and our listening costs a try.
    """
    await asyncio.to_thread(processes.end, processes.twins_processes(home))
    for last in [False] * (TRIES - 1) + [True]:
        facts = _with_free_ports(facts)
        remembered.save(home.stack_file, facts)
        process = processes.spawn_twins(home, environ)
        try:
            await _until_healthy(process, home, facts)
        except StackError:
            if last or _has_its_ports(facts):
                raise
        else:
            return facts.with_pid("twins", process.pid)
    raise AssertionError("unreachable")


async def _until_healthy(process: Popen[bytes], home: Home, facts: StackFacts) -> None:
    log = home.logs / "twins.log"
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await processes.healthy(facts):
                _check_runs(process, log)
                await asyncio.sleep(0.02)
    except BaseException as error:
        if process.poll() is None:
            await asyncio.to_thread(processes.end, [psutil.Process(process.pid)])
        if isinstance(error, TimeoutError):
            raise StackError(
                f"The local services did not answer within {START_SECONDS:.0f} s.", next_action=f"See {log}."
            ) from error
        raise


def _check_runs(process: Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise StackError(
            f"The local services stopped while starting (exit {process.returncode}).", next_action=f"See {log}."
        )


def _has_its_ports(facts: StackFacts) -> bool:
    """Whether nobody else has them; asked when our own process has ended."""
    return all(remembered.port_is_free(twin.port) for twin in facts.twins.values())


def _with_free_ports(facts: StackFacts) -> StackFacts:
    """`facts`, a twin whose port another program took meanwhile moved to a free one."""
    taken = {facts.postgres_port, *(twin.port for twin in facts.twins.values())}
    moved = {
        vendor: twin if remembered.port_is_free(twin.port) else replace(twin, port=remembered.free_port(taken))
        for vendor, twin in facts.twins.items()
    }
    return replace(facts, twins=moved)
