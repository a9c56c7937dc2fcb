"""The session keys this user holds, in one 0600 file, so that commands take slugs and no shell history a key."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class Keys:
    """`{slug: {"key", "idea"}}`. Two commands may write at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, slug: str) -> str | None:
        return self._read().get(slug, {}).get("key")

    def keep(self, slug: str, key: str, idea: str) -> None:
        with self._locked():
            self._write({**self._read(), slug: {"key": key, "idea": idea}})

    def forget(self, slug: str) -> None:
        with self._locked():
            self._write({name: kept for name, kept in self._read().items() if name != slug})

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}

    def _write(self, kept: dict[str, Any]) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file, indent=1)
        beside.replace(self._path)

    @contextmanager
    def _locked(self) -> Generator[None]:
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
