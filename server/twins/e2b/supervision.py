"""The supervisor process and the sandboxes' keepers below it, as the twin has them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from server.twins.e2b.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from server.local.identity import Identity


class Supervisor(Channel):
    """The supervisor process and the channel to it."""

    def __init__(self, identity: Identity, pid_file: Path) -> None:
        super().__init__(lambda: None)
        self._identity = identity
        self._pid_file = pid_file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        theirs = self.open()
        words = [str(theirs.fileno()), str(self._identity.uid or 0), str(self._identity.gid or 0)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "server.twins.e2b.supervisor", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C in a terminal is for the twin, which then takes this down in order
        )
        theirs.close()
        self._pid_file.write_text(str(self._process.pid))

    async def stop(self) -> None:
        """Close the channel: the supervisor ends, and every sandbox with it."""
        self.close()
        if self._process is not None:
            try:
                await asyncio.wait_for(asyncio.to_thread(self._process.wait), 10)
            except TimeoutError:
                self._process.kill()
            self._pid_file.unlink(missing_ok=True)

    async def keep(self, identity: Identity, shares: Sequence[int], on_gone: Callable[[], None]) -> Keeper:
        """A new sandbox's keeper, running as `identity`; `shares` are the files that admit it to its control groups."""
        keeper = Keeper(on_gone)
        theirs = keeper.open()
        try:
            reply = await self.request("keep", [theirs.fileno(), *shares], uid=identity.uid, gid=identity.gid)
        except BaseException:
            keeper.close()
            raise
        finally:
            theirs.close()
        keeper.pid = reply["keeper"]
        return keeper


class Keeper(Channel):
    """The channel to one sandbox's keeper."""

    pid: int = 0
    """Its process, the host's number."""

    async def inside(self, within: str, function: str, **arguments: Any) -> tuple[Any, list[int]]:
        return await self.call(function, about={"within": within}, **arguments)


def end_leftover(pid_file: Path) -> None:
    """End the supervisor of a twin that was killed, and with it its sandboxes: two must not share an overlay."""
    import psutil

    try:
        left = psutil.Process(int(pid_file.read_text()))
        if "server.twins.e2b.supervisor" in left.cmdline():
            below = left.children(recursive=True)
            left.kill()
            psutil.wait_procs([left, *below], timeout=5)
    except (OSError, ValueError, psutil.Error):
        pass
    pid_file.unlink(missing_ok=True)
