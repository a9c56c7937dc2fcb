"""A bare repository and its refs."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.github.git.process import Git, GitError

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = "0" * 40
"""What git writes for a ref that is not there."""


_NO_REF = ("..", "@{", *"^~:?*[\\ \n\0")
"""What no ref's name holds, and git would take for a step through the history."""


@dataclass(frozen=True)
class Ref:
    """A ref's full name and the object it names; `kind` is that object's type."""

    name: str
    sha: str
    kind: str


@dataclass(frozen=True)
class BareRepository:
    folder: Path
    git: Git

    async def run(self, *arguments: str, send: bytes = b"", **variables: str) -> str:
        output = await self.run_bytes(*arguments, send=send, **variables)
        return output.decode(errors="replace").rstrip("\n")

    async def run_bytes(self, *arguments: str, send: bytes = b"", **variables: str) -> bytes:
        return await self.git.run(*arguments, send=send, GIT_DIR=str(self.folder), **variables)

    async def init(self, branch: str) -> None:
        await self.git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(self.folder))

    async def remove(self) -> None:
        """Calling it twice is fine."""
        # Renamed first, so that a removal cut short does not leave half a repository under the name.
        gone = self.folder.with_suffix(".removed")
        if self.folder.exists():
            self.folder.replace(gone)
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)

    async def refs(self, *prefixes: str) -> list[Ref]:
        """Those under the prefixes, by name. An annotated tag is of kind `tag`."""
        lines = await self.run("for-each-ref", "--format=%(objectname) %(objecttype) %(refname)", *prefixes)
        parts = (line.split(" ", 2) for line in lines.splitlines())
        return [Ref(name, sha, kind) for sha, kind, name in parts]

    async def branches(self) -> dict[str, str]:
        """Branch name to commit."""
        return {ref.name.removeprefix("refs/heads/"): ref.sha for ref in await self.refs("refs/heads/")}

    async def tags(self) -> dict[str, str]:
        """Tag name to the commit it stands for, the latest version first."""
        form = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname)"
        lines = await self.run("for-each-ref", "--sort=-version:refname", form, "refs/tags/")
        parts = (line.partition(" ") for line in lines.splitlines())
        return {name.removeprefix("refs/tags/"): sha for sha, _, name in parts}

    async def ref(self, name: str) -> Ref | None:
        """The ref of exactly this full name."""
        return next((ref for ref in await self.refs(name) if ref.name == name), None)

    async def is_ref_name(self, name: str) -> bool:
        try:
            await self.git.run("check-ref-format", name)
        except GitError:
            return False
        return True

    async def set_ref(self, name: str, sha: str, *, before: str | None = None) -> bool:
        """Whether it was as `before` (default: whatever it was) and now is `sha`."""
        return await self._update("update-ref", name, sha, *(() if before is None else (before,)))

    async def delete_ref(self, name: str, *, before: str) -> bool:
        return await self._update("update-ref", "-d", name, before)

    async def _update(self, *arguments: str) -> bool:
        try:
            await self.run(*arguments)
        except GitError:
            return False
        return True

    async def point_head(self, branch: str) -> None:
        await self.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    async def resolve(self, ref: str, kind: str = "commit") -> str | None:
        """The object of this kind that a branch, a tag or a (short) sha names."""
        if not ref or ref.startswith("-") or any(mark in ref for mark in _NO_REF):
            return None
        for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
            try:
                return await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{{kind}}}")
            except GitError:
                continue
        return None

    async def size(self) -> int:
        """Kilobytes of its objects."""
        facts = dict(line.split(": ") for line in (await self.run("count-objects", "-v")).splitlines())
        return int(facts["size"]) + int(facts["size-pack"])
