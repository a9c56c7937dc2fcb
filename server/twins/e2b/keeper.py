"""The parent of one sandbox's processes: it has the sandbox's user and its share of the machine, and nothing else.

Each command is forked twice: the first child joins the namespaces, the second is born into the process namespace.
The first leaves at once and the second, orphaned, becomes ours (we are a "subreaper"), so nothing is left on the host
that a pause could stop or a crash could strand. It parses nothing a sandbox has written.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import struct
import time
from typing import TYPE_CHECKING, Any

from server.twins.e2b import confine, inside, joining, launch, mounts, sysctls, wire
from server.twins.e2b.answering import Answering, fork

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable

INDEX = struct.Struct("i")
BURIAL_LIMIT = 5.0
"""Seconds a killed sandbox's processes may take to end; one may be stuck in the kernel, waiting for a disk."""


class Keeper(Answering):
    def __init__(self, channel: socket.socket) -> None:
        super().__init__(channel)
        self._init: subprocess.Popen[bytes] | None = None
        self._first = 0
        self._namespaces: dict[str, int] = {}
        self._jail: dict[str, Any] = {}
        self._running: set[int] = set()

    def _users(self, message: dict[str, Any], _files: list[int]) -> None:
        """A user namespace, ours from now on, by which the template can be mounted as this sandbox's own."""
        self._reply_files = [joining.unshare_files(message["known_as"])]

    def _launch(self, message: dict[str, Any], files: list[int]) -> None:
        """Bring the sandbox up. `files[0]`, if any: the template's `node_modules`, to be attached at `lower`."""
        if jail := message.get("jail"):
            self._jail = jail
            return
        if files:
            mounts.attach(files[0], message["lower"])
        self._init, self._first, self._namespaces = launch.launch(message["argv"], base64.b64decode(message["filter"]))
        wanted = message["sysctls"]
        os.waitpid(fork(lambda: (joining.enter(self._namespaces, "owner"), sysctls.write(wanted))), 0)

    def _run(self, message: dict[str, Any], files: list[int]) -> dict[str, Any]:
        """Start a process. `files[0]` hears its own process id, or why it could not start, and closes when it has."""
        pid = self._fork_within(message["namespaces"], lambda: inside.start(self._jail, message, files))
        if pid is None:
            self._serving = False
            return {"error": "gone"}
        self._running.add(pid)
        return {"pid": pid}

    def _call(self, message: dict[str, Any], files: list[int]) -> None:
        """Run one of our own functions as the sandbox would; the answer goes to `files[0]`."""
        function = inside.FUNCTIONS[message["function"]]
        arguments = message["arguments"]

        def work() -> None:
            inside.answer(files[0], function, self._jail, arguments, files[1:])

        match message["within"]:
            case "files":  # in its file system, but not among its processes: nothing there can signal this one
                fork(lambda: (joining.enter(self._namespaces, "owner", "mnt"), confine.drop_capabilities(), work()))
            case "network":  # capabilities kept: binding port 443 takes one
                fork(lambda: (joining.enter(self._namespaces, "owner", "net"), work()))
            case _:
                self._fork_within([*joining.CLONE_NEW], lambda: (confine.drop_capabilities(), work()))

    def _signal(self, message: dict[str, Any], _files: list[int]) -> dict[str, Any]:
        """Signal a process we started, with its whole group. It is not reaped, so the number is still its own."""
        pid = message["pid"]
        if pid not in self._running:
            return {"found": False}
        for deliver in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                deliver(pid, message["signal"])
        return {"found": True}

    def _kill(self, _message: dict[str, Any], _files: list[int]) -> None:
        self._end()
        self._serving = False

    def _end(self) -> None:
        if self._init is not None:
            self._init.kill()  # its child, process 1 of the sandbox, dies with it and takes the rest along
            self._init.wait()
            self._init = None
            self._bury()
        if self._jail:
            for pid in self._running:  # where there is no /proc to find more in
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
            inside.kill_jail(self._jail, signal.SIGKILL)

    def _bury(self) -> None:
        """Wait for process 1, which is our child now: it ends when all others have, and have been waited for by us."""
        end = time.monotonic() + BURIAL_LIMIT
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self._first, signal.SIGKILL)
            while time.monotonic() < end:
                ended, _ = os.waitpid(-1, os.WNOHANG)
                if ended == self._first:
                    return
                if not ended:
                    time.sleep(0.0005)

    def _ended(self, pid: int, status: int) -> None:
        if pid in self._running:
            self._running.discard(pid)
            wire.send(self._channel, {"exit": pid, "status": status})
        if self._init is not None and pid == self._init.pid:
            self._init.returncode = status
            self._init, self._serving = None, False

    def _fork_within(self, names: list[str], work: Callable[[], object]) -> int | None:
        """Do `work` in a child born into the sandbox; its process id as the host sees it; `None` if it is dead."""
        if self._jail:
            return fork(work)
        result, report = os.pipe()

        def join_and_fork() -> None:
            joining.enter(self._namespaces, *names)
            os.write(report, INDEX.pack(fork(work)))

        between = fork(join_and_fork)
        os.close(report)
        os.waitpid(between, 0)
        answer = os.read(result, INDEX.size)
        os.close(result)
        return INDEX.unpack(answer)[0] if len(answer) == INDEX.size else None
