"""Ways out of a sandbox that lack one guard each, and the internet they lead to: this machine by other addresses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from server.twins.e2b import heads
from server.twins.e2b.addresses import outside
from server.twins.e2b.egress import Proxy, resolved
from tests.security.probe import Guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.e2b.egress import Streams
    from server.twins.e2b.guards import Guards
    from tests.security.host import Host

PUBLIC = "93.184.215.14"
"""An address outside, as far as anybody here can tell. Nobody there is ever asked."""


class Anyone(Proxy):
    """Lets through every host."""

    def admits(self, host: str, port: int) -> bool:
        return True

    def reaches(self, host: str, port: int, address: str) -> bool:
        return outside(address)


class Anywhere(Proxy):
    """Connects to any address."""

    def reaches(self, host: str, port: int, address: str) -> bool:
        return True


class ByName(Proxy):
    """Looks at one answer for a name, and connects to what the next one says."""

    async def dial(self, host: str, port: int) -> Streams:
        (await super().dial(host, port))[1].close()
        return await self.connect((await self.resolve(host, port))[0], port)


class Careless(Proxy):
    """Passes a request's head on as it came."""

    def onward(self, request: heads.Request) -> bytes:
        return b"\r\n".join([f"{request.method} / HTTP/1.1".encode(), *request.headers])


class Repeated(Proxy):
    """Puts the right host on a request, and leaves the connection open for the next."""

    def onward(self, request: heads.Request) -> bytes:
        return heads.origin_form(request).replace(b"Connection: close\r\n", b"")


class Lenient(Proxy):
    """Takes a head with any ends of lines."""

    def read(self, head: bytes) -> heads.Request:
        return heads.parsed(head)


class Behind(Proxy):
    """On a machine that has a proxy of its own, which reaches everything."""

    def _onward(self, host: str) -> str | None:
        return f"http://127.0.0.1:{self.environ['ONWARD']}"


class BehindAnywhere(Behind, Anywhere):
    pass


def instead(kind: type[Proxy]) -> Callable[[Guards], Guards]:
    """Another way out."""
    return lambda guards: replace(guards, proxy=kind)


NAMES = Guard("only hosts that were named", instead(Anyone))
ADDRESSES = Guard("no address of this machine or its network", instead(Anywhere))
PINNED = Guard("the address looked at is the one dialled", instead(ByName))
HOST_HEADER = Guard("the host that was looked at is the one asked", instead(Careless))
ONE_REQUEST = Guard("one request a connection", instead(Repeated))
BEHIND = Guard("(a machine with a proxy of its own)", instead(Behind))
ADDRESSES_BEHIND = Guard("no address of this machine or its network", instead(BehindAnywhere))
LINES = Guard("lines end in one way", instead(Lenient))


def internet(host: Host) -> dict[str, Any]:
    """The parts by which a way out leads to one where `public.example` is outside, `turning.example` is so at every
    other look, and whatever is not outside has the machine's secret."""
    looks = 0

    async def resolve(name: str, port: int) -> list[str]:
        nonlocal looks
        looks += 1
        if name == "turning.example" and looks % 2 == 0:
            return ["127.0.0.1"]
        return [PUBLIC] if name.endswith(".example") else await resolved(name, port)

    async def connect(address: str, port: int) -> Streams:
        return await asyncio.open_connection("127.0.0.1", host.web if address == PUBLIC else host.port)

    return {"resolve": resolve, "connect": connect}
