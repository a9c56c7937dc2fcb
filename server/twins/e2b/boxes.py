"""Each sandbox's place on this machine: its folder, its user, its share, and the keeper that holds it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.local.identity import Identity, sandbox_identity
from server.twins.e2b import cgroups, mounts, namespaces, quota
from server.twins.e2b.channel import Keeper, Supervisor
from server.twins.e2b.errors import Died
from server.twins.e2b.guest import Guest
from server.twins.e2b.meter import Meter, Watched
from server.twins.e2b.notices import Notices
from server.twins.e2b.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from server.twins.e2b.cgroups import Group, Groups
    from server.twins.e2b.guards import Guards
    from server.twins.e2b.namespaces import Parts

EMPTY_TRIES, EMPTY_PAUSE = 200, 0.02
"""A dead sandbox's last process leaves its control group a moment after it has died."""

MEASURE_LIMIT = 30.0
"""Seconds for counting a sandbox's files."""


@dataclass(frozen=True)
class Ground:
    """What every sandbox of a twin stands on."""

    folder: Path
    parts: Parts
    pid_file: Path
    guards: Guards
    isolated: bool
    """Whether its sandboxes have namespaces."""


class Boxes:
    def __init__(self, ground: Ground, on_gone: Callable[[str], None]) -> None:
        self._ground = ground
        self._on_gone = on_gone
        self._supervisor: Supervisor | None = None
        self._users = Users(ground.folder, one_each=False)
        self.tell_apart = False
        self._groups: Groups | None = None
        self._group_of: dict[str, Group] = {}
        self._ahead: dict[str, asyncio.Task[Keeper]] = {}
        self._meter = Meter(ground.folder, ground.guards.shares, self._occupied)
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the folder, start the supervisor, and find out what this machine lets us do."""
        ground = self._ground
        self.tell_apart = await self._can_tell_apart()
        self._users = Users(ground.folder, one_each=self.tell_apart)
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
            for name in [*self._group_of]:
                await self._empty(name)
            self._groups.tidy()

    @property
    def hard_memory_limit(self) -> bool:
        """Whether the kernel itself holds a sandbox to its memory."""
        return self._groups is not None

    def group(self, sandbox_id: str) -> Group | None:
        return self._group_of.get(sandbox_id)

    def supervisor(self) -> Supervisor:
        """The supervisor, a new one if the old has died."""
        if self._supervisor is None or not self._supervisor.running:
            self._supervisor = Supervisor(sandbox_identity(), self._ground.pid_file)
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
        """A new sandbox's folder, empty, and the user it is for. Its keeper is started meanwhile: the kernel takes its
        time to admit one to a control group."""
        identity = self._users.take()
        folder = self.folder(sandbox_id)
        folder.mkdir(mode=0o700)
        identity.own(folder)
        self._ahead[sandbox_id] = asyncio.create_task(self._keeper(sandbox_id))
        return identity

    async def clear(self, sandbox_id: str) -> None:
        """Remove a dead sandbox's folder, as the user it was for."""
        if (ahead := self._ahead.pop(sandbox_id, None)) is not None:
            (await ahead).close()
        await self._empty(sandbox_id)
        folder = self.folder(sandbox_id)
        doomed = folder.with_name(f"{folder.name}.removed")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(doomed)
        with contextlib.suppress(FileNotFoundError):
            identity = self._users.of(doomed)
            await self.host(identity, "empty_home", folder=str(doomed))
            doomed.rmdir()
            self._users.give_back(identity)

    async def bring_up(self, sandbox_id: str, *, jail: Mapping[str, Any] | None = None) -> Guest:
        """Start a sandbox whose folder is there. Raises `StackError`."""
        ahead = self._ahead.pop(sandbox_id, None)
        keeper = await (ahead or self._keeper(sandbox_id))
        ground, guards, folder = self._ground, self._ground.guards, self.folder(sandbox_id)
        try:
            if jail is not None:
                await keeper.request("launch", jail=jail)
            else:
                given = await self._modules(keeper, folder)
                try:
                    await keeper.request(
                        "launch",
                        given,
                        argv=guards.arguments(ground.parts, folder, sandbox_id),
                        lower=str(namespaces.lower(ground.parts, folder)),
                        filter=base64.b64encode(guards.walls.filter).decode(),
                        sysctls=dict(guards.walls.sysctls),
                    )
                finally:
                    for mount in given:
                        os.close(mount)
        except BaseException:
            keeper.close()
            raise
        shares, group = guards.shares, self._group_of.get(sandbox_id)
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
        return self._users.of(folder).uid if self.tell_apart else None

    async def _occupied(self, folder: Path) -> list[int]:
        return await self.host(self._users.of(folder), "occupied", folder=str(folder), seconds=MEASURE_LIMIT)

    def _lost(self, sandbox_id: str) -> None:
        self._meter.drop(sandbox_id)
        self._on_gone(sandbox_id)

    async def _keeper(self, sandbox_id: str) -> Keeper:
        shares: list[int] = []
        try:
            if self._groups is not None:
                group = self._group_of[sandbox_id] = self._groups.make(sandbox_id, self._ground.guards.shares.memory)
                shares = group.admission()
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

    async def _modules(self, keeper: Keeper, folder: Path) -> list[int]:
        """The template's `node_modules` as the sandbox's own, where it is another's: a mount nobody else can see."""
        if not self._ground.parts.overlay or namespaces.lower(self._ground.parts, folder) == self._ground.parts.modules:
            return []
        reply = await keeper.request("users", known_as=self._ground.parts.modules.stat().st_uid)
        try:
            return [mounts.mapped(str(self._ground.parts.modules), reply["files"][0])]
        finally:
            for opened in reply["files"]:
                os.close(opened)

    async def _can_tell_apart(self) -> bool:
        """Whether each sandbox can have a user of its own: root can tell, and mounts of the template mapped to them."""
        if os.geteuid() != 0 or not self._ground.isolated or not self._ground.guards.one_user_each:
            return False
        if not self._ground.parts.overlay:
            return True
        some = Users(self._ground.folder, one_each=True).take()
        keeper = await self.supervisor().keep(some, [], lambda: None)
        try:
            reply = await keeper.request("users", known_as=sandbox_identity().uid)
            os.close(mounts.mapped(str(self._ground.parts.modules), reply["files"][0]))
            os.close(reply["files"][0])
        except (OSError, StackError):
            return False
        finally:
            keeper.close()
        return True

    async def _empty(self, sandbox_id: str) -> None:
        """Remove a dead sandbox's control group."""
        if (group := self._group_of.pop(sandbox_id, None)) is not None:
            for _ in range(EMPTY_TRIES):
                if group.remove():
                    return
                await asyncio.sleep(EMPTY_PAUSE)
