"""The loop both ends of the supervisor's tree are: answer requests on a socket, notice children that ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING

from server.twins.e2b import wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

TURN = 2.0
"""Seconds after which it looks whether its parent is still there."""


class Answering:
    """`op` of a message names the method `_op`; what that returns is the reply, with `reply_files` beside it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._serving = True
        self._reply_files: list[int] = []

    def serve(self) -> None:
        """Answer until the twin is gone, or our parent is, then take down what we hold."""
        wake, ring = os.pipe()
        os.set_blocking(ring, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, noticed)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        parent = os.getppid()
        try:
            while self._serving and os.getppid() == parent:
                ready, _, _ = select.select([self._channel, wake], [], [], TURN)
                if wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 4096)
                    self._reap()
                if self._serving and self._channel in ready and not self._answer():
                    break
        finally:
            self._end()

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
        with contextlib.suppress(BrokenPipeError):
            wire.send(self._channel, {"reply": message["id"], **(reply or {})}, self._reply_files)
        while self._reply_files:
            os.close(self._reply_files.pop())
        return True

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended(ended[0], os.waitstatus_to_exitcode(ended[1]))

    def _ended(self, pid: int, status: int) -> None:
        """A child has."""

    def _end(self) -> None:
        """The last thing done."""


def noticed(_number: int, _frame: object) -> None:
    """A child ended, or our parent. The wake-up pipe tells the loop; this is here so that Python listens at all."""


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
