"""Git's four kinds of object: read as they are, and written exactly as asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.twins.github.git.process import GitError

if TYPE_CHECKING:
    from server.twins.github.git.repository import BareRepository

_CRUD = re.compile(r"[<>\n\0]")
_SIGNED = re.compile(r"^-----BEGIN (PGP|SSH) SIGNATURE-----", re.MULTILINE)


@dataclass(frozen=True)
class Person:
    name: str
    email: str
    when: datetime

    @property
    def date(self) -> str:
        return self.when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def line(self) -> str:
        """As it stands in a commit; git cannot write some characters in a name, and neither can we."""
        name, email = (_CRUD.sub("", text).strip() for text in (self.name, self.email))
        return f"{name} <{email}> {int(self.when.timestamp())} {self.when.strftime('%z') or '+0000'}"


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: list[str]
    author: Person
    committer: Person
    message: str
    signature: str | None = None
    payload: str | None = None
    """What was signed: the commit without its signature."""


@dataclass(frozen=True)
class Tag:
    """An annotated tag; `kind` is the type of the object it names."""

    sha: str
    name: str
    object: str
    kind: str
    tagger: Person
    message: str


@dataclass(frozen=True)
class Entry:
    """One line of a tree; `size` is None for all but files."""

    mode: str
    kind: str
    sha: str
    size: int | None
    path: str


@dataclass(frozen=True)
class NewCommit:
    message: str
    tree: str
    parents: list[str]
    author: Person
    committer: Person
    signature: str | None = field(default=None)


async def kind_of(repository: BareRepository, sha: str) -> str | None:
    """The type of the object of this full id; None where there is none."""
    if not re.fullmatch(r"[0-9a-f]{40}", sha):
        return None
    try:
        return await repository.run("cat-file", "-t", sha)
    except GitError:
        return None


async def blob(repository: BareRepository, sha: str) -> bytes | None:
    if await kind_of(repository, sha) != "blob":
        return None
    return await repository.run_bytes("cat-file", "blob", sha)


async def write_blob(repository: BareRepository, content: bytes) -> str:
    return await repository.run("hash-object", "-w", "--stdin", send=content)


async def tree(repository: BareRepository, treeish: str, *, recursive: bool = False) -> list[Entry] | None:
    """What is in a folder (with all below it, when recursive); None where there is no such folder."""
    try:
        raw = await repository.run_bytes("ls-tree", "-z", "--long", *(("-r", "-t") if recursive else ()), treeish)
    except GitError:
        return None
    return [_entry(line) for line in raw.decode(errors="replace").split("\0") if line]


async def entry_at(repository: BareRepository, commit: str, path: str) -> Entry | None:
    """The file or folder at a path of a commit."""
    raw = await repository.run_bytes("ls-tree", "-z", "--long", commit, path)
    found = [_entry(line) for line in raw.decode(errors="replace").split("\0") if line]
    return next((entry for entry in found if entry.path == path), None)


async def commit(repository: BareRepository, sha: str) -> Commit | None:
    if await kind_of(repository, sha) != "commit":
        return None
    return parse_commit(sha, await repository.run_bytes("cat-file", "commit", sha))


async def write_commit(repository: BareRepository, new: NewCommit) -> str:
    """Raises `GitError` for one that git would not call whole."""
    head = [f"tree {new.tree}", *(f"parent {parent}" for parent in new.parents)]
    head += [f"author {new.author.line()}", f"committer {new.committer.line()}"]
    if new.signature:
        head.append("gpgsig " + new.signature.rstrip("\n").replace("\n", "\n "))
    raw = "\n".join(head) + "\n\n" + new.message
    return await repository.run("hash-object", "-t", "commit", "-w", "--stdin", send=raw.encode())


async def tag(repository: BareRepository, sha: str) -> Tag | None:
    if await kind_of(repository, sha) != "tag":
        return None
    head, _, message = (await repository.run_bytes("cat-file", "tag", sha)).decode(errors="replace").partition("\n\n")
    parts = (line.partition(" ") for line in head.splitlines())
    fields = {name: value for name, _, value in parts}
    return Tag(sha, fields["tag"], fields["object"], fields["type"], _person(fields["tagger"]), message.rstrip("\n"))


async def write_tag(repository: BareRepository, new: Tag) -> str:
    """Raises `GitError` for one that git would not call whole. Its `sha` is not looked at."""
    head = f"object {new.object}\ntype {new.kind}\ntag {new.name}\ntagger {new.tagger.line()}\n\n{new.message}\n"
    return await repository.run("mktag", send=head.encode())


def parse_commit(sha: str, raw: bytes) -> Commit:
    """From the object's bytes."""
    head, _, message = raw.decode(errors="replace").partition("\n\n")
    parents: list[str] = []
    fields: dict[str, str] = {}
    name = ""
    for line in head.split("\n"):
        if line.startswith(" "):
            fields[name] += "\n" + line[1:]
            continue
        name, _, value = line.partition(" ")
        if name == "parent":
            parents.append(value)
        else:
            fields.setdefault(name, value)
    signature = fields.get("gpgsig")
    payload = _unsigned(head, message) if signature and _SIGNED.search(signature) else None
    author, committer = _person(fields["author"]), _person(fields["committer"])
    return Commit(sha, fields["tree"], parents, author, committer, message.rstrip("\n"), signature, payload)


def _unsigned(head: str, message: str) -> str:
    return re.sub(r"(?m)^gpgsig .*\n(?: .*\n)*", "", head + "\n") + "\n" + message


def _person(line: str) -> Person:
    name, _, rest = line.partition(" <")
    email, _, when = rest.partition("> ")
    seconds, _, zone = when.partition(" ")
    offset = datetime.strptime(zone if re.fullmatch(r"[+-]\d{4}", zone) else "+0000", "%z").tzinfo
    return Person(name, email, datetime.fromtimestamp(int(seconds) if seconds.isdecimal() else 0, offset))


def _entry(line: str) -> Entry:
    described, _, path = line.partition("\t")
    mode, kind, sha, size = described.split()
    return Entry(mode, kind, sha, int(size) if size.isdecimal() else None, path)
