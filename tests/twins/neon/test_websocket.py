"""The WebSocket way in, with the frames the driver sends."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from tests.twins.neon.conftest import Neon

PROTOCOL_3 = 196_608


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def pipelined_start(uri: str, query: str, *, password: str | None = None) -> bytes:
    """Start-up, password and first query in one frame, before the server has asked for anything."""
    url = urlsplit(uri)
    pairs = ("user", url.username or "", "database", url.path[1:])
    body = struct.pack("!i", PROTOCOL_3) + b"\0".join(part.encode() for part in pairs) + b"\0\0"
    secret = (password or url.password or "").encode() + b"\0"
    return message(b"", body) + message(b"p", secret) + message(b"Q", query.encode() + b"\0")


async def read_until_ready(socket: ClientConnection) -> bytes:
    data = b""
    while not data.endswith(b"Z\0\0\0\5I"):
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        data += frame
    return data


async def test_a_password_sent_before_it_is_asked_for_opens_a_session(neon: Neon) -> None:
    uri = await neon.uri()
    async with connect(f"ws://localhost:{neon.port}/v2") as socket:
        await socket.send(pipelined_start(uri, "select 40 + 2"))
        data = await read_until_ready(socket)
        data += b"" if b"42" in data else await read_until_ready(socket)
        assert data.startswith(b"R\0\0\0\x08\0\0\0\3"), "it asks for a cleartext password"
        assert b"42" in data
        await socket.send(message(b"Q", b"select current_database()\0"))
        assert urlsplit(uri).path[1:].encode() in await read_until_ready(socket)


async def test_a_wrong_password_is_postgresqls_own_error_and_the_end(neon: Neon) -> None:
    uri = await neon.uri()
    async with connect(f"ws://localhost:{neon.port}/v2") as socket:
        await socket.send(pipelined_start(uri, "select 1", password="wrong"))
        data = b"".join([frame async for frame in socket if isinstance(frame, bytes)])
        assert b"28P01" in data


async def test_a_large_result_comes_whole(neon: Neon) -> None:
    uri = await neon.uri()
    async with connect(f"ws://localhost:{neon.port}/v2", max_size=None) as socket:
        await socket.send(pipelined_start(uri, "select 1"))
        while b"SELECT 1" not in await read_until_ready(socket):
            pass
        await socket.send(message(b"Q", b"select repeat('x', 3000000)\0"))
        assert (await read_until_ready(socket)).count(b"x") == 3_000_000


async def test_the_session_ends_with_the_socket(neon: Neon) -> None:
    uri = await neon.uri()
    async with connect(f"ws://localhost:{neon.port}/v2") as socket:
        await socket.send(pipelined_start(uri, "select 1"))
        await read_until_ready(socket)
    left = "select count(*) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()"
    for _ in range(1000):
        if await neon.rows(uri, left) == [["0"]]:
            return
    pytest.fail("the backend is still there")
