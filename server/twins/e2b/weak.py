"""The weaker tier, for machines without user namespaces: a folder, resource limits and, on Linux, landlock.

The SDK's paths `/app`, `/root`, `/run`, `/tmp` and `/opt/mk0r` lead into the session's folder, a command finds them
through `APP_DIR`, `HOME` and `TMPDIR`, the app has a port of this machine, and the services are simply there. What
it does not have: a network or processes of its own, or any wall on systems without landlock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.vm import image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from server.twins.e2b.namespaces import Parts

FOLDERS = ("root/.claude/skills", "run", "tmp", "etc", "app")
MAPPED = ("app", "root", "run", "tmp")
READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/proc", "/sys/fs/cgroup")
WRITABLE = ("/dev",)
MARK = "MK0R_SANDBOX"
"""In the environment of every process of a sandbox; how they are found again."""

# A login shell reads the machine's /etc/profile, which sets PATH anew: set it back.
_PROFILE = 'export PATH="$MK0R_PATH"\n'

# The Neon driver always asks https://localhost; here nothing may listen on 443, so its requests are led elsewhere.
_PRELOAD = """\
const place = process.env.MK0R_NEON
if (place) {
  const led = (address) => {
    const url = new URL(address)
    const ours = url.hostname === 'localhost' && url.port === '' && ['/sql', '/v2'].includes(url.pathname)
    return ours ? `${url.protocol === 'wss:' ? 'ws:' : 'http:'}//${place}${url.pathname}${url.search}` : undefined
  }
  const { fetch: askedFetch, WebSocket: AskedSocket } = globalThis
  globalThis.fetch = (input, options) => {
    const address = typeof input === 'string' || input instanceof URL ? led(input) : undefined
    return askedFetch(address ?? input, options)
  }
  globalThis.WebSocket = class extends AskedSocket {
    constructor(address, ...rest) {
      super(led(address) ?? address, ...rest)
    }
  }
}
"""

FILES = {"root/.bash_profile": _PROFILE, "etc/neon.mjs": _PRELOAD}


def jail(sandbox_id: str, folder: Path, parts: Parts) -> dict[str, Any]:
    """What the supervisor must know to keep a process of this sandbox where it belongs."""
    return {
        "mark": f"{MARK}={sandbox_id}",
        "folders": [*((f"/{name}", f"{folder}/{name}") for name in MAPPED), ("/opt/mk0r", str(parts.opt))],
        "read": [*READABLE, str(parts.node), str(parts.opt)],
        "write": [*WRITABLE, str(folder)],
    }


def environment(
    sandbox_id: str,
    folder: Path,
    parts: Parts,
    *,
    port: int,
    registry: str,
    neon: int | None,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """The environment of every process; the parts of the host's that make the internet reachable are kept."""
    path = f"{folder}/app/node_modules/.bin:{parts.node}/bin:/usr/local/bin:/usr/bin:/bin"
    kept = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "NODE_EXTRA_CA_CERTS")
    return {
        **{name: environ[name] for name in kept if name in environ},
        MARK: sandbox_id,
        "HOME": f"{folder}/root",
        "USER": image.USER,
        "LOGNAME": image.USER,
        "PATH": path,
        "MK0R_PATH": path,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "TMPDIR": f"{folder}/tmp",
        "APP_DIR": f"{folder}/app",
        "MK0R_OPT": str(parts.opt),
        "PORT": str(port),
        "NODE_OPTIONS": f"--import={folder}/etc/neon.mjs",
        "npm_config_registry": registry,
        "npm_config_update_notifier": "false",
        **({"MK0R_NEON": f"127.0.0.1:{neon}"} if neon is not None else {}),
    }
