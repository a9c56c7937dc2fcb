"""How the attempts on the network are made (`probes_sockets`)."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from server.twins.e2b.network import Policy
from tests.security.probe import python

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.security.world import World

CURL = "curl -sS --max-time 8 --noproxy '*'"
THROUGH = "curl -sS --max-time 8 --noproxy '' -x http://127.0.0.1:3128"
NAMED = Policy(names=frozenset({"public.example", "turning.example"}))


def with_policy(policy: Policy, script: str) -> Callable[[World], Awaitable[str]]:
    async def attempt(world: World) -> str:
        world.attacker.policy = policy
        return await world.run(script)

    return attempt


def asked(place: str) -> Callable[[World], Awaitable[str]]:
    """Ask an open way out for a place on the machine's own side, both ways a proxy can be asked."""
    url = f"http://{place}:@port@/"
    return with_policy(Policy(open=True), f"{THROUGH} {url}; {THROUGH} --proxytunnel {url}")


def raw(*lines: str) -> str:
    """Say this to the way out, as it is."""
    said = "\\r\\n".join(lines)
    return f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{said}' >&3; timeout 1 cat <&3"


def opens(family: int, kind: int, protocol: int = 0) -> Callable[[], bool]:
    """Whether the test's own process can make such a socket."""

    def can() -> bool:
        try:
            socket.socket(family, kind, protocol).close()
        except OSError:
            return False
        return True

    return can


def made(family: int, kind: int, protocol: int = 0) -> str:
    return python(f"import socket\nsocket.socket({family}, {int(kind)}, {protocol})\nprint('ESCAPED')")


async def neighbours_port(world: World) -> str:
    shared = world.attacker.guest.walls.namespaces
    world.neighbour.guest.walls = replace(world.neighbour.guest.walls, namespaces=shared)
    await world.start(
        "python3 -u -c \"import http.server as h; s = h.HTTPServer(('127.0.0.1', 18765), h.SimpleHTTPRequestHandler); "
        "print('up'); s.serve_forever()\" 2> /dev/null",
        of=world.neighbour,
    )
    return await world.run(f"{CURL} http://127.0.0.1:18765/ -o /dev/null && echo ESCAPED")


ABSTRACT = python("""
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('\\0@abstract@')
s.send(b'x')
print(s.recv(999))
""")
BY_IPV4, BY_IPV6 = f"{CURL} http://127.0.0.1:@port@/", f"{CURL} http://[::1]:@port6@/"
RAW, PACKETS = made(2, socket.SOCK_RAW, 1), made(17, socket.SOCK_RAW, 3)
BENEATH, CIPHERS, GENERIC = made(40, socket.SOCK_STREAM), made(38, socket.SOCK_SEQPACKET), made(16, socket.SOCK_RAW, 16)
beneath, ciphers = opens(40, socket.SOCK_STREAM), opens(38, socket.SOCK_SEQPACKET)

UNNAMED = f"{THROUGH} http://public.example/"
PORT = with_policy(NAMED, f"{THROUGH} http://public.example:25/")
TURNING = with_policy(NAMED, f"for i in 1 2; do {THROUGH} http://turning.example/; done")
RIGHT, WRONG = "GET http://public.example/ HTTP/1.1", "Host: inner.example"
OTHER_HOST = with_policy(NAMED, raw(RIGHT, WRONG, "", ""))
SECOND = with_policy(NAMED, raw(RIGHT, "Host: public.example", "", "", "GET / HTTP/1.1", WRONG, "", ""))
HIDDEN = with_policy(NAMED, raw(RIGHT, f"X: x\\n{WRONG}", "", ""))
