"""Every attempt to get out of a sandbox fails; and succeeds with its guard lifted, or it would prove nothing.

The tables are in `probes_*.py`. Each time, one attempt for every guard is made with that guard lifted; with
`MK0R_EVERY_PROBE=1` all of them are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.twins.e2b import tier
from server.twins.e2b.guards import Guards
from tests.security import probes_files, probes_processes, probes_shares, probes_sockets
from tests.security.host import Host
from tests.security.probe import as_usual
from tests.security.world import made

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.security.probe import Guard, Probe
    from tests.security.world import World

pytestmark = [
    pytest.mark.skipif(tier.probe().name != "namespaces", reason="no user namespaces on this machine"),
    pytest.mark.skipif(shutil.which("python3", path="/usr/bin") is None, reason="the attempts are made in Python"),
]

PROBES = (*probes_files.PROBES, *probes_processes.PROBES, *probes_sockets.PROBES, *probes_shares.PROBES)
EVERY = os.environ.get("MK0R_EVERY_PROBE") == "1"


def possible(probe: Probe) -> bool:
    return probe.needs is bool or probe.needs()


def alternatives() -> list[list[Probe]]:
    """What is tried with a guard lifted: of each list, the last that this machine can try.

    Which those are is asked when the test runs: what is collected must be the same in every process of a run.
    """
    if EVERY:
        return [[probe] for probe in PROBES]
    by_guard: dict[Guard, list[Probe]] = {}
    for probe in PROBES:
        by_guard.setdefault(probe.guard, []).append(probe)
    return [*by_guard.values()]


class Worlds:
    """One world as usual, kept from attempt to attempt, and others where an attempt needs another."""

    def __init__(self, host: Host, root: Path) -> None:
        self._host = host
        self._root = root
        self._found = tier.probe(root / "bubblewrap")
        self._usual: World | None = None
        self._closing = AsyncExitStack()
        self._made = 0

    async def attempt(self, probe: Probe, *, lifted: bool) -> bool:
        guards = probe.guards(lifted=lifted)
        if as_usual(guards):
            world = await self._as_usual()
            succeeded = await world.attempt(probe, guards.walls)
            world.spent |= succeeded and guards.walls.capabilities  # what such a one did to the mounts is there to stay
            return succeeded
        async with made(self._host, self._folder(), guards, self._found) as world:
            return await world.attempt(probe, guards.walls)

    async def _as_usual(self) -> World:
        if self._usual is None or self._usual.spent:
            await self.close()
            self._usual = await self._closing.enter_async_context(
                made(self._host, self._folder(), Guards(), self._found)
            )
        return self._usual

    def _folder(self) -> Path:
        self._made += 1
        folder = self._root / str(self._made)
        folder.mkdir()
        return folder

    async def close(self) -> None:
        await self._closing.aclose()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder any user can reach; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="mk0r-probes-") as folder:
        Path(folder).chmod(0o755)
        Path(folder, "host").mkdir()
        yield Path(folder)


@pytest.fixture(scope="module")
async def worlds(place: Path) -> AsyncIterator[Worlds]:
    async with Host(place / "host").open() as host:
        worlds = Worlds(host, place)
        yield worlds
        await worlds.close()


def test_there_are_at_least_sixty_attempts() -> None:
    assert sum(map(possible, PROBES)) >= 60
    assert len({probe.name for probe in PROBES}) == len(PROBES)


def named(probe: Probe) -> str:
    return probe.name


@pytest.mark.parametrize("probe", PROBES, ids=named)
async def test_nobody_can(worlds: Worlds, probe: Probe) -> None:
    if not possible(probe):
        pytest.skip("cannot be tried on this machine")
    assert not await worlds.attempt(probe, lifted=False)


@pytest.mark.parametrize("probes", alternatives(), ids=lambda probes: named(probes[-1]))
async def test_without_its_guard_anybody_could(worlds: Worlds, probes: list[Probe]) -> None:
    probe = next((each for each in reversed(probes) if possible(each)), None)
    if probe is None:
        pytest.skip("cannot be tried on this machine")
    assert await worlds.attempt(probe, lifted=True), f"{probe.name}: it is not {probe.guard.name} that stops this"
