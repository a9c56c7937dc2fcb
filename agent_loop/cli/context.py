"""What every command is given: where it lives, whom it speaks to, and where it prints."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_loop.cli import server_process
from agent_loop.cli.keys import Keys
from agent_loop.cli.screen import Screen, StackProgress
from server.errors import BadInput, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent_loop.cli.client import Client
    from server.local.home import Home

RESTART_SECONDS = 3.0


@dataclass
class Context:
    home: Home
    environ: Mapping[str, str]
    screen: Screen
    errors: Screen
    port: int | None = None

    @property
    def keys(self) -> Keys:
        return Keys(self.home.keys_file)

    def server(self) -> Client:
        """The server of this home, started if need be. Asks once about weaker isolation where it must."""
        try:
            return self._ensured(self.environ)
        except StackError as error:
            if error.code != "no_namespaces" or not self._agrees(error):
                raise
        return self._ensured({**self.environ, "MK0R_WEAK_SANDBOX": "1"})

    def server_again(self) -> Client:
        """The server after a stream broke: started anew if it died, waited for if another command restarts it.

        A server that was stopped on purpose stays stopped: raises `StackError`.
        """
        released: float | None = None
        while "pid" not in server_process.remembered(self.home):
            if server_process.find(self.home) is not None:
                released = None  # it is still putting things away
            elif released is None:
                released = time.monotonic()
            elif time.monotonic() > released + RESTART_SECONDS:
                raise StackError(
                    "The server was stopped.", next_action="The next command starts it, and what it was doing goes on."
                )
            time.sleep(0.05)
        return self.server()

    def running(self) -> Client | None:
        """The server if it is running; never starts one."""
        server = server_process.find(self.home)
        return server_process.client_of(server) if server and "token" in server else None

    def _ensured(self, environ: Mapping[str, str]) -> Client:
        progress = StackProgress(self.errors)
        try:
            return server_process.ensure(self.home, environ, tell=progress, say=self.errors.line, port=self.port)
        finally:
            self.errors.settle()

    def _agrees(self, error: StackError) -> bool:
        if not (sys.stdin.isatty() and self.errors.stream.isatty()):
            return False
        self.errors.line(str(error))
        try:
            return input("Go on with weaker isolation on this machine, from now on? [y/N] ").strip().lower() == "y"
        except EOFError:
            return False


def port_of(text: str | None) -> int | None:
    """A port the user named. Raises `BadInput`."""
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004 - TCP's own limit
        raise BadInput(f"{text!r} is not a port.", next_action="Name one from 1 to 65535.")
    return int(text)
