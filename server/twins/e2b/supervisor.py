"""The one parent of every sandbox: `python -P -m server.twins.e2b.supervisor FD UID GID`, with 0 for who we are.

A process of its own, because joining a user namespace needs a single thread, and because it must not be root: when
the twin is, this one gives that up before it reads its first request, with everything it needs already in memory (the
unprivileged user could not even read our files under root's home). All it keeps is the right to become another user,
for each sandbox has one. It only forks a keeper for each sandbox, and children that work on a sandbox's folder as that
sandbox's user; it lives as long as the twin holds the other end of its socket, and nothing below outlives it:
a keeper dies with it, bubblewrap with its keeper, and with that every process in the sandbox's process namespace.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
from typing import Any

from server.twins.e2b import confine, fence, inside
from server.twins.e2b.answering import Answering, fork, noticed
from server.twins.e2b.keeper import Keeper

NICE = 5
"""How far behind the machine's own work a sandbox stands in the queue for the processor."""

OOM_SCORE = 500
"""Of 1000: when the machine runs out of memory, what is in a sandbox goes first."""


class Supervisor(Answering):
    def _keep(self, message: dict[str, Any], files: list[int]) -> dict[str, Any]:
        """Fork a sandbox's keeper, which answers on `files[0]`; the others admit it to its share of the machine."""
        ours = os.getpid()
        return {"keeper": fork(lambda: _keep(ours, message, files))}

    def _call(self, message: dict[str, Any], files: list[int]) -> None:
        """Run one of our own functions on the host, as a sandbox's user; the answer goes to `files[0]`."""
        function = inside.FUNCTIONS[message["function"]]

        def work() -> None:
            _settle(message)
            inside.answer(files[0], function, {}, message["arguments"], files[1:])

        fork(work)


def _keep(parent: int, message: dict[str, Any], files: list[int]) -> None:
    channel, *shares = confine.keep_only(files)
    for share in shares:
        os.write(share, b"0")
        os.close(share)
    os.nice(NICE)
    _settle(message)
    confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGUSR1, noticed)  # our death wakes it, and it takes its sandbox down before it ends
    confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGUSR1)  # after the change of user, which clears it
    if os.getppid() == parent:
        Keeper(socket.socket(fileno=channel)).serve()


def _settle(message: dict[str, Any]) -> None:
    """Become the sandbox's user, which is nobody else's, with no right left to become another."""
    if message["uid"]:
        confine.become(message["uid"], message["gid"])
        confine.drop_capabilities()
    confine.prctl(confine.PR_SET_DUMPABLE, 0)


def main(channel: int, uid: int, gid: int) -> None:
    os.chdir("/")
    fence.load()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as out:  # noqa: PTH123 - a kernel file
        out.write(str(OOM_SCORE))
    if uid and os.geteuid() == 0:
        confine.step_down(uid, gid)
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    os.set_inheritable(channel, False)
    gc.freeze()  # every child shares these pages until it writes to them
    Supervisor(socket.socket(fileno=channel)).serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
