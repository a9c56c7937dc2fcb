"""Brings the local stack up and down: PostgreSQL, the template and the twins, shared by every command.

Each part may be found running, dead, or never started, and after a crash anywhere the next `up` starts
what is missing and trips over nothing: a process is known by its command line and by answering, never
by a number in a file alone.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.local import facts as remembered
from server.local import lock, processes, twins_process
from server.local.progress import StackStep, step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from server.local.facts import StackFacts
    from server.local.home import Home

__all__ = ["StackStep", "alive", "down", "settings_from", "up"]

FIRST_START_SECONDS = 900.0
"""How long another command's first start may take: it fetches packages, over a network that may be slow."""


async def up(
    home: Home,
    report: Callable[[StackStep], None],
    *,
    which: Collection[str],
    environ: Mapping[str, str] | None = None,
    server_port: int | None = None,
) -> StackFacts:
    """Make sure the twins in `which`, and what they stand on, are running. Raises `StackError`.

    `server_port` is our own server's, handed to the sandboxes; None leaves what is remembered.
    """
    environ = os.environ if environ is None else environ
    home.make()
    async with lock.hold(home.root / "stack.lock", patience=FIRST_START_SECONDS):
        before = _recall(home, which, weak=environ.get("MK0R_WEAK_SANDBOX") == "1")
        facts = replace(before, server_port=server_port or before.server_port)
        if not which:
            return facts
        environ = {**environ, **await _isolation(home, facts)} if "e2b" in which else environ
        failed: BaseException | None = None
        database: asyncio.Task[int] | None = None
        try:
            async with asyncio.TaskGroup() as parts:
                database = parts.create_task(_postgres(home, facts, report)) if "neon" in which else None
                if "e2b" in which:
                    parts.create_task(_template(home, report))
        except* StackError as group:
            failed = group.exceptions[0]
        if failed is not None:
            raise failed  # alone: raised where it is caught, it would come out as a group again
        facts = facts.with_pid("postgres", database.result() if database else None)
        remembered.save(home.stack_file, facts)
        facts = await _twins(home, facts, report, environ, anew=facts.server_port != before.server_port)
        remembered.save(home.stack_file, facts)
        return facts


async def down(home: Home) -> list[str]:
    """Stop the twins, then PostgreSQL. Says what was stopped; calling it twice is fine."""
    stopped: list[str] = []
    if not home.root.exists():
        return stopped
    async with lock.hold(home.root / "stack.lock", patience=FIRST_START_SECONDS):
        if running := processes.twins_processes(home):
            await asyncio.to_thread(processes.end, running)
            stopped.append("twins")
        facts = _remembered(home)
        if facts is not None and not remembered.port_is_free(facts.postgres_port):
            from server.local import postgres

            await postgres.stop(home, postgres.find_binaries(os.environ))
            stopped.append("postgres")
        if facts is not None:
            remembered.save(home.stack_file, replace(facts, pids={}))
    return stopped


def alive(home: Home, facts: StackFacts) -> bool:
    """Whether every process of the stack is still there. Cheap: no requests."""
    for name, pid in facts.pids.items():
        words = processes.command_line(pid)
        if name == "twins" and not processes.is_twins(words, home):
            return False
        if name == "postgres" and not any("postgres" in word for word in words):
            return False
    return True


def settings_from(facts: StackFacts) -> dict[str, Any]:
    """The values `Settings` takes, by field name, for every leg left to a twin."""
    values: dict[str, Any] = {}
    for vendor, twin in facts.twins.items():
        url = facts.base_url(vendor)
        values |= {
            "neon": {"neon_api_key": twin.credential, "neon_base_url": f"{url}/api/v2", "neon_org_id": None},
            "resend": {
                "resend_api_key": twin.credential,
                "resend_base_url": url,
                "resend_from": "mk0r <app@mk0r.localhost>",
            },
            "posthog": {"posthog_key": twin.credential.reveal(), "posthog_host": url},
            "github": {
                "github_token": twin.credential,
                "github_owner": "mk0r",
                "github_api_url": url,
                "github_git_url": url,
            },
            "e2b": {"e2b_api_key": twin.credential, "e2b_api_url": url, "e2b_sandbox_url": url},
            "anthropic": {
                "anthropic_api_key": twin.credential,
                "anthropic_base_url": url,
                "model": "rehearsal",
            },
        }[vendor]
    return values


def _recall(home: Home, which: Collection[str], *, weak: bool) -> StackFacts:
    """The remembered facts, completed and saved before anything is started with them."""
    facts = _remembered(home)
    facts = remembered.with_twins(facts, which) if facts else remembered.mint(which)
    facts = replace(facts, weak_sandbox=facts.weak_sandbox or weak)
    remembered.save(home.stack_file, facts)
    return facts


def _remembered(home: Home) -> StackFacts | None:
    try:
        return remembered.load(home.stack_file)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StackError(
            f"The stack's own file {home.stack_file} cannot be read.",
            next_action="Restore it, or move it away to begin with an empty local stack.",
        ) from error


async def _isolation(home: Home, facts: StackFacts) -> dict[str, str]:
    """What the twins' environment says of the sandboxes' isolation. Raises `StackError` for one nobody agreed to."""
    from server.twins.e2b import tier

    if _runs(home, facts):
        return {}
    found = await asyncio.to_thread(tier.probe, home.stack / "bubblewrap")
    if found.name == "namespaces":
        return {}
    if not facts.weak_sandbox:
        raise StackError(
            f"This machine gives no user namespaces ({found.reason}), so a session cannot have a sandbox of its own.",
            next_action=f"{found.remedy} Or set MK0R_WEAK_SANDBOX=1 to go on with weaker isolation.",
            code="no_namespaces",
        )
    return {"MK0R_WEAK_SANDBOX": "1"}


def _runs(home: Home, facts: StackFacts) -> bool:
    pid = facts.pids.get("twins")
    return pid is not None and processes.is_twins(processes.command_line(pid), home)


async def _postgres(home: Home, facts: StackFacts, report: Callable[[StackStep], None]) -> int:
    from server.local import postgres

    async with step("PostgreSQL", report) as say:
        binaries = postgres.find_binaries(os.environ)
        await postgres.prepare(home, binaries, say)
        try:
            return await postgres.start(home, binaries, facts.postgres_port, facts.postgres_password)
        except StackError as error:
            raise _port_taken(facts.postgres_port) if error.code == "port_taken" else error from None


async def _template(home: Home, report: Callable[[StackStep], None]) -> None:
    from server.local import template

    async with step("app template", report) as say:
        await template.prepare(home, say)


async def _twins(
    home: Home, facts: StackFacts, report: Callable[[StackStep], None], environ: Mapping[str, str], *, anew: bool
) -> StackFacts:
    async with step("twins", report):
        pid = facts.pids.get("twins")
        if (
            not anew
            and pid is not None
            and processes.is_twins(processes.command_line(pid), home)
            and await processes.healthy(facts)
        ):
            return facts
        return await twins_process.start(home, facts, environ)


def _port_taken(port: int) -> StackError:
    return StackError(
        f"Port {port} of this machine's PostgreSQL is taken by another program, and it cannot move: "
        "every session's DATABASE_URL names it.",
        next_action=f"Stop that program (`ss -ltnp 'sport = :{port}'` names it) and run the command again.",
        code="port_taken",
    )
