"""Which environment variables decide what the server does, and how two views of them are compared."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WATCHED_PREFIXES = ("ANTHROPIC_", "E2B_", "GITHUB_TOKEN", "MK0R_", "NEON_", "POSTHOG_", "RESEND_")
OF_THE_COMMAND = {"MK0R_HOME", "MK0R_PORT", "MK0R_NO_BROWSER"}


def fingerprints(environ: Mapping[str, str]) -> dict[str, str]:
    """A short hash of each variable the server reads, by name: tells two values apart, gives neither away."""
    return {
        name: sha256(f"mk0r {name}={value}".encode()).hexdigest()[:12]
        for name, value in sorted(environ.items())
        if name.startswith(WATCHED_PREFIXES) and name not in OF_THE_COMMAND and value
    }


def changed(environ: Mapping[str, str], server: Mapping[str, str]) -> list[str]:
    """Names that are set here and that the server has with another value, or not at all."""
    return [name for name, value in fingerprints(environ).items() if server.get(name) != value]
