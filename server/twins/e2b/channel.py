"""The twin's end of a socket to the supervisor, or to a sandbox's keeper: questions, answers, and news of the ended."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b import wire
from server.twins.e2b.errors import Died, FileTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from server.local.identity import Identity

REQUEST_LIMIT = 15.0
"""Seconds for one answer, or for one of a sandbox's own file system."""


class Channel:
    """`on_gone` is told once when the other side is gone."""

    def __init__(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._channel: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], list[int]]]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._next = 0
        self._sending = asyncio.Lock()

    def open(self) -> socket.socket:
        """Begin; returns the other end, for whoever is to answer."""
        ours, theirs = wire.pair()
        ours.setblocking(False)
        self._channel = ours
        asyncio.get_running_loop().add_reader(ours, self._read)
        return theirs

    @property
    def running(self) -> bool:
        return self._channel is not None

    async def request(self, op: str, files: Sequence[int] = (), **message: Any) -> dict[str, Any]:
        """One question, one answer; open files in it are under `files`. Raises `StackError` when the other side says
        no, and `Died` when it is gone."""
        self._next += 1
        number = self._next
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(REQUEST_LIMIT):
                await self._send({"op": op, "id": number, **message}, [*files])
                reply, found = await answer
        except TimeoutError as error:
            raise StackError("The sandbox supervisor did not answer.") from error
        except OSError as error:
            self.close()
            raise Died("The sandbox has died.", next_action="Try again: it comes up with its files.") from error
        finally:
            self._waiting.pop(number, None)
        if reply.get("error") == "gone":
            self.close()
            raise Died("The sandbox has died.", next_action="Try again: it comes up with its files.")
        if problem := reply.get("error"):
            raise StackError(f"The sandbox supervisor could not {op}: {problem}")
        return {**reply, "files": found}

    async def call(
        self, function: str, *, given: Sequence[int] = (), seconds: float = REQUEST_LIMIT, about: dict[str, Any],
        **arguments: Any,
    ) -> tuple[Any, list[int]]:  # fmt: skip
        """Run one of `inside`'s functions; the open files `given` go with it, and `about` says as whom and where.

        Raises `FileTrouble` with the errno it met.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            try:
                await self.request("call", [theirs.fileno(), *given], **about, function=function, arguments=arguments)
            finally:
                theirs.close()
            async with asyncio.timeout(seconds):
                return await _collect(ours)
        except TimeoutError:
            raise FileTrouble("ETIMEDOUT", "the sandbox did not answer") from None
        finally:
            ours.close()

    def close(self) -> None:
        """Close our end, and tell whoever waits; the other side ends of it."""
        if self._channel is None:
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the supervisor is gone"))
        for ended in self._exits.values():
            if not ended.done():
                ended.set_result(-signal.SIGKILL)
        self._exits.clear()
        self._on_gone()

    async def _send(self, message: dict[str, Any], files: list[int]) -> None:
        async with self._sending:
            while True:
                if self._channel is None:
                    raise ConnectionResetError("the supervisor is gone")
                try:
                    wire.send(self._channel, message, files)
                except BlockingIOError:
                    await asyncio.sleep(0.002)  # it forks for a living and is soon back
                else:
                    return

    def _read(self) -> None:
        assert self._channel is not None  # noqa: S101 - the reader is removed with the channel
        try:
            message, files = wire.receive(self._channel)
        except BlockingIOError:
            return
        except OSError:
            message, files = None, []
        if message is None:
            self.close()
        elif "reply" in message:
            if "pid" in message:
                # Made here, for the news of its end may be the very next message.
                message["exited"] = self._exits[message["pid"]] = asyncio.get_running_loop().create_future()
            if (waiting := self._waiting.get(message["reply"])) and not waiting.done():
                waiting.set_result((message, files))
        elif (ended := self._exits.pop(message["exit"], None)) and not ended.done():
            ended.set_result(message["status"])


async def _collect(channel: socket.socket) -> tuple[Any, list[int]]:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(channel, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(channel)
    first, files = wire.take(channel, 65536)
    data = bytearray(first)
    while chunk := await loop.sock_recv(channel, 65536):
        data += chunk
    reply = json.loads(data) if data else {"error": "EIO", "message": "the sandbox could not be entered"}
    if name := reply.get("error"):
        raise FileTrouble(name, reply["message"])
    return reply["ok"], files


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
