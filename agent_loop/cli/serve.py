"""`mk0r serve`: the server itself, in front."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agent_loop.cli.context import port_of
from agent_loop.cli.screen import clean

if TYPE_CHECKING:
    from argparse import Namespace

    from agent_loop.cli.context import Context


def serve(asked: Namespace, context: Context) -> int:
    from agent_loop.web.serving import serve as run
    from server import log

    refused = False

    def announce(told: dict[str, Any]) -> None:
        nonlocal refused
        if error := told.get("error"):
            refused = True
            context.errors.line(f"{clean(error['message'])} {clean(error['next_action'])}")
        else:
            context.screen.line(f"mk0r listens at http://{asked.host}:{told['port']}  (MCP at /mcp; Ctrl-C stops it)")

    log.set_up(list)
    port = port_of(asked.port) or context.port
    try:
        return asyncio.run(run(context.home, environ=context.environ, announce=announce, host=asked.host, port=port))
    except KeyboardInterrupt:
        return 130
