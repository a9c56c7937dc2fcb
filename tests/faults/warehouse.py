"""A warehouse that looks like four vendors: pages of things by name, and a DELETE for each. On a raw socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

Thing = dict[str, Any]
Answer = tuple[int, Any, list[str]]
GONE = 204


@dataclass
class Warehouse:
    """Things by kind, oldest first, each with `id`, `name` and `at` (ISO 8601)."""

    projects: list[Thing] = field(default_factory=list[Thing])
    segments: list[Thing] = field(default_factory=list[Thing])
    keys: list[Thing] = field(default_factory=list[Thing])
    repositories: list[Thing] = field(default_factory=list[Thing])
    sandboxes: list[Thing] = field(default_factory=list[Thing])
    removed: list[str] = field(default_factory=list[str])
    hole: str = ""
    """A path whose second page says that it has a hole, or fails."""
    circle: str = ""
    """A path whose last page says that the first comes next."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def all(self) -> list[Thing]:
        return [*self.projects, *self.segments, *self.keys, *self.repositories, *self.sandboxes]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target = head.split(" ", 2)[:2]
                path, query = urlsplit(target).path, {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}
                status, body, headers = self._answer(method, path, query)
                text = b"" if status == GONE else json.dumps(body).encode()
                lines = [f"HTTP/1.1 {status} X", f"content-length: {len(text)}", "content-type: application/json"]
                writer.write("\r\n".join([*lines, *headers]).encode() + b"\r\n\r\n" + text)
                await writer.drain()
        writer.close()

    def _answer(self, method: str, path: str, query: dict[str, str]) -> Answer:
        if method == "DELETE":
            return self._remove(path)
        if path == self.hole and (query.keys() & {"cursor", "after", "nextToken"} or int(query.get("page", 1)) > 1):
            return (
                (200, {"projects": [], "unavailable_project_ids": ["x"]}, []) if path == "/projects" else (404, {}, [])
            )
        answers: dict[str, Callable[[dict[str, str]], Answer]] = {
            "/user": lambda _: (200, {"login": "mk0r"}, []),
            "/projects": self._projects,
            "/segments": lambda query: self._resend(self.segments, query, path),
            "/api-keys": lambda query: self._resend(self.keys, query, path),
            "/user/repos": self._repositories,
            "/v2/sandboxes": self._sandboxes,
        }
        return answers[path](query)

    def _projects(self, query: dict[str, str]) -> Answer:
        found = [each for each in self.projects if query["search"] in each["name"]]
        start, size = int(query.get("cursor", 0)), int(query["limit"])
        page = [{"id": t["id"], "name": t["name"], "created_at": t["at"]} for t in found[start : start + size]]
        more = {"cursor": str(start + size)} if start + size < len(found) else {}
        if self.circle == "/projects" and not more:
            more = {"cursor": "0"}
        return 200, {"projects": page, "pagination": more}, []

    def _resend(self, things: list[Thing], query: dict[str, str], path: str) -> Answer:
        things = things * 2 if path == self.circle else things
        start = 1 + [t["id"] for t in things].index(query["after"]) if "after" in query else 0
        end = start + int(query["limit"])
        page = [{"id": t["id"], "name": t["name"], "created_at": t["at"]} for t in things[start:end]]
        return 200, {"data": page, "has_more": end < len(things)}, []

    def _repositories(self, query: dict[str, str]) -> Answer:
        page, size = int(query["page"]), int(query["per_page"])
        if self.circle == "/user/repos":
            page = (page - 1) % (len(self.repositories) // size) + 1
        return 200, [_repository(each) for each in self.repositories[(page - 1) * size : page * size]], []

    def _sandboxes(self, query: dict[str, str]) -> Answer:
        start = int(query.get("nextToken", 0))
        page = [_sandbox(each) for each in self.sandboxes[start : start + 100]]
        more = [f"x-next-token: {start + 100}"] if start + 100 < len(self.sandboxes) else []
        return 200, page, more

    def _remove(self, path: str) -> Answer:
        wanted = path.rpartition("/")[2]
        for things in (self.projects, self.segments, self.keys, self.repositories, self.sandboxes):
            by = "name" if things is self.repositories else "id"
            for thing in things:
                if thing[by] == wanted:
                    things.remove(thing)
                    self.removed.append(thing["id"])
                    return GONE, {}, []
        return 404, {}, []


def _repository(thing: Thing) -> Thing:
    return {
        "name": thing["name"],
        "full_name": f"mk0r/{thing['name']}",
        "html_url": "https://github.test/x",
        "private": thing.get("private", True),
        "description": thing.get("description", f"Built with mk0r · {thing['name']}"),
        "created_at": thing["at"],
    }


def _sandbox(thing: Thing) -> Thing:
    return {
        "templateID": "mk0r",
        "sandboxID": thing["id"],
        "clientID": "c",
        "envdVersion": "0.6.2",
        "startedAt": thing["at"],
        "endAt": thing["at"],
        "cpuCount": 2,
        "memoryMB": 512,
        "diskSizeMB": 512,
        "state": "running",
        "metadata": {"app": thing["name"]} if re.match("mk0r", thing["name"]) else {},
    }


@asynccontextmanager
async def open_warehouse() -> AsyncGenerator[Warehouse]:
    made = Warehouse()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
