"""Attempts on the network: the machine's ports, other sessions', its neighbours in the cloud, and the way out."""

from __future__ import annotations

from tests.security import attempts_sockets as attempts
from tests.security.lifting import CAPABILITIES, FILTER, INNER_USER, NETWORK
from tests.security.probe import Probe
from tests.security.ways_out import ADDRESSES, ADDRESSES_BEHIND, BEHIND, HOST_HEADER, LINES, NAMES, ONE_REQUEST, PINNED

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

METADATA = "169.254.169.254"

PROBES = (
    Probe("reach a port of the machine", NETWORK, attempts.BY_IPV4, "@secret@"),
    Probe("reach a port of the machine by IPv6", NETWORK, attempts.BY_IPV6, "@secret@"),
    Probe("reach an abstract socket of the machine", NETWORK, attempts.ABSTRACT, "@secret@"),
    Probe("reach a port of another session", NETWORK, attempts.neighbours_port),
    Probe("hear what others send", CAPABILITIES, attempts.RAW, "", (INNER_USER,)),
    Probe("hear every packet", FILTER, attempts.PACKETS, "", (CAPABILITIES, INNER_USER)),
    Probe("speak to the machine beneath this machine", FILTER, attempts.BENEATH, needs=attempts.beneath),
    Probe("use the kernel's ciphers", FILTER, attempts.CIPHERS, needs=attempts.ciphers),
    Probe("speak to the kernel's rarer parts", FILTER, attempts.GENERIC),
    *(Probe(f"get out to {name}", ADDRESSES, attempts.asked(place), "@secret@") for name, place in ELSEWHERE.items()),
    # The same where the machine reaches the internet through a proxy, which looks names up by itself.
    Probe("get out to this machine by a proxy", ADDRESSES_BEHIND, attempts.asked("127.0.0.1"), "@secret@", (BEHIND,)),
    Probe("get out to metadata by a proxy", ADDRESSES_BEHIND, attempts.asked(METADATA), "@secret@", (BEHIND,)),
    Probe("get out to a host nobody named", NAMES, attempts.UNNAMED, "welcome"),
    Probe("get out to a port nobody named", NAMES, attempts.PORT, "welcome"),
    Probe("get in by a name that changes its mind", PINNED, attempts.TURNING, "@secret@"),
    Probe("ask a named server for another host's page", HOST_HEADER, attempts.OTHER_HOST, "@secret@"),
    Probe("ask for it on a connection that is open", ONE_REQUEST, attempts.SECOND, "@secret@"),
    Probe("hide another host in a header", LINES, attempts.HIDDEN, "@secret@"),
)
