"""`mk0r psql SLUG`: the session's own database. The password goes by environment, never by argument."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from server.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from agent_loop.cli.context import Context


def psql(asked: Namespace, context: Context) -> int:
    values = context.server().post(f"/api/sessions/{asked.slug}/env/reveal")
    if "DATABASE_URL" not in values:
        raise UserError(
            "This session has no database.", next_action=f"`mk0r show {asked.slug}` says why, `mk0r resume` asks again."
        )
    program = find(values["DATABASE_URL"], context.environ)
    environ = {**context.environ, **connection(values["DATABASE_URL"])}
    os.execve(program, ["psql", *asked.arguments], environ)  # noqa: S606 - becomes psql


def connection(url: str) -> dict[str, str]:
    """libpq's own variables for a connection string ("Environment Variables", PostgreSQL manual)."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    found = {
        "PGHOST": parts.hostname or "localhost",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
        "PGSSLMODE": options.get("sslmode", "prefer"),
    }
    if "channel_binding" in options:
        found["PGCHANNELBINDING"] = options["channel_binding"]
    return found


def find(url: str, environ: Mapping[str, str]) -> str:
    """A psql that can reach this database: the embedded one knows no TLS, which a live Neon asks for."""
    if urlsplit(url).hostname not in ("localhost", "127.0.0.1"):
        installed = shutil.which("psql", path=environ.get("PATH"))
        if installed is None:
            raise UserError(
                "A live database needs a psql with TLS, and there is none here.",
                next_action="Install PostgreSQL's client (for instance `apt install postgresql-client`).",
            )
        return installed
    from server.local.postgres_binaries import find_binaries

    return str(find_binaries(environ).bin / "psql")
