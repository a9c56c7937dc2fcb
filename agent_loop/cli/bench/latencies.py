"""How long the vendors take to answer, in milliseconds, and where each figure is from.

Nothing here was measured against a live vendor. Where one publishes nothing, its figure is assumed, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """One route of one vendor's."""

    ms: int
    source: str
    vendor: str = ""
    method: str = ""
    path: str = ""
    """The route at the twin, as a regular expression."""


GIST = "an old sample of 10,000 GitHub API reads: median 206 ms"
PODFLARE = "E2B create to first command, p50 442 ms of 30 (Podflare's benchmark); the first command about 200 of them"
# By the stand-in's route.
LATENCY = {
    "Neon create": Latency(500, "Neon, agent platform page: about 500 ms", "neon", "POST", "/api/v2/projects"),
    "Neon operations": Latency(
        100, "assumed: nothing is published", "neon", "GET", "/api/v2/projects/[^/]+/operations.*"
    ),
    "Resend segment": Latency(206, f"assumed as GitHub's: {GIST}", "resend", "POST", "/segments"),
    "Resend key": Latency(206, f"assumed as GitHub's: {GIST}", "resend", "POST", "/api-keys"),
    "GitHub create": Latency(206, GIST, "github", "POST", "/user/repos"),
    "E2B create": Latency(242, PODFLARE, "e2b", "POST", "/v2/sandboxes"),
    "VM files": Latency(200, PODFLARE, "e2b", "POST", "/files"),
    "VM command": Latency(200, PODFLARE, "e2b", "POST", "/process.Process/Start"),
}
SLOW = {name: float(latency.ms) for name, latency in LATENCY.items()}
