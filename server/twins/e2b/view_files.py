"""A sandbox's files as a person sees them: folders as lists, files as text, and no secrets."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING
from urllib.parse import quote

from server.errors import StackError
from server.twins.core.view import Block, Link, Table, Text, View
from server.twins.e2b.errors import FileTrouble, NoSandbox

if TYPE_CHECKING:
    from server.twins.e2b.machine import Machine
    from server.twins.e2b.record import Record
    from server.twins.e2b.state import Sandboxes

FILE_SHOWN = 64 << 10


async def files(sandboxes: Sandboxes, record: Record, path: str) -> View:
    """Raises `KeyError` for what is not there, or cannot be read."""
    crumbs = [Link(record.id, f"sandbox/{record.id}")]
    if record.state != "running":
        return View(path, [Text("Files", "The sandbox is paused.")], crumbs)
    try:
        machine = await sandboxes.machine(record.id)
        about = (await machine.guest.call("info", path=path))[0]
        block = await (_folder if about["type"] == "directory" else _file)(machine, record, path)
    except (FileTrouble, NoSandbox, StackError):
        raise KeyError(path) from None
    return View(path, [block], [*crumbs, Link("up", f"files/{record.id}{quote(posixpath.dirname(path))}")])


async def _folder(machine: Machine, record: Record, path: str) -> Block:
    found = (await machine.guest.call("listing", path=path, depth=1))[0]
    rows = [
        [
            Link(each["name"], f"files/{record.id}{quote(each['path'])}"),
            each["permissions"],
            str(each["size"]),
            f"-> {each['target']}" if each["target"] else "",
        ]
        for each in found
    ]
    return Table("Files", ["Name", "Mode", "Bytes", ""], rows)


async def _file(machine: Machine, _record: Record, path: str) -> Block:
    if posixpath.basename(path).startswith(".env"):
        return Text("Content", "Not shown: it holds secrets.")
    _, (opened,) = await machine.guest.call("open_to_read", path=path)
    with os.fdopen(opened, "rb") as file:
        return Text("Content", file.read(FILE_SHOWN).decode(errors="replace"))
