"""`python -P -m agent_loop.cli.bench.standin`: a stand-in for the vendors, and nothing like a twin.

It answers what a provisioning asks with the least that is valid, at once or after a set time, makes nothing and
keeps nothing: what is measured in front of it is our provisioner. It counts what it was asked. One process, one port.
Says its port as one line of JSON, then reads one JSON line after another: `{"latency_ms": {route: ms}}` sets the
latencies, `{}` nothing; each is answered with `{"calls": {route: count}}`, counted since the line before.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from typing import Any

from agent_loop.cli.bench.standin_routes import RAN, ROUTES

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_JSON, _STREAM = b"application/json", b"application/connect+json"
_COMPILED = [
    (name, method.encode(), re.compile(path.encode()), status, made)
    for name, (method, path, status, made) in ROUTES.items()
]


class StandIn:
    """What was asked, and how long each answer takes."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.latency: dict[str, float] = {}

    def answer(self, method: bytes, target: bytes, body: bytes) -> tuple[float, bytes]:
        """Seconds to wait, and what to write then."""
        path = target.partition(b"?")[0]
        for name, its_method, pattern, status, made in _COMPILED:
            if method == its_method and pattern.fullmatch(path):
                self.calls[name] += 1
                return self.latency.get(name, 0.0), _response(
                    status, made(path.decode(), body) if callable(made) else made
                )
        self.calls[f"unknown {method.decode()} {path.decode()}"] += 1
        return 0.0, _response(404, {"message": "the stand-in does not know this"})


def _response(status: int, body: Any) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = _STREAM if body is RAN else _JSON
    head = b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\n" % (status, kind)
    return head + (b"\r\n" if status == 204 else b"content-length: %d\r\n\r\n" % len(text) + text)  # noqa: PLR2004 - it has no body


class Connection(asyncio.Protocol):
    """HTTP/1.1, as much of it as our clients speak."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self._bytes = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        while (end := self._bytes.find(b"\r\n\r\n")) >= 0:
            head, rest = bytes(self._bytes[:end]), self._bytes[end + 4 :]
            if _CHUNKED.search(head):
                stop = 0 if rest.startswith(b"0\r\n\r\n") else rest.find(b"\r\n0\r\n\r\n") + 2
                if stop == 1:
                    return
                body, taken = rest[:stop], stop + 5
            else:
                found = _LENGTH.search(head)
                taken = int(found[1]) if found else 0
                if len(rest) < taken:
                    return
                body = rest[:taken]
            self._bytes = rest[taken:]
            method, target, _ = head.split(b" ", 2)
            seconds, answer = self._standin.answer(method, target, bytes(body))
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def _serve() -> None:
    loop, standin = asyncio.get_running_loop(), StandIn()
    server = await loop.create_server(lambda: Connection(standin), "127.0.0.1", 0, backlog=2048)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        asked = json.loads(line)
        if "latency_ms" in asked:
            standin.latency = {name: ms / 1000 for name, ms in asked["latency_ms"].items()}
        print(json.dumps({"calls": standin.calls}), flush=True)
        standin.calls.clear()


if __name__ == "__main__":
    asyncio.run(_serve())
