"""A sandbox's network: what the API takes, and what of it lets a connection out."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from server.twins.e2b.addresses import outside
from server.twins.e2b.errors import wire

if TYPE_CHECKING:
    from server.twins.e2b.record import Record

ALL = "0.0.0.0/0"
DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?(:\d{1,5})?", re.IGNORECASE)
WEB_PORTS = (80, 443)

Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def checked(network: dict[str, Any]) -> dict[str, Any]:
    """A network configuration as E2B takes it. Raises its 400s (E2B's docs, Internet access), and the one it answers
    a team that may not use egress rules or proxies of its own: this twin does not intercept TLS."""
    denied: list[str] = network.get("denyOut") or []
    allowed: list[str] = network.get("allowOut") or []
    for entry in denied:
        if _net(entry) is None:
            raise wire(400, f"invalid denied CIDR {entry}")
    names = [entry for entry in allowed if _net(entry) is None]
    for entry in names:
        if not DOMAIN.fullmatch(entry):
            raise wire(400, f"invalid allowed address {entry}")
    if names and ALL not in denied:
        said = "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out"
        raise wire(400, f"{said} to block all other traffic.")
    if network.get("rules"):
        raise wire(400, "Network transform rules are not available for your team.")
    if network.get("egressProxy"):
        raise wire(400, "Egress proxies are not available for your team.")
    if (mask := network.get("maskRequestHost")) and not mask.isascii():
        raise wire(400, f"mask request host '{mask}' is not ASCII. Please use ASCII characters only.")
    return network


def _net(entry: str) -> Net | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _nets(entries: list[str]) -> tuple[Net, ...]:
    found = [_net(entry) for entry in entries if entry != ALL]
    return tuple(net for net in found if net is not None)


@dataclass(frozen=True)
class Policy:
    """Who may be reached from one sandbox. An allowed entry always beats a denied one (E2B's docs, Internet access).

    Where a request says nothing about the internet E2B opens it all and we open the package registry alone: what runs
    here runs on somebody's own machine.
    """

    trusted: frozenset[str] = frozenset()
    """`name:port` that may also be on a private address: the registry."""
    names: frozenset[str] = frozenset()
    """Domains, `*.domain` or `name:port`."""
    allowed: tuple[Net, ...] = ()
    denied: tuple[Net, ...] = ()
    open: bool = False
    services: bool = True
    """Whether the local stand-ins for vendors may be reached."""

    @classmethod
    def of(cls, record: Record, registry: str) -> Policy:
        denied: list[str] = record.network.get("denyOut") or []
        allowed: list[str] = record.network.get("allowOut") or []
        closed = record.internet is False or ALL in denied
        parts = urlsplit(registry)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        return cls(
            trusted=frozenset() if closed else frozenset({f"{parts.hostname}:{port}"}),
            names=frozenset(entry.lower() for entry in allowed if _net(entry) is None),
            allowed=_nets(allowed),
            denied=_nets(denied),
            open=ALL in allowed or (record.internet is True and not closed),
            services=not closed or "localhost" in allowed,
        )

    def admits(self, host: str, port: int) -> bool:
        """Whether to try at all; `reaches` has the last word once the address is known."""
        host = host.lower().rstrip(".")
        if f"{host}:{port}" in self.trusted or self._named(host, port):
            return True
        if (literal := _net(host)) is not None:
            return self._net_admits(str(literal.network_address))
        return self.open or bool(self.allowed)

    def reaches(self, host: str, port: int, address: str) -> bool:
        host = host.lower().rstrip(".")
        if f"{host}:{port}" in self.trusted:
            return True
        return outside(address) and (self._named(host, port) or self._net_admits(address))

    def _named(self, host: str, port: int) -> bool:
        labels = host.split(".")
        names = {host, *("*." + ".".join(labels[start:]) for start in range(1, len(labels)))}
        return any(f"{name}:{port}" in self.names or (name in self.names and port in WEB_PORTS) for name in names)

    def _net_admits(self, address: str) -> bool:
        place = ipaddress.ip_address(address)
        if any(place in net for net in self.allowed):
            return True
        return self.open and not any(place in net for net in self.denied)
