"""The warm pool: whole sessions made ahead, each handed out once, refilled behind everything else.

An entry is made by the provisioner as any session is, and may be claimed once all of it stands and its app has
answered. A claim is one transaction and asks no vendor anything; the claimed VM, which may sleep, is woken after it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from server.crash import nowhere
from server.errors import LegError
from server.legs.deadline import within
from server.log import provisioning
from server.settings import LEGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from server.books.books import Books
    from server.books.record import SessionKey
    from server.crash import Crash
    from server.pool.claims import Claims
    from server.pool.entries import Entries
    from server.provision import Provisioner
    from server.settings import LegName
    from server.vm.machines import Machines
    from server.vm.sandbox import Sandboxes

BUSY_SECONDS = 0.25  # between two looks while something is being made
IDLE_SECONDS = 15.0
BURST_SECONDS = 0.1  # claims that come together go before the work they leave behind
WAKING_SECONDS = 80.0
LEFT_SECONDS = 10.0  # a claimed entry still here: the server that handed it out has died, or could not wake it
GIVEN_UP_SECONDS = 600.0


class Pool:
    """Keeps as many entries as it is told to, together with every other server on the same database."""

    def __init__(
        self,
        books: Books,
        entries: Entries,
        claims: Claims,
        *,
        provisioner: Provisioner,
        machines: Machines,
        sandboxes: Sandboxes,
        at: Crash = nowhere,
    ) -> None:
        self._books = books
        self._sessions = books.sessions
        self._entries = entries
        self._claims = claims
        self._provisioner = provisioner
        self._machines = machines
        self._sandboxes = sandboxes
        self._at = at
        self._changed = asyncio.Event()
        self._fresh: set[str] = set()
        """Claimed here, and not handed over yet."""
        self._busy: set[str] = set()

    async def claim(self, idea: str, services: Collection[LegName]) -> SessionKey | None:
        """The key of a session made ahead, which is the caller's alone from now on; None: begin one as usual."""
        if not self._entries.size or set(services) != set(LEGS):
            return None
        key = await asyncio.to_thread(self._claims.take, idea)
        if key is None:
            return None
        self._at("pool.claimed")
        provisioning(key.slug, "claimed")
        self._fresh.add(key.slug)
        self._changed.set()
        return key

    def view(self) -> dict[str, int]:
        """How many entries there should be, how many there are, and how many failed within the hour."""
        states = [entry.state for entry in self._entries.all()]
        return {"size": self._entries.size, **{state: states.count(state) for state in ("ready", "making", "failed")}}

    async def keep(self) -> None:
        """Have the pool as it should be, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                pause = BUSY_SECONDS if await self._tend(tasks) else IDLE_SECONDS
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                        await asyncio.sleep(BURST_SECONDS)

    async def _tend(self, tasks: asyncio.TaskGroup) -> bool:
        """One look at every entry; whether any is being made."""
        if not (self._entries.size or self._entries.all()):
            return False
        self._entries.bury()
        for slug in self._entries.retire():
            self._at("pool.retired")
            self._behind(tasks, slug, self._destroy)
        while await asyncio.to_thread(self._entries.reserve):
            pass  # begun below, as is one whose server died right here
        entries = self._entries.all()
        for entry in entries:
            if entry.state == "making" and await self._has_failed(entry.slug):
                self._behind(tasks, entry.slug, self._destroy)
            elif entry.state == "claimed" and (entry.slug in self._fresh or entry.seconds > LEFT_SECONDS):
                self._fresh.discard(entry.slug)
                if entry.seconds > GIVEN_UP_SECONDS:
                    self._claims.handed_over(entry.slug, None)
                else:
                    self._behind(tasks, entry.slug, self._hand_over)
        return any(entry.state == "making" for entry in entries)

    async def _has_failed(self, slug: str) -> bool:
        """Whether an entry that was being made has to be destroyed, by us."""
        session = self._sessions.by_slug(slug)
        if session.state == "provisioning":
            if session.generation == 0 and not session.ending:
                await self._provisioner.start(slug, LEGS)
            return False
        if session.ending or not await self._provisioner.is_over(session):
            return False
        answered = any(event.type == "preview.ready" for event in self._books.events.since(slug, 0))
        if session.state == "ready" and answered:
            self._entries.keep(slug)
            provisioning(slug, "kept")
            return False
        return self._entries.fail(slug)

    async def _hand_over(self, slug: str) -> None:
        """Wake the claimed VM, and tell that its app can be seen. Where that fails, it is tried again for a while."""
        session = self._sessions.by_slug(slug)
        if session.has_ended:
            return
        async with within(WAKING_SECONDS):
            up, replaced = await self._machines.use(session, self._wake)
        # Another VM's preview was told when it was made.
        self._claims.handed_over(slug, session.preview_url if up and not replaced else None)

    async def _wake(self, sandbox_id: str) -> bool:
        await self._sandboxes.wake(sandbox_id)
        return await self._sandboxes.answers(sandbox_id)

    async def _destroy(self, slug: str) -> None:
        await self._provisioner.destroy(slug)

    def _behind(self, tasks: asyncio.TaskGroup, slug: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Do it behind everything else, once at a time; what fails is taken up again by somebody later."""

        async def doing() -> None:
            try:
                await work(slug)
            except (LegError, TimeoutError) as error:
                logging.getLogger("mk0r").warning("%s of the pool: %s", slug, error)
            except Exception:
                logging.getLogger("mk0r").exception("%s of the pool", slug)
            else:
                self._changed.set()
            finally:
                self._busy.discard(slug)

        if slug not in self._busy:
            self._busy.add(slug)
            tasks.create_task(doing())
