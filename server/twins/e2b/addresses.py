"""Which addresses lie outside: on the internet, and not on this machine, its network or its provider's."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

EMBEDDED = tuple(ipaddress.IPv6Network(net) for net in ("::/96", "64:ff9b::/96"))
"""Where the last four bytes are an IPv4 address, which a router may take a packet on to: the old compatible form, and
the well-known prefix of NAT64 (RFC 6052)."""


def outside(address: str) -> bool:
    """Whether every address this one stands for is global; also those a tunnel or a translator would make of it."""
    here = ipaddress.ip_address(address.partition("%")[0])
    return all(each.is_global and not each.is_multicast for each in (here, *_within(here)))


def _within(address: Address) -> list[Address]:
    """IPv4 addresses written into an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    last = [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)] if any(address in net for net in EMBEDDED) else []
    known = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
    return [*last, *(each for each in known if each is not None)]
