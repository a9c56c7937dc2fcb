"""A script: what the rehearsal says and does for one idea. It is data, kept beside the app it builds.

examples/run-tracker/app/**                 the finished files
examples/run-tracker/rehearsal/script.toml  the steps, which name those files
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pathlib import Path

APP = "/app"


class ScriptError(Exception):
    """A script that cannot be played: it names a file or a passage that is not there."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Change(_Part):
    """A passage of a file, other than in the finished app."""

    path: str
    old: str = Field(alias="from")
    new: str = Field(alias="to")


class Call(_Part):
    """A tool call. `files` and `change` make the argument of write_files; `arguments` is passed on as it is."""

    tool: str
    arguments: dict[str, Any] = {}
    files: tuple[str, ...] = ()
    change: tuple[Change, ...] = ()
    expect: Literal["works", "fails", "either"] = "works"
    """`fails`: that is what happens when all is well. `either`: the script does not mind."""
    needs: tuple[str, ...] = ()


class Step(_Part):
    """One model turn. It is left out unless its conditions hold."""

    say: str
    think: str = ""
    call: tuple[Call, ...] = ()
    needs: tuple[str, ...] = ()
    """Environment names the session must have."""
    lacks: tuple[str, ...] = ()
    """Environment names of which the session must miss one."""
    when: Literal["", "failed", "passed"] = ""
    """What became of the step played before this one."""
    stop: str = ""
    """Another stop reason than the obvious one."""


class Script(_Part):
    title: str
    idea: str
    """The idea this script is for, in the words a person would use."""
    subject: tuple[str, ...]
    """The few words that make an idea this one. They weigh more than the others."""
    keywords: tuple[str, ...] = ()
    after: str = ""
    """The title of a script that must have been played before in this conversation."""
    step: tuple[Step, ...]


class Shelf:
    """The scripts of a folder of examples, read anew each time: they are small, and edited by hand."""

    def __init__(self, examples: Path) -> None:
        self._examples = examples

    def scripts(self) -> dict[Path, Script]:
        """Each script by its file, in a stable order."""
        files = sorted(self._examples.glob("*/rehearsal/*.toml"))
        return {file: Script.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))) for file in files}


def arguments(call: Call, script_file: Path) -> dict[str, Any]:
    """The call's arguments, with the named files' contents. Raises `ScriptError`."""
    paths = dict.fromkeys((*call.files, *(change.path for change in call.change)))
    if not paths:
        return call.arguments
    shelves = (script_file.with_suffix(""), script_file.parents[1] / "app")
    files = [{"path": f"{APP}/{path}", "content": _content(shelves, path, call.change)} for path in paths]
    return {**call.arguments, "files": files}


def _content(shelves: tuple[Path, ...], path: str, changes: tuple[Change, ...]) -> str:
    file = next((shelf / path for shelf in shelves if (shelf / path).is_file()), None)
    if file is None:
        raise ScriptError(f"{path} is not in the example's app")
    content = file.read_text(encoding="utf-8")
    for change in changes:
        if change.path == path:
            if content.count(change.old) != 1:
                raise ScriptError(f"{path} has {content.count(change.old)} passages {change.old!r}, not one")
            content = content.replace(change.old, change.new)
    return content
