"""What is configured, a vendor or a twin per leg, and whether this machine has what the local stack needs."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.errors import BadInput, Mk0rError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from server.local.home import Home

FREE_BYTES = 2_000_000_000  # the template, a database cluster and a few sessions

# Leg or model: what makes it live, and what to know about it then.
LIVE = {
    "database": ("neon", "Set NEON_API_KEY (Neon console, Account settings, API keys).", ""),
    "mail": (
        "resend",
        "Set RESEND_API_KEY (full access) and RESEND_FROM.",
        "Without a verified domain Resend only mails the account's owner.",
    ),
    "analytics": (
        "posthog",
        "Set POSTHOG_KEY (the project's phc_ key) and, outside the US, POSTHOG_HOST.",
        "A group is a filter, not a wall: every app's events are in the one project.",
    ),
    "git": (
        "github",
        "Set GITHUB_TOKEN (may create private repositories) and MK0R_GITHUB_OWNER.",
        "GitHub allows 500 new repositories an hour for one token.",
    ),
    "vm": (
        "e2b",
        "Set E2B_API_KEY (E2B dashboard, API keys).",
        "Make its image once with `mk0r image build`. Nothing here was yet run against E2B itself.",
    ),
    "model": ("anthropic", "Set ANTHROPIC_API_KEY; without it a scripted rehearsal stands in.", ""),
}


@dataclass(frozen=True)
class Leg:
    """One leg, or the model: who serves it."""

    name: str
    vendor: str
    live: bool
    notes: list[str]


@dataclass(frozen=True)
class Check:
    """One thing this machine has or lacks. `needed` says whether anything stops without it."""

    name: str
    ok: bool
    says: str
    next_action: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Examination:
    home: str
    legs: list[Leg] = field(default_factory=list[Leg])
    checks: list[Check] = field(default_factory=list[Check])


def examine(home: Home, environ: Mapping[str, str]) -> Examination:
    """Look at everything; starts nothing and changes nothing."""
    from server.settings import Settings

    settings = Settings()  # pyright: ignore[reportCallIssue] - filled from the environment
    twins = settings.twins()
    legs = [
        Leg(name, vendor, vendor not in twins, [how] if vendor in twins else [known] if known else [])
        for name, (vendor, how, known) in LIVE.items()
    ]
    return Examination(str(home.root), legs, _checks(home, environ, settings, twins))


def _checks(home: Home, environ: Mapping[str, str], settings: Any, twins: frozenset[str]) -> list[Check]:
    checks = [_settings(settings), _git()]
    if "neon" in twins:
        checks.append(_tried("PostgreSQL", lambda: _postgres(environ)))
    if "e2b" in twins:
        checks += [_tried("Node", _node), _tried("sandboxes", lambda: _sandboxes(home, environ))]
    if twins:
        checks += [_disk(home), *_ports(home)]
    return checks


def _settings(settings: Any) -> Check:
    try:
        settings.check()
    except BadInput as error:
        return Check("settings", ok=False, says=error.message, next_action=error.next_action)
    return Check("settings", ok=True, says=f"fit together (Python {sys.version.split()[0]})")


def _git() -> Check:
    found = shutil.which("git")
    if found:
        return Check("git", ok=True, says=found)
    return Check("git", ok=False, says="is not installed", next_action="Install git: sessions are repositories.")


def _postgres(environ: Mapping[str, str]) -> Check:
    from server.local.postgres import find_binaries

    return Check("PostgreSQL", ok=True, says=str(find_binaries(environ).bin))


def _node() -> Check:
    from server.local.node import find_node

    return Check("Node", ok=True, says=str(find_node().node))


def _sandboxes(home: Home, environ: Mapping[str, str]) -> Check:
    from server.local import facts
    from server.twins.e2b import tier

    if environ.get("MK0R_WEAK_SANDBOX") == "1":
        return Check(
            "sandboxes",
            ok=True,
            says="weaker isolation, because MK0R_WEAK_SANDBOX asks for it: a folder, limits and, on Linux, landlock; "
            "no wall around the network or the process list",
            next_action="Unset MK0R_WEAK_SANDBOX for sandboxes with their own processes and network.",
        )
    found = tier.probe()
    if found.name == "namespaces":
        return Check("sandboxes", ok=True, says="user namespaces: each session has its own view, processes and network")
    remembered = facts.load(home.stack_file)
    weak = remembered is not None and remembered.weak_sandbox
    return Check(
        "sandboxes",
        ok=weak,
        says=f"no user namespaces ({found.reason})" + ("; going on with weaker isolation, as agreed" if weak else ""),
        next_action=found.remedy if weak else f"{found.remedy} Or set MK0R_WEAK_SANDBOX=1 for weaker isolation.",
    )


def _disk(home: Home) -> Check:
    place = next(folder for folder in (home.stack, *home.stack.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    says = f"{free / 1e9:.1f} GB free in {place}"
    if free >= FREE_BYTES:
        return Check("disk", ok=True, says=says)
    return Check("disk", ok=False, says=says, next_action="Make room: the local stack needs about 2 GB.", needed=False)


def _ports(home: Home) -> list[Check]:
    """Where the stack is, if it was ever started."""
    from server.local import facts

    try:
        remembered = facts.load(home.stack_file)
    except (ValueError, KeyError, TypeError):
        where = f"Restore {home.stack_file}, or move it away to begin with an empty stack."
        return [Check("stack", ok=False, says="its file cannot be read", next_action=where)]
    if remembered is None:
        return [Check("stack", ok=True, says="never started; the first command prepares it")]
    running = not facts.port_is_free(remembered.postgres_port)
    return [Check("stack", ok=True, says=f"{'running' if running else 'stopped'}; home {home.root}")]


def _tried(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Mk0rError as error:
        return Check(name, ok=False, says=error.message, next_action=error.next_action)
