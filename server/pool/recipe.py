"""What a session made now is made from, as a digest: a session of another recipe is not what is asked for today."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from server import __version__
from server.environment import SKILL
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.settings import Settings

SERVER = Path(__file__).parent.parent
SOURCES = (SERVER / "vm", SERVER / "legs", SERVER / "environment.py", SKILL)
NOT_SOURCES = {"node_modules", "dist", "__pycache__", ".vite"}
# What changes how we work and nothing that is made. A setting nobody put here counts.
IRRELEVANT = (
    "limit_",
    "queue_",
    "pool_",
    "reap_",
    "worker_",
    "session",
    "leg_budget",
    "database_url",
    "anthropic_",
    "model",
)


def digest(settings: Settings, vault_key: Secret) -> str:
    """Changes with the image, the skill, the legs, our version, every credential and every setting that counts."""
    found = sha256(f"{__version__} {vault_key.fingerprint()}\n".encode())
    for name, value in sorted(settings):
        if not name.startswith(IRRELEVANT):
            told = value.fingerprint() if isinstance(value, Secret) else repr(value)
            found.update(f"{name}={told}\n".encode())
    for path in sorted(file for folder in SOURCES for file in _files(folder)):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else (folder,):
        if path.name in NOT_SOURCES:
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path
