"""Blobs of the git database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from server.twins.github import errors
from server.twins.github.access import READ, WRITE
from server.twins.github.call import Json, made
from server.twins.github.fields import text
from server.twins.github.git import objects
from server.twins.github.routes.files import LARGEST, decoded

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door

_BLOBS = "/repos/{owner}/{repo}/git/blobs"


def routes(door: Door) -> list[BaseRoute]:
    return [
        *door.on(f"POST {_BLOBS}", create_blob, "git/blobs#create-a-blob", WRITE, largest=LARGEST),
        *door.on(f"GET {_BLOBS}/{{file_sha}}", get_blob, "git/blobs#get-a-blob", READ),
    ]


async def create_blob(call: Call) -> Response:
    body = await call.body()
    await call.refuse_empty()
    content, encoding = text(body, "content", needed=True), text(body, "encoding") or "utf-8"
    if encoding not in ("utf-8", "base64"):
        raise errors.unprocessable("The encoding must be either utf-8 or base64.")
    raw = content.encode() if encoding == "utf-8" else decoded(content)
    sha = await objects.write_blob(call.git, raw)
    url = call.shapes.object_url(call.repository, "blob", sha)
    return made({"sha": sha, "url": url}, url)


async def get_blob(call: Call) -> Response:
    await call.refuse_empty()
    sha = call.path["file_sha"]
    content = await objects.blob(call.git, sha)
    if content is None:
        raise errors.not_found()
    if call.media == "raw":
        return Response(content, media_type="application/vnd.github.raw; charset=utf-8")
    return Json(call.shapes.blob(call.repository, sha, content))
