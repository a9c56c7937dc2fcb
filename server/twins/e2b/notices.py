"""What a person or a model is told when a sandbox's process was ended for taking more than its share."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.twins.e2b.cgroups import Group

Mark = tuple[int, int]


def in_words(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size >> 20} MB"


@dataclass
class Notices:
    memory: int = 0
    """Bytes it may take."""
    group: Group | None = None
    """Whose kernel counts what it ended."""
    said: list[str] = field(default_factory=list[str])

    def mark(self) -> Mark:
        return len(self.said), self._killed()

    def since(self, mark: Mark) -> str:
        """What has happened since, a line each; nothing, most of the time."""
        said = self.said[mark[0] :]
        if self._killed() > mark[1]:
            said = [memory(self.memory), *said]
        return "".join(f"mk0r: {line}\n" for line in dict.fromkeys(said))

    def _killed(self) -> int:
        with contextlib.suppress(OSError):
            return self.group.killed() if self.group is not None else 0
        return 0


def memory(limit: int) -> str:
    return f"a process was ended: this sandbox may take {in_words(limit)} of memory, and it took more."


def disk(limit: int, files: int) -> str:
    return (
        f"processes were ended: this sandbox may keep {in_words(limit)} in {files} files, and it keeps more. "
        "Remove some: what grows is ended again."
    )
