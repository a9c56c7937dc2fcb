"""What the supervisor's children do in a sandbox: start a process, work on files, open sockets.

Everything here runs with the sandbox's own rights and sees only what it sees, so a symbolic link it planted leads
nowhere it could not go itself. Answers are JSON, with open files beside them where a file or socket was asked for.
All of it is imported when the supervisor starts: by the time it is needed its files may be out of reach.
"""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import socket
from typing import TYPE_CHECKING, Any

from server.twins.e2b import confine, fence
from server.twins.e2b.inside import archives, copying, files, homes, jail, network, processes, watching
from server.twins.e2b.inside.jail import kill_jail, place

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.e2b.inside.jail import Answer, Jail

__all__ = ["FUNCTIONS", "answer", "kill_jail", "start"]

FUNCTIONS: dict[str, Callable[..., Answer]] = {
    function.__name__: function
    for function in (
        *(files.info, files.listing, files.make_folder, files.move, files.remove, files.compose),
        *(files.open_to_read, files.open_to_write, files.set_metadata),
        *(watching.watch, watching.watch_more),
        *(archives.pack, archives.unpack, copying.copy_in),
        *(homes.make_home, homes.empty_home, homes.disk_used, homes.occupied),
        *(network.listeners, network.sockets),
        *(jail.signal_all, processes.process_table),
    )
}
"""All that the twin may ask for, by name."""


def start(jail: Jail, job: dict[str, Any], files: list[int]) -> None:
    """Become the process a job describes. Reports its process id, then, if it comes to that, why it could not start."""
    report, *standard = confine.keep_only(files)
    os.write(report, json.dumps({"pid": os.getpid()}).encode() + b"\n")
    try:
        if jail:
            fence.restrict(jail)
        elif not job["capabilities"]:
            confine.drop_capabilities()
        confine.execute({**job, "cwd": place(jail, job["cwd"])}, standard)
    except OSError as error:
        problem = {"error": errno.errorcode.get(error.errno or 0, "EIO"), "about": os.fsdecode(error.filename or "")}
        os.write(report, json.dumps(problem).encode() + b"\n")


def answer(
    reply: int, function: Callable[..., Answer], jail: Jail, arguments: dict[str, Any], given: list[int] | None = None
) -> None:
    """Call a function of this package and send what it returns, or the name of the error it met.

    `given`: open files that came with the request, for the functions that take some.
    """
    try:
        if jail and function.__name__ not in ("signal_all", "process_table"):  # theirs are its processes, not its files
            fence.restrict(jail)
        result, found = function(jail, **arguments, **({"given": given} if given else {}))
        message = {"ok": result}
    except OSError as error:
        message, found = {"error": errno.errorcode.get(error.errno or 0, "EIO"), "message": str(error)}, []
    with socket.socket(fileno=os.dup(reply)) as channel, contextlib.suppress(BrokenPipeError):  # nobody waits any more
        channel.setblocking(True)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", found))] if found else []
        channel.sendmsg([b"\n"], rights)
        channel.sendall(json.dumps(message).encode())
