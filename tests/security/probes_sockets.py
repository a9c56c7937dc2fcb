"""Attempts on the network: the machine's ports, other sessions', its neighbours in the cloud, and the way out."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable  # noqa: TC003
from dataclasses import replace

from server.twins.e2b.network import Policy
from tests.security.lifting import CAPABILITIES, FILTER, INNER_USER, NETWORK
from tests.security.probe import Probe, python
from tests.security.ways_out import ADDRESSES, ADDRESSES_BEHIND, BEHIND, HOST_HEADER, LINES, NAMES, ONE_REQUEST, PINNED
from tests.security.world import World  # noqa: TC001

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


async def _neighbours_port(world: World) -> str:
    shared = world.attacker.guest.walls.namespaces
    world.neighbour.guest.walls = replace(world.neighbour.guest.walls, namespaces=shared)
    await world.start(
        "python3 -u -c \"import http.server as h; s = h.HTTPServer(('127.0.0.1', 18765), h.SimpleHTTPRequestHandler); "
        "print('up'); s.serve_forever()\" 2> /dev/null",
        of=world.neighbour,
    )
    return await world.run(f"{CURL} http://127.0.0.1:18765/ -o /dev/null && echo ESCAPED")


ELSEWHERE = {
    "the metadata service": "169.254.169.254",
    "the metadata service by IPv6": "[fd00:ec2::254]",
    "a private network (10)": "10.0.0.1",
    "a private network (172.16)": "172.16.0.1",
    "a private network (192.168)": "192.168.1.1",
    "a carrier's network (100.64)": "100.64.0.1",
    "this machine by its number": "127.0.0.1",
    "this machine by no number": "0.0.0.0",
    "this machine by IPv6": "[::1]",
    "this machine by IPv4 in IPv6": "[::ffff:127.0.0.1]",
    "this machine by IPv4 in IPv6, the old way": "[::127.0.0.1]",
    "this machine by a translator's address": "[64:ff9b::7f00:1]",
    "this machine by a tunnel's address": "[2002:7f00:1::1]",
    "this machine by name": "localhost",
    "this machine in short": "127.1",
    "this machine as one number": "2130706433",
    "this machine in octal": "0177.0.0.1",
    "this machine in hexadecimal": "0x7f000001",
    "everybody on the network": "224.0.0.1",
    "a link's own address": "[fe80::1]",
}

PROBES = (
    Probe("reach a port of the machine", NETWORK, f"{CURL} http://127.0.0.1:@port@/", "@secret@"),
    Probe("reach a port of the machine by IPv6", NETWORK, f"{CURL} http://[::1]:@port6@/", "@secret@"),
    Probe("reach an abstract socket of the machine", NETWORK, python(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0@abstract@'); s.send(b'x'); print(s.recv(999))"
    ), "@secret@"),
    Probe("reach a port of another session", NETWORK, _neighbours_port),
    Probe("hear what others send", CAPABILITIES, made(2, socket.SOCK_RAW, 1), beneath=(INNER_USER,)),
    Probe("hear every packet", FILTER, made(17, socket.SOCK_RAW, 3), beneath=(CAPABILITIES, INNER_USER)),
    Probe("speak to the machine beneath this machine", FILTER, made(40, socket.SOCK_STREAM), needs=opens(40, socket.SOCK_STREAM)),  # noqa: E501
    Probe("use the kernel's ciphers", FILTER, made(38, socket.SOCK_SEQPACKET), needs=opens(38, socket.SOCK_SEQPACKET)),
    Probe("speak to the kernel's rarer parts", FILTER, made(16, socket.SOCK_RAW, 16)),
    *(Probe(f"get out to {name}", ADDRESSES, asked(place), "@secret@") for name, place in ELSEWHERE.items()),
    Probe("get out to this machine through the machine's own proxy", ADDRESSES_BEHIND, asked("127.0.0.1"), "@secret@",
          (BEHIND,)),
    Probe("get out to the metadata service through the machine's own proxy", ADDRESSES_BEHIND,
          asked("169.254.169.254"), "@secret@", (BEHIND,)),
    Probe("get out to a host nobody named", NAMES, f"{THROUGH} http://public.example/", "welcome"),
    Probe("get out to a port nobody named", NAMES, with_policy(NAMED, f"{THROUGH} http://public.example:25/"), "welcome"),  # noqa: E501
    Probe("get in by a name that changes its mind", PINNED,
          with_policy(NAMED, f"for i in 1 2; do {THROUGH} http://turning.example/; done"), "@secret@"),
    Probe("ask a named server for another host's page", HOST_HEADER, with_policy(NAMED, raw(
        "GET http://public.example/ HTTP/1.1", "Host: inner.example", "", "")), "@secret@"),
    Probe("ask for another host's page on a connection that is open", ONE_REQUEST, with_policy(NAMED, raw(
        "GET http://public.example/ HTTP/1.1", "Host: public.example", "", "",
        "GET / HTTP/1.1", "Host: inner.example", "", "")), "@secret@"),
    Probe("hide another host in a header", LINES, with_policy(NAMED, raw(
        "GET http://public.example/ HTTP/1.1", "X: x\\nHost: inner.example", "", "")), "@secret@"),
)  # fmt: skip
