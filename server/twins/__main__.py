"""`python -P -m server.twins --home DIR`: every twin of the stack file, each on its own port, in one process."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import StackError
from server.local import facts as stack_facts
from server.local.home import Home
from server.twins.compose import compose
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from starlette.applications import Starlette


async def serve(home: Home) -> None:
    """Serve until SIGTERM or SIGINT; one line on stdout says when every twin answers."""
    facts = stack_facts.load(home.stack_file)
    if facts is None:
        raise StackError(f"There is no stack file in {home.root}.", next_action="Start the stack with `mk0r twins`.")
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    # Every port first: a taken one must be known before any twin touches its data.
    sockets = {vendor: bind(twin.port) for vendor, twin in facts.twins.items()}

    async def serve_one(app: Starlette, vendor: str, answers: asyncio.Event) -> None:
        async with serving(app, sockets[vendor]):
            answers.set()
            await asked_to_stop.wait()

    # Side by side, so that starting and stopping take as long as the slowest twin and not as their sum.
    try:
        async with asyncio.TaskGroup() as running:
            started: list[asyncio.Event] = []
            for vendor, app in compose(home, facts).items():
                started.append(asyncio.Event())
                running.create_task(serve_one(app, vendor, started[-1]))
            for answers in started:
                await answers.wait()
            print(json.dumps({"ready": True}), flush=True)  # noqa: T201 - whoever started us reads it
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="server.twins")
    parser.add_argument("--home", type=Path, required=True)
    home = Home(parser.parse_args().home.absolute())
    try:
        asyncio.run(serve(home))
    except StackError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log of the twins
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
