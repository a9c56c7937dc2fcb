"""A session's VM as its callers need it: waited for while it is made, woken, and replaced when it is gone for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from server.errors import LegError
from server.vm.errors import GONE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.books.record import Session
    from server.provision import Provisioner
    from server.vm.sandbox import Sandboxes

Result = TypeVar("Result")
WAIT_SECONDS = 50.0
"""A caller is kept no longer for a VM that is being made; `get_session` tells when it is there."""


class Machines:
    """The one door to a session's VM for everything that works in it."""

    def __init__(self, provisioner: Provisioner, sandboxes: Sandboxes) -> None:
        self._provisioner = provisioner
        self._sandboxes = sandboxes

    async def use(self, session: Session, act: Callable[[str], Awaitable[Result]]) -> tuple[Result, str]:
        """What `act` comes to, given the sandbox's id, and what its caller has to know: empty, or that all is new.

        Raises `LegError`: `no_vm` where there is none, `vm_replacing` where one takes long to replace.
        """
        if session.sandbox_id is None and session.state == "provisioning":
            session = await self._provisioner.wait(session.slug, WAIT_SECONDS)
        sandbox_id = _vm(session)
        try:
            return await act(sandbox_id), ""
        except LegError as error:
            if error.code != GONE:
                raise
        session = await self._replaced(session.slug, sandbox_id)
        return await act(_vm(session)), new_vm(session)

    async def restore(self, session: Session) -> None:
        """Have the VM awake and whole and, where it can be, its app up. Raises `LegError`."""

        async def act(sandbox_id: str) -> None:
            await self._sandboxes.wake(sandbox_id)
            await self._sandboxes.answers(sandbox_id)

        await self.use(session, act)

    async def _replaced(self, slug: str, sandbox_id: str) -> Session:
        """The session with another VM than this one, its app up if it can be. Raises `LegError`."""
        session = await self._provisioner.replace(slug, sandbox_id, WAIT_SECONDS)
        if session.state == "provisioning":
            raise LegError(
                "This session's VM was gone; another is being made from its repository.",
                code="vm_replacing",
                next_action="Poll get_session until the state changes, then call again.",
                retryable=True,
            )
        await self._sandboxes.answers(_vm(session))
        return session


def new_vm(session: Session) -> str:
    """What happened, for the caller of a session whose VM was replaced."""
    commit = session.leg("vm").reference.get("commit")
    code = (
        f"/app is commit {commit[:12]}, the last one pushed: whatever was not pushed is lost. "
        "If one of its packages is missing, run `npm install`."
        if commit
        else "Nothing was ever pushed, so /app is the starter again: what was in it is lost."
    )
    kept = "The database, keys and repository are the same; preview_url is new, get_session has it."
    return f"The VM was gone for good and has been replaced. {code} {kept}"


def _vm(session: Session) -> str:
    if session.sandbox_id is not None:
        return session.sandbox_id
    problem = session.leg("vm").error
    waits = session.state == "provisioning"
    raise LegError(
        f"This session has no VM{' yet' if waits else ''}. {problem.message if problem else ''}".strip(),
        code="no_vm",
        next_action="Wait with get_session."
        if waits
        else "Call provision_session with the same key to ask for one again; everything else stands and is kept.",
        retryable=True,
    )
