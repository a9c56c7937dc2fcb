"""The sandbox's image: what is in it, how that is made, and what runs. E2B's template and the local one are this."""

from __future__ import annotations

from dataclasses import dataclass

TEMPLATE = "mk0r"
"""The name the image has at E2B."""

WORKDIR = "/app"
HOME = "/root"
USER = "root"
READY_PORT = 5173
"""Where the app's server answers."""

START_COMMAND = ("node", "/app/dev.mjs")
"""Started with the sandbox and never waited for: it serves the app and restarts it when `/app/.env` changes."""

PATH = "/app/node_modules/.bin:/opt/bin:/opt/node/bin:/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Part:
    """Files of ours in the image, and what is run there to make them work."""

    source: str
    """A folder beside this file."""
    place: str
    """Where it is in the image."""
    commands: tuple[tuple[str, ...], ...]


NODE = "24"
"""Node.js, the major version."""

NPM_CI = ("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
_US = ("-c", "user.name=mk0r", "-c", "user.email=mk0r@localhost")
STARTER = Part(
    "starter",
    WORKDIR,
    (
        NPM_CI,
        ("git", "init", "-q", "-b", "main"),
        ("git", "add", "-A"),
        ("git", *_US, "commit", "-q", "-m", "Begin with the starter"),
    ),
)
BROWSER = Part("browser", "/opt/mk0r/browser", (NPM_CI, ("node", "unpack.mjs")))
WARM = ("node", "node_modules/vite/bin/vite.js", "optimize")
"""Run in `/app` at the end: fills Vite's cache, which is keyed on that very path."""

NOT_SOURCES = ("node_modules", "dist", ".env", ".env.*", "chromium")
"""What a developer's checkout may hold beside the sources."""

READY = (
    f"node -e \"fetch('http://localhost:{READY_PORT}')"
    '.then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"'
)
"""Succeeds once the app's server answers."""
