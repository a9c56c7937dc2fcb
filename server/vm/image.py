"""The sandbox's image: what is where in it and what runs in it. E2B's template and the local one are both this."""

from __future__ import annotations

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
