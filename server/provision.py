"""The story of one session: its legs race, every outcome is gathered, and what succeeded goes into `.env`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server import dotenv
from server.errors import LegError
from server.legs import Resources
from server.log import provisioning
from server.sessions import SESSION_LEG, Leg, Problem
from server.settings import SERVICES, VENDOR_OF, LegName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from server.legs import Leg as VendorLeg
    from server.sessions import Session, Sessions
    from server.store import Events, Vault
    from server.vm.sandbox import Sandboxes

SKILL = Path(__file__).parent.parent / "skills" / "backend-services"
SKILL_IN_VM = "/root/.claude/skills/backend-services"
STANDING = {"made", "found"}


class Provisioner:
    """Makes a session's resources once, whatever dies, and removes them."""

    def __init__(
        self,
        sessions: Sessions,
        vault: Vault,
        events: Events,
        legs: Mapping[LegName, VendorLeg],
        sandboxes: Sandboxes,
        *,
        budget_seconds: float,
        clock: Callable[[], float],
        step: Callable[..., Awaitable[Any]],
        start_workflow: Callable[..., Awaitable[None]],
    ) -> None:
        self._sessions = sessions
        self._vault = vault
        self._events = events
        self._legs = legs
        self._sandboxes = sandboxes
        self.budget_seconds = budget_seconds
        self._clock = clock
        self._step = step
        self._start_workflow = start_workflow

    async def start(self, slug: str, services: tuple[LegName, ...]) -> None:
        """Provision these legs in the background. What stands already is left alone."""
        session = self._sessions.by_slug(slug)
        missing = [name for name in services if session.leg(name).outcome not in STANDING]
        if not missing or (session.state == "provisioning" and session.generation > 0):
            return
        generation = self._sessions.next_generation(slug, session.generation)
        await self._start_workflow(f"provision-{slug}-{generation}", slug, missing)

    async def wait(self, slug: str, seconds: float) -> Session:
        """The session once provisioning has ended, or as it is after `seconds`."""
        end = self._clock() + seconds
        seen = 0
        while (session := self._sessions.by_slug(slug)).state == "provisioning" and self._clock() < end:
            for event in await self._events.wait(slug, seen, min(end - self._clock(), 5)):
                seen = event.seq
        return session

    async def story(self, slug: str, names: list[LegName]) -> None:
        """The workflow. Each leg is one durable step; a step answers with references, never with secrets."""
        began = self._clock()
        provisioning(slug, "start", legs=",".join(names))
        await asyncio.gather(
            *(self._step(f"leg:{name}", self._run_leg, slug, name) for name in names), return_exceptions=True
        )
        await self._step("environment", self._write_environment, slug)
        session = self._sessions.by_slug(slug)
        self._sessions.set_state(slug, _state_of(session))
        ms = _ms(self._clock() - began)
        self._events.append(slug, "provisioned", {"ms": ms, "state": _state_of(session)})
        provisioning(slug, "done", ms=ms, state=_state_of(session))
        await self._step("preview", self._await_preview, slug, began)

    async def _run_leg(self, slug: str, name: LegName) -> dict[str, Any]:
        session = self._sessions.by_slug(slug)
        if session.leg(name).outcome in STANDING:
            return session.leg(name).model_dump(mode="json")
        self._events.append(slug, "leg.started", {"leg": name})
        began = self._clock()
        outcome = await self._outcome(session, name)
        outcome.ms = _ms(self._clock() - began)
        self._sessions.save_outcome(slug, outcome)
        told = outcome.model_dump(mode="json", include={"outcome", "ms", "env_names", "error", "vendor"})
        self._events.append(slug, "leg.finished", {"leg": name, **told})
        code = outcome.error.code if outcome.error else None
        provisioning(slug, f"leg={name}", vendor=outcome.vendor, outcome=outcome.outcome, ms=outcome.ms, code=code)
        return outcome.model_dump(mode="json")

    async def _outcome(self, session: Session, name: LegName) -> Leg:
        """What came of one leg. The one broad catch: no leg's failure may stop another."""
        found = None
        try:
            async with asyncio.timeout(self.budget_seconds):
                leg = self._legs[name]
                if self._sessions.note_intent(session.slug, name):
                    found = await leg.find(session.app_id)
                resources = found or await leg.make(session.app_id)
                if name == "vm":
                    await self._furnish(session, resources)
            for variable, value in resources.env.items():
                dotenv.check_value(variable, value.reveal())
        except LegError as error:
            return _failed(name, Problem(**_told(error)))
        except TimeoutError:
            return _failed(name, _out_of_time(name, self.budget_seconds))
        except Exception:
            logging.getLogger("mk0r").exception("leg %s of %s", name, session.slug)
            return _failed(name, _unexpected(name))
        self._vault.put(session.slug, name, resources.env)
        return Leg(
            name=name,
            vendor=VENDOR_OF[name],
            outcome="found" if found else "made",
            env_names=list(resources.env),
            reference=resources.reference,
        )

    async def _furnish(self, session: Session, vm: Resources) -> None:
        """The skill and the session's run-time facts, there before anybody works in the VM."""
        facts = f"MK0R_SLUG={session.slug}\nMK0R_APP_ID={session.app_id}\nMK0R_APP_PORT=5173\n"
        files = {f"{SKILL_IN_VM}/{path.relative_to(SKILL)}": path.read_text() for path in sorted(SKILL.rglob("*.md"))}
        await self._sandboxes.write(vm.reference["sandbox_id"], {"/run/brd.conf": facts, **files})

    async def _write_environment(self, slug: str) -> list[str]:
        """Put every name that exists into `/app/.env`. Without a VM there is nowhere to put it yet."""
        session = self._sessions.by_slug(slug)
        if session.sandbox_id is None:
            return []
        began = self._clock()
        values = self._values(session)
        await self._sandboxes.replace_private(session.sandbox_id, "/app/.env", dotenv.render(values))
        ms = _ms(self._clock() - began)
        self._events.append(slug, "env.written", {"names": list(values), "ms": ms})
        provisioning(slug, "env", names=",".join(values), ms=ms)
        return list(values)

    def _values(self, session: Session) -> dict[str, Any]:
        """Each standing leg's values, in the legs' order, each leg's in its own."""
        secrets = self._vault.get(session.slug)
        return {n: secrets[n] for leg in session.legs if leg.outcome in STANDING for n in leg.env_names}

    async def _await_preview(self, slug: str, began: float) -> bool:
        session = self._sessions.by_slug(slug)
        if session.sandbox_id is None:
            return False
        try:
            answers = await self._sandboxes.answers(session.sandbox_id)
        except LegError:
            answers = False
        if answers:
            ms = _ms(self._clock() - began)
            self._events.append(slug, "preview.ready", {"url": session.preview_url, "ms": ms})
        return answers

    async def restore(self, slug: str) -> Session:
        """Wake the VM and give it back what it must not be without."""
        session = self._sessions.by_slug(slug)
        if session.sandbox_id is None:
            raise LegError(
                "This session has no VM.", code="no_vm", next_action="Provision the vm, then resume.", retryable=True
            )
        await self._sandboxes.open(session.sandbox_id)
        if not await self._sandboxes.holds(session.sandbox_id, "/app/.env", "/run/brd.conf"):
            await self._furnish(session, Resources(reference=session.leg("vm").reference))
            await self._write_environment(slug)
        return session

    async def destroy(self, slug: str) -> None:
        """Remove everything the session has. Raises the first `LegError` after trying every leg."""
        session = self._sessions.by_slug(slug)
        removals = [self._remove(session, name) for name in ("vm", *SERVICES)]
        failures = [e for e in await asyncio.gather(*removals, return_exceptions=True) if e]
        if failures:
            raise failures[0]
        self._vault.forget(slug)
        self._sessions.set_state(slug, "destroyed")
        self._events.append(slug, "session.destroyed", {})

    async def _remove(self, session: Session, name: LegName) -> None:
        leg = session.leg(name)
        if leg.outcome == "skipped":
            return
        async with asyncio.timeout(self.budget_seconds):
            await self._legs[name].remove(session.app_id, leg.reference)
        self._vault.forget(session.slug, name)
        self._sessions.forget_leg(session.slug, name)


def issued_secrets(vault: Vault, slug: str) -> list[Any]:
    """Every value that must not leave by another door than `.env`: the legs' and the session key."""
    public = {"NEON_HOST", "NEON_ROLE_NAME", "NEON_PROJECT_ID", "RESEND_AUDIENCE_ID", "RESEND_FROM"}
    public |= {"VITE_POSTHOG_KEY", "VITE_POSTHOG_HOST", "VITE_POSTHOG_APP_ID", "GITHUB_REPO", "GITHUB_REPO_URL"}
    secrets = vault.get(slug, legs=[SESSION_LEG, *SERVICES])
    return [secret for name, secret in secrets.items() if name not in public]


def _state_of(session: Session) -> Any:
    asked = [leg for leg in session.legs if leg.name in session.services or leg.outcome in STANDING]
    standing = [leg for leg in asked if leg.outcome in STANDING]
    if len(standing) == len(asked):
        return "ready"
    return "partial" if standing else "failed"


def _failed(name: LegName, problem: Problem) -> Leg:
    return Leg(name=name, vendor=VENDOR_OF[name], outcome="failed", error=problem)


def _told(error: LegError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "next_action": error.next_action,
        "retryable": error.retryable,
    }


def _out_of_time(name: LegName, budget: float) -> Problem:
    return Problem(
        code="timed_out",
        message=f"{VENDOR_OF[name]} took longer than its {budget:g} s.",
        next_action="Provision this service again in a minute; the rest of the session works.",
        retryable=True,
    )


def _unexpected(name: LegName) -> Problem:
    return Problem(
        code="internal",
        message=f"Something of ours went wrong while provisioning {VENDOR_OF[name]}.",
        next_action="Provision this service again; the server's log has the details.",
        retryable=True,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
