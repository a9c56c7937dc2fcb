"""What is stored of one sandbox."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from server.vm import image

CPUS = 2
MEMORY_MB = 2048
DISK_MB = 10_240


@dataclass
class Record:
    """One sandbox, running or paused. What is given to it at its creation stays; `state`, `end` and the ports move."""

    id: str
    token: str
    """What its envd takes in `X-Access-Token`; empty where the create request did not ask for `secure` (v1)."""
    template: str
    started: str
    end: str
    state: str = "running"
    """`making`, `running` or `paused`."""
    alias: str = ""
    """The template's name."""
    build: str = ""
    """Which build of the template it began as; empty for the prepared image."""
    timeout: int = 300
    """Seconds it was given at first; how long traffic wakes it for."""
    on_timeout: str = "kill"
    pause_memory: bool = True
    """Whether its time's end, where it pauses it, keeps the memory."""
    pause_mode: str = ""
    """What the latest pause kept: `full` or `filesystem`."""
    auto_resume: bool = False
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    envs: dict[str, str] = field(default_factory=dict[str, str])
    network: dict[str, Any] = field(default_factory=dict[str, Any])
    internet: bool | None = None
    """`allow_internet_access` as it was asked for."""
    traffic_token: str = ""
    """What its public addresses ask for; empty where they are open to all."""
    cpus: int = CPUS
    memory_mb: int = MEMORY_MB
    workdir: str = image.WORKDIR
    start: str | None = None
    """The start command, for a shell; `None` for the prepared image's own, empty for none."""
    start_envs: dict[str, str] = field(default_factory=dict[str, str])
    ready: str = ""
    """The command that tells that the start command is ready."""
    door: int = 0
    """The host port of its plain door; kept over restarts. -1: it has none."""
    port: int = 0
    """The host port its app listens on, in the weak tier."""

    @classmethod
    def of(cls, doc: dict[str, Any]) -> Record:
        known = {each.name for each in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in doc.items() if name in known})

    @property
    def public(self) -> bool:
        return not self.traffic_token

    def start_words(self) -> list[str]:
        """The start command as a process's arguments; none at all for a sandbox that starts nothing."""
        if self.start is None:
            return [*image.START_COMMAND]
        return ["/bin/bash", "-l", "-c", self.start] if self.start else []
