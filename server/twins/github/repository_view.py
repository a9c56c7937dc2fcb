"""What a person sees of one repository."""

from __future__ import annotations

from base64 import b64encode
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any

from server.twins.core.view import Facts, Image, Link, Table, Text, View
from server.twins.github.git import diff, history, objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.twins.core.view import Block, Cell
    from server.twins.github.git.objects import Commit
    from server.twins.github.state import Hub

Doc = dict[str, Any]

MOST = 100
"""Lines of a list, commits of a log."""
NEWEST = 10
COMMIT = ("Commit", "Message", "By", "When")
LARGEST_TEXT = 200_000
LARGEST_PICTURE = 512 * 1024


class RepositoryView:
    def __init__(self, hub: Hub, doc: Doc) -> None:
        self._hub = hub
        self._doc = doc
        self._name = hub.repositories.full_name(doc)
        self._git = hub.repositories.git(doc)

    async def view(self, parts: Sequence[str]) -> View:
        """`parts` is the path below the repository. Raises `KeyError` for one that shows nothing."""
        match [*parts]:
            case []:
                return await self._repository()
            case ["commits", *ref]:
                return await self._commits("/".join(ref))
            case ["commit", sha]:
                return await self._commit(sha)
            case ["tree" | "blob", *rest]:
                return await self._place(rest)
            case _:
                raise KeyError("/".join(parts))

    async def _repository(self) -> View:
        hub, doc, name = self._hub, self._doc, self._name
        branches = await self._git.branches()
        head = branches.get(doc["default_branch"])
        people = [(user["login"], role) for user, role in hub.collaborators.all(doc)]
        facts = [
            ("Description", doc["description"] or ""),
            ("Visibility", "private" if doc["private"] else "public"),
            ("Default branch", doc["default_branch"]),
            ("Made", doc["created_at"]),
            ("Last push", doc["pushed_at"]),
            ("Size", f"{doc['size']} kB"),
        ]
        listed = [(Link(each, f"{name}/commits/{each}"), sha[:7]) for each, sha in sorted(branches.items())[:MOST]]
        keys = [(each["title"], "read" if each["read_only"] else "write") for each in hub.deploy_keys.all(doc)]
        blocks: list[Block] = [
            Facts("About", facts),
            await self._files(head, doc["default_branch"], "") if head else Table("Files", ["Name", "Size"], []),
            await self._log("Newest commits", head, NEWEST) if head else Table("Commits", COMMIT, []),
            Table("Branches", ["Name", "Newest commit"], listed),
            Table("Who may use it", ["User", "Role"], people),
            Table("Deploy keys", ["Title", "May"], keys),
        ]
        return View(name, blocks)

    def _crumbs(self) -> list[Link]:
        return [Link(self._name, self._name)]

    async def _files(self, commit: str, ref: str, path: str) -> Table:
        under = f"{path}/" if path else ""
        entries = await objects.tree(self._git, f"{commit}:{path}") or []
        rows = [
            (
                Link(each.path, f"{self._name}/{'tree' if each.kind == 'tree' else 'blob'}/{ref}/{under}{each.path}"),
                "folder" if each.kind == "tree" else f"{each.size or 0} bytes",
            )
            for each in sorted(entries, key=lambda each: (each.kind != "tree", each.path))
        ]
        return Table(f"Files of {path or ref}", ["Name", "Size"], rows[: MOST * 10])

    async def _place(self, rest: list[str]) -> View:
        """A file or folder of a branch, whose name may hold slashes."""
        for length in range(1, len(rest) + 1):
            ref, path = "/".join(rest[:length]), "/".join(rest[length:])
            commit = await self._git.resolve(ref)
            if commit is None:
                continue
            entry = await objects.entry_at(self._git, commit, path) if path else None
            if entry is None and path:
                continue
            if entry is None or entry.kind == "tree":
                return View(path or ref, [await self._files(commit, ref, path)], self._crumbs())
            content = await objects.blob(self._git, entry.sha) or b""
            return View(path, [_shown(path, content)], self._crumbs())
        raise KeyError("/".join(rest))

    async def _commits(self, ref: str) -> View:
        sha = await self._git.resolve(ref)
        if sha is None:
            raise KeyError(ref)
        return View(f"Commits of {ref}", [await self._log("Newest first", sha, MOST)], self._crumbs())

    async def _log(self, title: str, sha: str, count: int) -> Table:
        return Table(title, COMMIT, [*map(self._commit_row, await history.log(self._git, sha, count=count))])

    def _commit_row(self, commit: Commit) -> tuple[Cell, ...]:
        to = f"{self._name}/commit/{commit.sha}"
        title = commit.message.partition("\n")[0]
        return Link(commit.sha[:7], to), title, commit.author.name, commit.author.date

    async def _commit(self, ref: str) -> View:
        sha = await self._git.resolve(ref)
        commit = await objects.commit(self._git, sha) if sha else None
        if commit is None:
            raise KeyError(ref)
        parent = commit.parents[0] if commit.parents else diff.EMPTY_TREE
        by = f"{commit.author.name} <{commit.author.email}>"
        facts = Facts("Commit", [("Id", commit.sha), ("By", by), ("When", commit.author.date)])
        changed = _readable(await diff.text(self._git, parent, commit.sha))
        return View(
            commit.message.partition("\n")[0],
            [facts, Text("Message", commit.message), Text("Changes", changed)],
            self._crumbs(),
        )


def _shown(path: str, content: bytes) -> Block:
    title, mime = f"{len(content)} bytes", guess_type(path)[0] or ""
    if mime.startswith("image/") and len(content) <= LARGEST_PICTURE:
        return Image(title, mime, b64encode(content).decode())
    return Text(title, _readable(content))


def _readable(content: bytes) -> str:
    if b"\0" in content[:8000]:
        return "Not text."
    return content[:LARGEST_TEXT].decode(errors="replace")
