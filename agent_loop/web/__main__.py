"""`python -P -m agent_loop.web --home DIR [--port N]`: the background server.

Says one line of JSON on stdout when it listens, or why it does not; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from agent_loop.web.boot import Boot


def main(open_parts: Callable[[Boot, AsyncExitStack], Any] | None = None) -> int:
    """`open_parts`: other parts behind the routes than the usual ones."""
    parser = argparse.ArgumentParser(prog="mk0r-server")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    asked = parser.parse_args()

    from agent_loop.web.boot import open_local
    from agent_loop.web.serving import serve
    from server import log
    from server.local.home import Home

    log.set_up(list)
    return asyncio.run(
        serve(
            Home(asked.home),
            environ=os.environ,
            announce=_announce,
            host=asked.host,
            port=asked.port,
            open_parts=open_parts or open_local,
        )
    )


def _announce(told: dict[str, Any]) -> None:
    """The one line; then stdout joins stderr, so that the reader may go and nothing breaks."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
