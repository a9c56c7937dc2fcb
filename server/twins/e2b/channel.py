"""The twin's end of a socket to the supervisor, or to a sandbox's keeper: questions, answers, and news of the ended."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING, Any

from server.errors import StackError
from server.twins.e2b import wire
from server.twins.e2b.errors import Died, FileTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
                waiting.exception()  # whoever waited may have left, and then nobody else asks for it
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
