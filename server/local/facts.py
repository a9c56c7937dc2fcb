"""What the local stack remembers between starts: ports and credentials, chosen once. 0600."""

from __future__ import annotations

import json
import os
import secrets
import socket
import string
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

VENDORS = ("neon", "resend", "posthog", "github", "e2b", "anthropic")
SUPERUSER = "postgres"

_LETTERS = string.ascii_letters + string.digits
# Below the range the kernel hands to outgoing connections (32768 on Linux, 49152 on macOS),
# so that a port remembered for weeks is not lost to a passing client.
_PORTS = range(20000, 32000)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def mint_credential(vendor: str) -> Secret:
    """A new operator's key in the vendor's own shape, so that an SDK which looks at it is content."""
    shapes = {
        "neon": lambda: f"napi_{_random(64).lower()}",
        "resend": lambda: f"re_{_random(8)}_{_random(24)}",
        "posthog": lambda: f"phc_{_random(43)}",
        "github": lambda: f"ghp_{_random(36)}",
        "e2b": lambda: f"e2b_{secrets.token_hex(20)}",
        "anthropic": lambda: f"sk-ant-local-{_random(40)}",
    }
    return Secret(shapes[vendor]())


@dataclass(frozen=True)
class TwinFacts:
    """One twin: where it listens and what it accepts."""

    port: int
    credential: Secret
    admin: Secret

    @property
    def health_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/_twin/health"


@dataclass(frozen=True)
class StackFacts:
    """The whole stack file. `pids` holds the processes as last seen; a number alone proves nothing."""

    postgres_port: int
    postgres_password: Secret
    twins: dict[str, TwinFacts]
    pids: dict[str, int] = field(default_factory=dict[str, int])
    weak_sandbox: bool = False
    server_port: int | None = None
    """Where our own server listens: sandboxes are handed that port too."""

    def base_url(self, vendor: str) -> str:
        """Where SDKs find a twin. `localhost` where an app's own driver needs a name, not an address."""
        host = "127.0.0.1" if vendor in ("e2b", "anthropic") else "localhost"
        return f"http://{host}:{self.twins[vendor].port}"

    def with_pid(self, name: str, pid: int | None) -> StackFacts:
        others = {key: value for key, value in self.pids.items() if key != name}
        return replace(self, pids=others if pid is None else {**others, name: pid})


def mint(which: Iterable[str]) -> StackFacts:
    """Facts for a first start."""
    taken: set[int] = set()
    postgres_port = free_port(taken)
    facts = StackFacts(postgres_port, Secret(_random(32)), {})
    return with_twins(facts, which)


def with_twins(facts: StackFacts, which: Iterable[str]) -> StackFacts:
    """`facts` with a port and credentials for every vendor in `which`; those already there stay."""
    taken = {facts.postgres_port, *(twin.port for twin in facts.twins.values())}
    new = {
        vendor: TwinFacts(free_port(taken), mint_credential(vendor), Secret(_random(32)))
        for vendor in VENDORS
        if vendor in set(which) and vendor not in facts.twins
    }
    return replace(facts, twins={**facts.twins, **new}) if new else facts


def port_is_free(port: int) -> bool:
    """Whether a server could listen on `port` at every loopback address this machine has."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno in _NO_IPV6:
                continue
            return False
    return True


_NO_IPV6 = (97, 99, 47, 49)  # EAFNOSUPPORT and EADDRNOTAVAIL, on Linux and on macOS


def free_port(taken: set[int]) -> int:
    """A port nobody listens on, not in `taken`; it is added there."""
    while True:
        port = secrets.choice(_PORTS)
        if port not in taken and port_is_free(port):
            taken.add(port)
            return port


def load(path: Path) -> StackFacts | None:
    """The remembered facts, or None where there are none that can be read."""
    try:
        raw = json.loads(path.read_text())
        return StackFacts(
            postgres_port=int(raw["postgres"]["port"]),
            postgres_password=Secret(raw["postgres"]["password"]),
            twins={
                vendor: TwinFacts(int(twin["port"]), Secret(twin["credential"]), Secret(twin["admin"]))
                for vendor, twin in raw["twins"].items()
            },
            pids={name: int(pid) for name, pid in raw.get("pids", {}).items()},
            weak_sandbox=bool(raw.get("weak_sandbox", False)),
            server_port=raw.get("server_port"),
        )
    except FileNotFoundError:
        return None


def save(path: Path, facts: StackFacts) -> None:
    write_private(
        path,
        {
            "postgres": {
                "port": facts.postgres_port,
                "superuser": SUPERUSER,
                "password": facts.postgres_password.reveal(),
            },
            "twins": {
                vendor: {
                    "port": twin.port,
                    "credential": twin.credential.reveal(),
                    "admin": twin.admin.reveal(),
                }
                for vendor, twin in facts.twins.items()
            },
            "pids": facts.pids,
            "weak_sandbox": facts.weak_sandbox,
            "server_port": facts.server_port,
        },
    )


def write_private(path: Path, data: Any) -> None:
    """Write JSON that only this user can read, whole or not at all."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
