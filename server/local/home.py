"""Where everything lives: `MK0R_HOME`, and beside it the part unprivileged processes must reach."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Home:
    """The folders of one local installation."""

    root: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Home:
        return cls(Path(environ.get("MK0R_HOME") or Path(environ.get("HOME", "/root")) / ".mk0r").absolute())

    @property
    def stack(self) -> Path:
        """PostgreSQL, the prepared template, the sandboxes and, for root, the GitHub twin's repositories.

        Root's home is closed to the unprivileged users these run as, so root keeps them elsewhere,
        one folder per home.
        """
        if os.geteuid() != 0:
            return self.root / "stack"
        return Path("/var/lib/mk0r") / sha256(str(self.root).encode()).hexdigest()[:12]

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def twins(self) -> Path:
        """The twins' own records: mailbox, events, repositories."""
        return self.root / "twins"

    @property
    def postgres(self) -> Path:
        return self.stack / "postgres"

    @property
    def template(self) -> Path:
        """What a sandbox starts from: `app/` (the starter, installed) and `opt/` (the browser)."""
        return self.stack / "template"

    @property
    def sandboxes(self) -> Path:
        return self.stack / "sandboxes"

    @property
    def database(self) -> Path:
        """The server's own SQLite file."""
        return self.root / "mk0r.sqlite"

    @property
    def stack_file(self) -> Path:
        """Ports and credentials of the local stack, 0600."""
        return self.root / "stack.json"

    @property
    def server_file(self) -> Path:
        """Process, port and loopback token of the background server, 0600."""
        return self.root / "server.json"

    @property
    def keys_file(self) -> Path:
        """Session keys this user holds, by slug, 0600."""
        return self.root / "sessions.json"

    def make(self) -> None:
        """Create the folders; calling it twice is fine."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.logs, self.twins, self.stack):
            folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # Whatever root's umask is, the unprivileged users must get through.
            for folder in (self.stack.parent, self.stack):
                folder.chmod(0o755)
