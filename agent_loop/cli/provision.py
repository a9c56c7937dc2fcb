"""`mk0r provision`: make later what a session was begun without, or what failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent_loop.cli.build import follow, left
from agent_loop.cli.story import Story

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.context import Context


def provision(asked: Namespace, context: Context) -> int:
    """Show the lights that come on; 0 when every service asked for is on."""
    client = context.server()
    path = f"/api/sessions/{asked.slug}"
    known = client.get(path)["last_seq"]
    names: list[str] = client.post(f"{path}/services", {"services": asked.service} if asked.service else None)[
        "services"
    ]
    try:
        if names:
            follow(context, client, asked.slug, known, Story(context.screen), as_json=asked.json)
    except KeyboardInterrupt:
        return left(asked.slug, context)
    session = context.server().get(path)
    dark = [leg["name"] for leg in session["legs"] if leg["name"] in names and leg["outcome"] not in ("made", "found")]
    if asked.json:
        print(json.dumps(session))
    elif not names:
        context.screen.line("Nothing is missing: what you named stands already.")
    elif dark:
        context.screen.line(f"\nStill missing: {', '.join(dark)}. Try again with `mk0r provision {asked.slug}`.")
    return 1 if dark else 0
