"""The one parent of every sandbox's processes: `python -P -m server.twins.e2b.supervisor FD UID GID`.

A process of its own, because joining a user namespace needs a single thread, and because it must not be root: when
the twin is, this one gives that up before it reads its first request, with everything it needs already in memory (the
unprivileged user could not even read our files under root's home). It only forks and passes open files on; it
parses nothing a sandbox has written. It lives as long as the twin holds the other end of its socket, and no sandbox
outlives it: bubblewrap dies with its parent, and with it every process in the sandbox's process namespace.

Each command is forked twice: the first child joins the namespaces, the second is born into the process namespace.
The first leaves at once and the second, orphaned, becomes ours (we are a "subreaper"), so nothing is left on the host
that a pause could stop or a crash could strand.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.twins.e2b import confine, inside, wire

if TYPE_CHECKING:
    from collections.abc import Callable

LAUNCH_LIMIT = 10.0
"""Seconds bubblewrap may take to set a sandbox up."""

ALL = tuple(confine.CLONE_NEW)


@dataclass
class Box:
    """What we hold of one sandbox. `init` is `None` in the weak tier, which has no namespaces."""

    init: subprocess.Popen[bytes] | None = None
    namespaces: dict[str, int] = field(default_factory=dict[str, int])
    jail: dict[str, Any] = field(default_factory=dict[str, Any])

    def close(self) -> None:
        for opened in self.namespaces.values():
            os.close(opened)


class Supervisor:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._boxes: dict[str, Box] = {}
        self._running: dict[int, str] = {}

    def serve(self) -> None:
        """Answer until the twin is gone, then take everything down."""
        wake, ring = os.pipe()
        os.set_blocking(ring, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, _noticed)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        parent = os.getppid()
        try:
            while os.getppid() == parent:
                ready, _, _ = select.select([self._channel, wake], [], [], 2.0)
                if wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 4096)
                    self._reap()
                if self._channel in ready and not self._answer():
                    break
        finally:
            for name in [*self._boxes]:
                self._kill({"box": name}, [])

    def _answer(self) -> bool:
        message, files = wire.receive(self._channel)
        if message is None:
            return False
        try:
            reply = getattr(self, f"_{message['op']}")(message, files)
        except (OSError, KeyError, ValueError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        finally:
            for opened in files:
                os.close(opened)
        wire.send(self._channel, {"reply": message["id"], **(reply or {})})
        return True

    def _launch(self, message: dict[str, Any], _files: list[int]) -> dict[str, Any] | None:
        if jail := message.get("jail"):
            self._boxes[message["box"]] = Box(jail=jail)
            return None
        init, namespaces = launch(message["argv"])
        self._boxes[message["box"]] = Box(init, namespaces)
        return None

    def _run(self, message: dict[str, Any], files: list[int]) -> dict[str, Any]:
        """Start a process. `files[0]` hears its own process id, or why it could not start, and closes when it has."""
        box = self._boxes.get(message["box"])
        pid = fork_within(box, lambda: inside.start(box.jail, message, files)) if box is not None else None
        if pid is None:
            self._kill(message, [])
            wire.send(self._channel, {"gone": message["box"]})  # before the answer, so that who hears it can try anew
            return {"error": "gone"}
        self._running[pid] = message["box"]
        return {"pid": pid}

    def _call(self, message: dict[str, Any], files: list[int]) -> None:
        """Run one of our own functions as the sandbox would; the answer goes to `files[0]`."""
        box = self._boxes[message["box"]] if message["box"] else Box()
        function = inside.FUNCTIONS[message["function"]]
        work: Callable[[], None] = lambda: inside.answer(  # noqa: E731
            files[0], function, box.jail, message["arguments"], files[1:]
        )
        match message["within"]:
            case "files":  # in its file system, but not among its processes: nothing there can signal this one
                fork(lambda: (confine.enter(box.namespaces, "owner", "mnt"), confine.drop_capabilities(), work()))
            case "network":  # capabilities kept: binding port 443 takes one
                fork(lambda: (confine.enter(box.namespaces, "owner", "net"), work()))
            case "processes":
                fork_within(box, lambda: (confine.drop_capabilities(), work()))
            case _:
                fork(work)

    def _signal(self, message: dict[str, Any], _files: list[int]) -> dict[str, Any]:
        """Signal a process we started, with its whole group. It is not reaped, so the number is still its own."""
        pid = message["pid"]
        if pid not in self._running:
            return {"found": False}
        for deliver in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                deliver(pid, message["signal"])
        return {"found": True}

    def _kill(self, message: dict[str, Any], _files: list[int]) -> None:
        box = self._boxes.pop(message["box"], None)
        if box is None:
            return
        if box.init is not None:
            box.init.kill()  # its child, process 1 of the sandbox, dies with it and takes the rest along
            box.init.wait()
        else:
            for pid in [pid for pid, name in self._running.items() if name == message["box"]]:
                self._signal({"pid": pid, "signal": signal.SIGKILL}, [])  # where there is no /proc to find more in
            inside.kill_jail(box.jail, signal.SIGKILL)
        box.close()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if self._running.pop(pid, None) is not None:
                    wire.send(self._channel, {"exit": pid, "status": os.waitstatus_to_exitcode(status)})
        for name, box in [*self._boxes.items()]:
            if box.init is not None and box.init.poll() is not None:
                self._boxes.pop(name).close()
                wire.send(self._channel, {"gone": name})


def _noticed(_number: int, _frame: object) -> None:
    """A child ended. The wake-up pipe tells the loop; this is here so that Python listens at all."""


def launch(argv: list[str]) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    """Start bubblewrap and open the namespaces of what it started."""
    info, info_end = os.pipe()
    command = [*argv[:1], "--info-fd", str(info_end), *argv[1:]]
    init = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(info_end,),
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    os.close(info_end)
    assert init.stdout is not None  # noqa: S101 - both are pipes
    assert init.stderr is not None  # noqa: S101
    try:
        ready, _, _ = select.select([init.stdout], [], [], LAUNCH_LIMIT)
        if not ready or not init.stdout.readline():
            init.kill()
            reason = init.stderr.read(2000).decode(errors="replace").strip()
            init.wait()
            raise OSError(0, reason or "bubblewrap did not get ready")
        first = json.loads(os.read(info, 4096))["child-pid"]
        with open(f"/proc/{first}/task/{first}/children") as children:  # noqa: PTH123 - a kernel file
            payload = int(children.read().split()[0])
        return init, confine.open_namespaces(payload)
    finally:
        os.close(info)
        init.stdout.close()
        init.stderr.close()


def fork(work: Callable[[], object]) -> int:
    """Do `work` in a child that never returns."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the child ends here, and the log says why
        os.write(2, f"sandbox child: {error!r}\n".encode())
    finally:
        os._exit(code)


def fork_within(box: Box, work: Callable[[], object]) -> int | None:
    """Do `work` in a child born into the sandbox; its process id as the host sees it; `None` if it is dead."""
    if box.init is None:
        return fork(work)
    result, report = os.pipe()

    def join_and_fork() -> None:
        confine.enter(box.namespaces, *ALL)
        os.write(report, struct.pack("i", fork(work)))

    between = fork(join_and_fork)
    os.close(report)
    os.waitpid(between, 0)
    answer = os.read(result, 4)
    os.close(result)
    if len(answer) != struct.calcsize("i"):
        return None
    return struct.unpack("i", answer)[0]


def main(channel: int, uid: int, gid: int) -> None:
    os.chdir("/")
    confine.load_landlock()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
    confine.prctl(confine.PR_SET_NO_NEW_PRIVS, 1)
    os.set_inheritable(channel, False)
    Supervisor(socket.socket(fileno=channel)).serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
