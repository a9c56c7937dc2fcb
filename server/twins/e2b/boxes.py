"""Each sandbox's place on this machine: its folder, its user, its share, and the keeper that holds it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b import cgroups, namespaces, quota
from server.twins.e2b.errors import Died
from server.twins.e2b.ground import Ground, can_tell_apart, modules
from server.twins.e2b.guest import Guest
from server.twins.e2b.meter import Meter, Watched
from server.twins.e2b.notices import Notices
from server.twins.e2b.supervision import Keeper, Supervisor
from server.twins.e2b.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from server.local.identity import Identity
    from server.twins.e2b.cgroups import Group, Groups

REMOVED = ".removed"
MEASURE_LIMIT = 30.0
"""Seconds for counting a sandbox's files."""


class Boxes:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._on_gone: Callable[[str], None] = lambda _: None
        self._supervisor: Supervisor | None = None
        self._users = Users(ground.folder, ground.guards.identity(), one_each=False)
        self._tell_apart = False
        self._groups: Groups | None = None
        self._ahead: dict[str, asyncio.Task[Keeper]] = {}
        self._meter = Meter(ground.folder, ground.guards.shares, self._occupied)
        self._watching: asyncio.Task[None] | None = None

    async def open(self, on_gone: Callable[[str], None]) -> None:
        """Make the folder, start the supervisor, and find out what this machine lets us do. `on_gone` hears the name of
        a sandbox that is not up any more, whoever ended it."""
        ground, self._on_gone = self._ground, on_gone
        self._tell_apart = await can_tell_apart(ground, self.supervisor())
        self._users = Users(ground.folder, ground.guards.identity(), one_each=self._tell_apart)
        ground.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(ground.folder, 0, 0)
        ground.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._users.look()
        if ground.guards.control_groups:
            self._groups = await asyncio.to_thread(cgroups.find, ground.folder.parent.name)
        if ground.guards.watch and sys.platform == "linux":
            self._watching = asyncio.create_task(self._meter.run())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._supervisor is not None:
            await self._supervisor.stop()
        if self._groups is not None:
            await self._groups.close()

    def group(self, sandbox_id: str) -> Group | None:
        return self._groups.made.get(sandbox_id) if self._groups is not None else None

    def supervisor(self) -> Supervisor:
        """The supervisor, a new one if the old has died."""
        if self._supervisor is None or not self._supervisor.running:
            self._supervisor = Supervisor(self._ground.guards.identity(), self._ground.pid_file)
            self._supervisor.start()
        return self._supervisor

    def folder(self, sandbox_id: str) -> Path:
        return self._ground.folder / sandbox_id

    def user(self, sandbox_id: str) -> Identity:
        return self._users.of(self.folder(sandbox_id))

    async def host(self, identity: Identity, function: str, **arguments: Any) -> Any:
        """Run one of `inside`'s functions on this machine, as `identity`. Raises `FileTrouble`."""
        about = {"uid": identity.uid, "gid": identity.gid}
        try:
            return (await self.supervisor().call(function, about=about, **arguments))[0]
        except Died:  # it was the old one
            return (await self.supervisor().call(function, about=about, **arguments))[0]

    async def settle(self, sandbox_id: str) -> Identity:
        """A new sandbox's folder, empty, and the user it is for.

        Its keeper is started meanwhile: the kernel takes its time to admit one to a control group.
        """
        identity = self._users.take()
        folder = self.folder(sandbox_id)
        folder.mkdir(mode=0o700)
        identity.own(folder)
        self._ahead[sandbox_id] = asyncio.create_task(self._keeper(sandbox_id))
        return identity

    async def clear(self, sandbox_id: str) -> None:
        """Remove a dead sandbox's folder."""
        if (ahead := self._ahead.pop(sandbox_id, None)) is not None:
            (await ahead).close()
        if self._groups is not None:
            await self._groups.remove(sandbox_id)
        with contextlib.suppress(FileNotFoundError):
            folder = self.folder(sandbox_id)
            await self._discard(folder.rename(folder.with_name(f"{folder.name}{REMOVED}")))

    async def sweep(self) -> None:
        """Remove the folders an earlier twin had begun to."""
        for doomed in self._ground.folder.glob(f"*{REMOVED}"):
            await self._discard(doomed)

    async def _discard(self, doomed: Path) -> None:
        """As the user it was for: what is in it was never ours to follow."""
        identity = self._users.of(doomed)
        await self.host(identity, "empty_home", folder=str(doomed))
        os.rmdir(doomed)  # noqa: PTH106 - one system call, and nobody waits for it
        self._users.give_back(identity)

    async def bring_up(self, sandbox_id: str, *, jail: Mapping[str, Any] | None = None) -> Guest:
        """Start a sandbox whose folder is there. Raises `StackError`."""
        ahead = self._ahead.pop(sandbox_id, None)
        keeper = await (ahead or self._keeper(sandbox_id))
        folder, guards = self.folder(sandbox_id), self._ground.guards
        try:
            await (self._launch(keeper, folder) if jail is None else keeper.request("launch", jail=jail))
        except BaseException:
            keeper.close()
            raise
        shares, group = guards.shares, self.group(sandbox_id)
        guest = Guest(sandbox_id, keeper, walls=guards.walls, notices=Notices(shares.memory, group))
        self._meter.add(
            sandbox_id,
            Watched(
                keeper.pid,
                folder,
                guest.notices,
                memory=group is None,
                disk=not quota.set_for(self._of_its_own(folder), folder, shares),
                end_all=partial(guest.signal_all, signal.SIGKILL),
            ),
        )
        return guest

    def _of_its_own(self, folder: Path) -> int | None:
        """The user of a sandbox, if no other sandbox has the same."""
        return self._users.of(folder).uid if self._tell_apart else None

    async def _occupied(self, folder: Path) -> list[int]:
        return await self.host(self._users.of(folder), "occupied", folder=str(folder), seconds=MEASURE_LIMIT)

    def _lost(self, sandbox_id: str) -> None:
        self._meter.drop(sandbox_id)
        self._on_gone(sandbox_id)

    async def _keeper(self, sandbox_id: str) -> Keeper:
        shares: list[int] = []
        try:
            if self._groups is not None:
                shares = self._groups.make(sandbox_id, self._ground.guards.shares.memory).admission()
            identity, gone = self._users.of(self.folder(sandbox_id)), partial(self._lost, sandbox_id)
            try:
                return await self.supervisor().keep(identity, shares, gone)
            except Died:  # it was the old one
                return await self.supervisor().keep(identity, shares, gone)
        except OSError as error:
            raise StackError(f"A sandbox could not get its share of this machine ({error.strerror}).") from error
        finally:
            for share in shares:
                os.close(share)

    async def _launch(self, keeper: Keeper, folder: Path) -> None:
        ground, walls = self._ground, self._ground.guards.walls
        given = await modules(ground, keeper, folder)
        try:
            await keeper.request(
                "launch",
                given,
                argv=ground.guards.arguments(ground.parts, folder, folder.name),
                lower=str(namespaces.lower(ground.parts, folder)),
                filter=base64.b64encode(walls.filter).decode(),
                sysctls=dict(walls.sysctls),
            )
        finally:
            for mount in given:
                os.close(mount)
