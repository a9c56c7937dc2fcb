"""The strong tier: bubblewrap's arguments for a sandbox with its own root, processes, users and network.

Inside, `/app`, `/root` and `/run` are the session's own folders under their literal names, `node_modules` is an
overlay over the one prepared template, and everything else is read-only or in memory. The payload is only a process
to hold the namespaces open; commands join them later (see `supervisor`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from server.twins.e2b import egress
from server.vm import image

TMP_LIMIT = 512 << 20
IN_MEMORY = ("/tmp", "/var/tmp", "/dev/shm")
"""Each holds `TMP_LIMIT` bytes at most, and the rest of what is in memory cannot be written to."""

SHELL_MAP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC = ("ssl/certs", "ssl/openssl.cnf", "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
       "nsswitch.conf", "ca-certificates", "pki/tls/certs", "pki/ca-trust/extracted", "protocols", "services",
       "mime.types", "fonts")  # fmt: skip
"""What programs look for in `/etc` and what gives nothing of the host away."""

ETC_FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n",
    "resolv.conf": "",
}
FOLDERS = ("root/.claude/skills", "run", "etc", "app/node_modules", "modules/lower", "modules/upper", "modules/work")
FILES = {f"etc/{name}": content for name, content in ETC_FILES.items()}

ISOLATION = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"),
    *("--disable-userns", "--uid", "0", "--gid", "0", "--cap-drop", "ALL"),
)
"""Its own everything, seen from inside as root with no capability, and no way to make a further user namespace."""

FIRST = "echo ready; sleep infinity & wait $!"
"""What the sandbox's process 1, a shell, does: it waits, and so takes in whatever is orphaned. Like everything in there
it has no capability, and the filter before its system calls: bubblewrap's own would have none, and any process of the
sandbox could have written to its memory."""


@dataclass(frozen=True)
class Parts:
    """What on the host a sandbox is made of; all readable by the user it runs as."""

    bwrap: Path
    node: Path
    modules: Path
    """The template's `node_modules`."""
    opt: Path
    """The template's `opt`: the browser."""
    certificates: Path
    """What `NODE_EXTRA_CA_CERTS` points at in the sandbox."""
    overlay: bool = True


CERTIFICATES = "/etc/mk0r/ca.pem"


def lower(parts: Parts, folder: Path) -> Path:
    """Where the template's `node_modules` are for one sandbox: mounted in its folder, as its own user's, or theirs."""
    same = folder.lstat().st_uid == parts.modules.lstat().st_uid
    return parts.modules if same else folder / "modules" / "lower"


def arguments(parts: Parts, folder: Path, hostname: str) -> list[str]:
    """The command line that brings one sandbox up."""
    return [
        str(parts.bwrap),
        *ISOLATION,
        *("--hostname", hostname, "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"),
        *system(),
        *_etc(folder, parts.certificates),
        *("--ro-bind", str(parts.node), "/opt/node", "--ro-bind-try", str(parts.opt), "/opt/mk0r"),
        *_npm(),
        *("--proc", "/proc", "--dev", "/dev"),
        *(word for place in IN_MEMORY for word in ("--perms", "1777", "--size", str(TMP_LIMIT), "--tmpfs", place)),
        *("--bind", f"{folder}/run", "/run", "--bind", f"{folder}/root", "/root"),
        *("--bind", f"{folder}/app", "/app"),
        *_modules(parts, folder),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"),
        *("/bin/sh", "-c", FIRST, hostname),
    ]


def system() -> list[str]:
    """The host's programs and libraries, read-only."""
    found = ["--ro-bind", "/usr", "/usr"]
    for name in SHELL_MAP:
        path = Path("/", name)
        if path.is_symlink():
            found += ["--symlink", os.readlink(path), str(path)]  # noqa: PTH115 - as written, not resolved
        elif path.is_dir():
            found += ["--ro-bind", str(path), str(path)]
    return found


def environment(registry: str) -> dict[str, str]:
    """The environment of every process."""
    proxy = f"http://127.0.0.1:{egress.PORT}"
    return {
        "HOME": image.HOME,
        "USER": image.USER,
        "LOGNAME": image.USER,
        "PATH": image.PATH,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "TMPDIR": "/tmp",
        "NODE_EXTRA_CA_CERTS": CERTIFICATES,
        "NODE_USE_ENV_PROXY": "1",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
        "npm_config_registry": registry,
        "npm_config_update_notifier": "false",
    }


def _etc(folder: Path, certificates: Path) -> list[str]:
    found: list[str] = []
    for name in ETC:
        found += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ETC_FILES:
        found += ["--ro-bind", f"{folder}/etc/{name}", f"/etc/{name}"]
    return [*found, "--ro-bind", str(certificates), CERTIFICATES]


def _npm() -> list[str]:
    """Node's wheel cannot hold symbolic links, so its `bin/npm` is a broken copy: link the real ones."""
    return [
        part
        for name in ("npm", "npx")
        for part in ("--symlink", f"/opt/node/lib/node_modules/npm/bin/{name}-cli.js", f"/opt/bin/{name}")
    ]


def _modules(parts: Parts, folder: Path) -> list[str]:
    if not parts.overlay:
        return []
    upper, work = f"{folder}/modules/upper", f"{folder}/modules/work"
    return ["--overlay-src", str(lower(parts, folder)), "--overlay", upper, work, "/app/node_modules"]
