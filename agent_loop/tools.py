"""The tools, through an MCP client. The session key is filled in here and never shown to the model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

Json = dict[str, Any]

FOR_THE_MODEL = ("get_env", "git_push", "preview_app", "read_file", "run_in_vm", "write_files")
"""What the model may call, sorted: the list is part of the prompt's byte-stable prefix."""

SKILL = "skill://backend-services/SKILL.md"
MOST_CHARACTERS = 60_000


class Secret(Protocol):
    """A value with one door."""

    def reveal(self) -> str: ...


@dataclass(frozen=True)
class ToolResult:
    """`content` is what the model reads (text and image blocks); `data` is the structured answer."""

    content: list[Json]
    data: Json
    is_error: bool = False

    @property
    def text(self) -> str:
        return "\n".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def ok(self) -> bool:
        """The tool worked, and so did the command, if it ran one."""
        return not self.is_error and not self.data.get("exit_code")

    @classmethod
    def error(cls, sentence: str) -> ToolResult:
        return cls([{"type": "text", "text": sentence}], {}, is_error=True)


class McpTools:
    """A thin layer over a connected `mcp.Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def list(self, *, seconds: float = 30) -> list[Json]:
        """The model's tools, in the form the Messages API takes."""
        async with asyncio.timeout(seconds):
            listed = (await self._client.list_tools()).tools
        offered = sorted((tool for tool in listed if tool.name in FOR_THE_MODEL), key=lambda tool: tool.name)
        return [
            {
                "name": tool.name,
                "description": tool.description or "",
                "input_schema": _without_session_key(tool.input_schema),
            }
            for tool in offered
        ]

    async def skill(self, *, seconds: float = 30) -> str:
        """The text of the backend skill."""
        async with asyncio.timeout(seconds):
            answer = await self._client.read_resource(SKILL)
        return "\n".join(getattr(part, "text", "") for part in answer.contents)

    async def call(self, name: str, arguments: Json, session_key: Secret, *, seconds: float) -> ToolResult:
        """Call a tool. Whatever goes wrong is a result with our own sentence; only cancellation raises."""
        key = session_key.reveal()
        try:
            async with asyncio.timeout(seconds):
                answer = await self._client.call_tool(name, {**arguments, "session_key": key})
        except TimeoutError:
            return ToolResult.error(
                f"{name} did not answer within {seconds:.0f} seconds and may still be at work. "
                "Look at the state of things before calling it again."
            )
        except Exception:  # noqa: BLE001 - the tools' edge: what a transport raises is not for the model
            return ToolResult.error(f"{name} could not be reached. Try once more; if it fails again, stop.")
        return _result(answer, key, name)


def _result(answer: CallToolResult, key: str, name: str) -> ToolResult:
    content: list[Json] = []
    for block in answer.content:
        if block.type == "text":
            # The server's own sentence, without the label the MCP library puts before it.
            words = block.text.removeprefix(f"Error executing tool {name}: ")
            content.append({"type": "text", "text": _clip(words.replace(key, "***"))})
        elif block.type == "image":
            source = {"type": "base64", "media_type": block.mime_type, "data": block.data}
            content.append({"type": "image", "source": source})
    data: Any = json.loads(json.dumps(answer.structured_content).replace(key, "***"))
    data = cast("Json", data) if isinstance(data, dict) else {}
    data.pop("session_key", None)
    # The API refuses an empty text block.
    readable = [block for block in content if block.get("text") != ""] or [{"type": "text", "text": "(no output)"}]
    return ToolResult(readable, data, answer.is_error)


def _clip(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n(cut: {len(text) - MOST_CHARACTERS} more characters)"


def _without_session_key(schema: Json) -> Json:
    properties: Json = {k: v for k, v in schema.get("properties", {}).items() if k != "session_key"}
    required = [name for name in schema.get("required", []) if name != "session_key"]
    rest = {k: v for k, v in schema.items() if k not in {"properties", "required"}}
    return {**rest, "properties": properties, **({"required": required} if required else {})}


def seconds_for(arguments: Json) -> float:
    """How long a call may take: what its own `timeout_seconds` says and some more, else two minutes."""
    asked = arguments.get("timeout_seconds")
    return float(asked) + 30 if isinstance(asked, int | float) and 0 < asked <= 3600 else 120  # noqa: PLR2004


def said(arguments: Json) -> str:
    """A call in one short line, for people."""
    if isinstance(arguments.get("files"), list):
        files = cast("list[Any]", arguments["files"])
        return _line(", ".join(cast("Json", file).get("path", "?") for file in files if isinstance(file, dict)))
    return _line(str(next((arguments[k] for k in ("command", "path", "message") if k in arguments), "")))


def came_of_it(result: ToolResult) -> str:
    """A result in one short line, for people."""
    if "exit_code" in result.data:
        code = result.data["exit_code"]
        said = (result.data.get("stderr") or result.data.get("stdout") or "") if code else ""
        return _line(f"exit {code}{': ' if said else ''}{said.strip()}")
    if result.is_error:
        return _line(result.text)
    if "status" in result.data:
        return _line(f"HTTP {result.data['status']} {result.data.get('title') or ''}")
    return ""


def _line(text: str, most: int = 140) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
