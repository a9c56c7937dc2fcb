"""What a session's VM must not be without: `/app/.env`, its run-time facts and the skill."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from server import dotenv
from server.books.record import Problem
from server.crash import nowhere
from server.errors import LegError, UnknownSession
from server.log import provisioning
from server.secrets import Secret
from server.vm.errors import GONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.books.books import Books
    from server.books.record import Session
    from server.crash import Crash
    from server.legs import Intent, Resources
    from server.vm.checkout import Checkout
    from server.vm.sandbox import Sandboxes

SKILL = Path(__file__).parent.parent / "skills" / "backend-services"
SKILL_IN_VM = "/root/.claude/skills/backend-services"
ENV, FACTS = "/app/.env", "/run/brd.conf"
JOBS_TOKEN = "MK0R_JOBS_TOKEN"  # noqa: S105 - its name
REWRITES = 5


class Environment:
    """Writes it, and writes it again when it was lost or is no longer true."""

    def __init__(
        self,
        books: Books,
        sandboxes: Sandboxes,
        checkout: Checkout,
        *,
        clock: Callable[[], float] = time.monotonic,
        at: Crash = nowhere,
    ) -> None:
        self._books = books
        self._sessions = books.sessions
        self._sandboxes = sandboxes
        self._checkout = checkout
        self._clock = clock
        self._at = at
        sandboxes.on_waking = self.mend

    async def furnish(self, intent: Intent, made: Resources) -> Resources:
        """The skill, the session's run-time facts and its pushed code, there before anybody works in the VM.

        The reference tells from then on with which commit the VM began. The token is the one an earlier VM had.
        """
        token = self._books.vault.get(intent.app_id.removeprefix("mk0r-"), legs=["vm"]).get(JOBS_TOKEN)
        made = replace(made, env={JOBS_TOKEN: token or Secret("mk0rj_" + token_urlsafe(16))})
        sandbox_id = made.reference["sandbox_id"]
        await self._tell(intent.app_id, sandbox_id)
        if intent.attempt == 1:
            return made  # nobody can have pushed
        session = self._sessions.by_slug(intent.app_id.removeprefix("mk0r-"))
        commit = await self._checkout.bring(session, sandbox_id)
        if commit is None:
            return made
        self._books.events.append(session.slug, "code.restored", {"commit": commit})
        self._at("vm.restored")
        return replace(made, reference={**made.reference, "commit": commit})

    async def _tell(self, app_id: str, sandbox_id: str) -> None:
        slug = app_id.removeprefix("mk0r-")
        facts = f"MK0R_SLUG={slug}\nMK0R_APP_ID={app_id}\nMK0R_APP_PORT=5173\n"
        await self._sandboxes.write(sandbox_id, {FACTS: facts, **_skill()})

    async def write(self, slug: str) -> Problem | None:
        """Put every name that exists into `/app/.env`. Says what is wrong instead of raising it."""
        began = self._clock()
        session = self._sessions.by_slug(slug)
        try:
            if "commit" in session.leg("vm").reference and session.sandbox_id is not None:
                await self._install_packages(slug, session.sandbox_id)  # before the write, which restarts the app
            names = await self._write(session)
        except LegError as error:
            return Problem.of(error)
        ms = round((self._clock() - began) * 1000)
        if session.sandbox_id is not None:
            self._books.events.append(slug, "env.written", {"names": names, "ms": ms})
            provisioning(slug, "env", names=",".join(names), ms=ms)
        return None

    async def _install_packages(self, slug: str, sandbox_id: str) -> None:
        """Without them the app may not start; the VM and everything else works, so it is told and no more."""
        if not await self._checkout.install(sandbox_id):
            self._books.events.append(slug, "packages.missing", {})
            provisioning(slug, "packages missing")

    async def _write(self, session: Session) -> list[str]:
        """Write until what was written is still so afterwards: another round may have ended meanwhile."""
        written: str | None = None
        names: list[str] = []
        for _ in range(REWRITES):
            values = self.values(session)
            names, text = list(values), dotenv.render(values)
            if session.sandbox_id is None or text == written:
                break
            self._at("env.writing")
            await self._sandboxes.replace_private(session.sandbox_id, ENV, text)
            self._at("env.written")
            written, session = text, self._sessions.by_slug(session.slug)
        return names

    def values(self, session: Session) -> dict[str, Any]:
        """Each standing leg's values, in the legs' order, each leg's in its own."""
        secrets = self._books.vault.get(session.slug)
        return {n: secrets[n] for leg in session.legs if leg.stands for n in leg.env_names}

    async def mend(self, app_id: str, sandbox_id: str) -> None:
        """Write what a VM has lost while it slept. One that cannot be written is left to whoever works in it."""
        if not app_id:
            return  # no session's
        try:
            session = self._sessions.by_slug(app_id.removeprefix("mk0r-"))
            if session.sandbox_id != sandbox_id or await self._sandboxes.holds(sandbox_id, ENV, FACTS):
                return
            await self._tell(app_id, sandbox_id)
            await self._write(session)
        except (LegError, UnknownSession) as error:
            logging.getLogger("mk0r").warning("a VM of %s was not mended: %s", app_id, error.message)

    async def is_gone(self, sandbox_id: str) -> bool:
        """Whether E2B itself says so. Raises `LegError` where it says nothing."""
        try:
            await self._sandboxes.open(sandbox_id)
        except LegError as error:
            if error.code != GONE:
                raise
            return True
        return False

    async def answers(self, session: Session) -> bool:
        """Whether the app's page comes within a minute."""
        if session.sandbox_id is None:
            return False
        try:
            return await self._sandboxes.answers(session.sandbox_id)
        except LegError:
            return False


@cache
def _skill() -> dict[str, str]:
    """The skill's files by where they are in a VM."""
    return {f"{SKILL_IN_VM}/{path.relative_to(SKILL)}": path.read_text() for path in sorted(SKILL.rglob("*.md"))}
