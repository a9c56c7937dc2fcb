"""Builds the twins the stack file names, and hands each the parts it stands on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from server.twins.core import Site

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from server.local.facts import StackFacts
    from server.local.home import Home
    from server.local.postgres import PostgresServer

EXAMPLES = Path(__file__).parents[2] / "examples"

HANDED_IN = ("resend", "posthog", "github")
"""The twins an app inside a sandbox may reach on its own loopback, beside its database."""


def compose(home: Home, facts: StackFacts) -> dict[str, Starlette]:
    """An app per vendor. Each vendor's package is imported only when its twin is wanted."""
    return {vendor: _build(vendor, home, facts) for vendor in facts.twins}


def _build(vendor: str, home: Home, facts: StackFacts) -> Starlette:
    site = _site(vendor, home, facts)
    match vendor:
        case "neon":
            from server.twins import neon

            return neon.build(site, postgres=_postgres(home, facts))
        case "resend":
            from server.twins import resend

            return resend.build(site)
        case "posthog":
            from server.twins import posthog

            return posthog.build(site, scripts=home.template / "app" / "node_modules" / "posthog-js" / "dist")
        case "github":
            from server.twins import github
            from server.twins.github.git import git_identity

            runs_as = git_identity()
            # Who is not ourselves cannot reach what lies in our home.
            return github.build(site, folder=home.stack / "github" if runs_as.uid else None, identity=runs_as)
        case "e2b":
            return _e2b(site, home, facts)
        case "anthropic":
            from server.twins import anthropic

            return anthropic.build(site, scripts=EXAMPLES)
        case _:
            raise ValueError(f"there is no twin of {vendor}")


def _site(vendor: str, home: Home, facts: StackFacts) -> Site:
    data = home.twins / vendor
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    twin = facts.twins[vendor]
    return Site(vendor, facts.base_url(vendor), data, twin.credential, twin.admin)


def _postgres(home: Home, facts: StackFacts) -> PostgresServer:
    from server.local.facts import SUPERUSER
    from server.local.postgres import PostgresServer, socket_dir

    major = int((home.postgres / "data" / "PG_VERSION").read_text())
    return PostgresServer("localhost", facts.postgres_port, SUPERUSER, facts.postgres_password, major, socket_dir(home))


def _e2b(site: Site, home: Home, facts: StackFacts) -> Starlette:
    from server.local.node import find_node
    from server.twins import e2b
    from server.twins.e2b.tier import Tier

    weak = {"MK0R_WEAK_SANDBOX": "1"}
    asked_for = os.environ.get("MK0R_WEAK_SANDBOX") == "1"
    return e2b.build(
        site,
        home=home,
        node=find_node().root,
        services=services(facts),
        environment=environment(facts),
        tier=Tier("weak", "MK0R_WEAK_SANDBOX asks for it") if asked_for else None,
        # What the user agreed to once holds: it permits the weaker tier, and does not force it.
        environ={**os.environ, **(weak if facts.weak_sandbox else {})},
    )


def services(facts: StackFacts) -> dict[str, int]:
    """What a sandbox reaches on its own loopback: name to port; `neon` is what answers TLS on 443 there."""
    ports = {vendor: facts.twins[vendor].port for vendor in (*HANDED_IN, "neon") if vendor in facts.twins}
    if "neon" in facts.twins:
        ports["postgres"] = facts.postgres_port
    if facts.server_port is not None:
        ports["mk0r"] = facts.server_port
    return ports


def environment(facts: StackFacts) -> dict[str, str]:
    """What points an app's unmodified SDKs at the twins that have no name in `/app/.env`."""
    return {"RESEND_BASE_URL": facts.base_url("resend")} if "resend" in facts.twins else {}
