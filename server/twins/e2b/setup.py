"""What every sandbox of this twin is made from, found out at its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.errors import StackError
from server.twins.e2b import certificates, namespaces
from server.twins.e2b import tier as tiers
from server.twins.e2b.guards import Guards
from server.twins.e2b.opening import TLS_PORT
from server.twins.e2b.relay import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from server.local.home import Home
    from server.twins.core import Site


@dataclass(frozen=True)
class Setup:
    """What every sandbox of this twin is made from."""

    home: Home
    tier: tiers.Tier
    parts: namespaces.Parts
    services: Mapping[int, Target]
    environment: Mapping[str, str]
    registry: str | None
    """Unset: the one the user's npm names, asked once while nobody waits yet."""
    chain: Path
    environ: Mapping[str, str]
    pid_file: Path
    guards: Guards = field(default_factory=Guards)


def setup(  # noqa: PLR0917 - called once
    site: Site,
    home: Home,
    node: Path,
    services: Mapping[str, int],
    environment: Mapping[str, str],
    registry: str | None,
    tier: tiers.Tier | None,
    environ: Mapping[str, str],
) -> Setup:
    home.stack.mkdir(parents=True, exist_ok=True)
    site.data.mkdir(parents=True, exist_ok=True)
    tier = tier or _probed(home, environ)
    made = certificates.prepare(site.data / "authority", home.stack / "certificates.pem", environ)
    targets = {
        TLS_PORT if name == "neon" else port: Target("127.0.0.1", port, tls=name == "neon")
        for name, port in services.items()
    }
    template = home.template
    parts = namespaces.Parts(
        bwrap=tier.bwrap or home.stack,
        node=node,
        modules=template / "app" / "node_modules",
        opt=template / "opt",
        certificates=made.bundle,
        overlay=tier.overlay,
    )
    return Setup(
        home=home,
        tier=tier,
        parts=parts,
        services=targets,
        environment=environment,
        registry=registry,
        chain=made.chain,
        environ=environ,
        pid_file=site.data / "supervisor.pid",
    )


def _probed(home: Home, environ: Mapping[str, str]) -> tiers.Tier:
    found = tiers.probe(home.stack / "bubblewrap")
    if found.name == "weak" and environ.get("MK0R_WEAK_SANDBOX") != "1":
        raise StackError(
            f"This machine cannot isolate a sandbox: {found.reason}.",
            next_action=f"{found.remedy} Or set MK0R_WEAK_SANDBOX=1 to go on with weaker isolation.",
        )
    return found
