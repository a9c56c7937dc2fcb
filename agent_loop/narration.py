"""What a run does, call by call, in sentences for the person who watches it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from agent_loop.tools import ToolResult

Json = dict[str, Any]
LINE = 100
FEW = 3
"""So many files are named; of more, only where they lie."""
COMMANDS = (
    (r"npm run check", "checks the types"),
    (r"npm run db:generate", "writes the migration"),
    (r"npm run db:migrate", "applies the migration to the database"),
    (r"npm run db:push", "brings the database's tables in line"),
    (r"npm run build", "builds the app for production"),
    (r"npm (run )?test", "runs the tests"),
    (r"npm (install|i|add) .*", "installs packages"),
    (r"npm (install|ci)", "installs the packages"),
    (r"(ls|cat|head|tail|find|grep|rg|sed -n|pwd|wc) ?.*", "looks at the files"),
    (r"(rm|rmdir) .*", "removes what is not needed"),
    (r"(mkdir|mv|cp) .*", "moves files"),
    (r"curl .*", "asks the app's server"),
    (r"git (status|log|diff|show).*", "looks at the history"),
)
"""What the usual commands are for; the whole command must match."""


def title(tool: str, arguments: Json) -> str:  # noqa: PLR0911 - one for each tool
    """A call as one sentence, such as `Reads server/schema.ts`."""
    match tool:
        case "get_env":
            return "Looks at which services there are"
        case "read_file":
            return f"Reads {_short(arguments.get('path'))}"
        case "write_files":
            return _files([_short(cast("Json", file).get("path")) for file in _many(arguments, "files")])
        case "run_in_vm":
            return _command(str(arguments.get("command", "")))
        case "preview_app":
            where = str(arguments.get("path") or "/")
            return "Opens the app on a phone" if where == "/" else f"Opens {_clip(where)} on a phone"
        case "git_push":
            return f"Saves the code: {_clip(str(arguments.get('message', '')))}"
        case _:
            return f"Uses {tool.replace('_', ' ')}"


def trouble(result: ToolResult) -> str:
    """What went wrong, in the line that says it; empty when nothing did."""
    if result.ok:
        return ""
    if "exit_code" not in result.data:
        return _clip(" ".join(result.text.split()), 200)
    said = "\n".join(str(result.data.get(name) or "") for name in ("stderr", "stdout"))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = next((line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)), lines[-1] if lines else "")
    return _clip(telling, 200) or f"The command ended with {result.data['exit_code']}."


def _files(paths: list[str]) -> str:
    if not paths:
        return "Writes nothing"
    if len(paths) <= FEW:
        return f"Writes {', '.join(paths)}"
    tops = Counter(path.split("/")[0] if "/" in path else "" for path in paths)
    if len(tops) == 1 and "" not in tops:
        return f"Writes {len(paths)} files in {next(iter(tops))}"
    where = ", ".join(f"{count} in {top}" if top else f"{count} beside them" for top, count in tops.most_common())
    return f"Writes {len(paths)} files: {where}"


def _command(command: str) -> str:
    """What its author says of it in a first comment, else what its parts are known to be for, else itself."""
    lines = [line.strip() for line in command.strip().splitlines() if line.strip()]
    if lines and lines[0].startswith("#"):
        return _clip(lines[0].lstrip("# ").rstrip("."))
    known = [_purpose(part.strip()) for part in re.split(r"&&|;", lines[0])] if len(lines) == 1 else [None]
    if all(known):
        told = " and ".join(dict.fromkeys(cast("list[str]", known)))
        told = told.replace("the migration and applies the migration", "the migration and applies it")
        return told[0].upper() + told[1:]
    return f"Runs {_clip(lines[0])}" if lines else "Runs nothing"


def _purpose(command: str) -> str | None:
    plain = re.sub(r"\s+--\s.*|\s+2>&1|\s+\|\s.*", "", command)
    return next((purpose for pattern, purpose in COMMANDS if re.fullmatch(pattern, plain)), None)


def _short(path: object) -> str:
    return _clip(str(path or "a file").removeprefix("/app/"))


def _many(arguments: Json, name: str) -> list[Any]:
    found = arguments.get(name)
    return [each for each in cast("list[Any]", found) if isinstance(each, dict)] if isinstance(found, list) else []


def _clip(text: str, most: int = LINE) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
