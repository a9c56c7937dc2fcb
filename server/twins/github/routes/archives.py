"""Archives and raw files: the API leads to a download, which opens with a ticket or a token."""

from __future__ import annotations

from mimetypes import guess_type
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from server.twins.core import WireError
from server.twins.core.auth import bearer
from server.twins.github import errors
from server.twins.github.access import READ
from server.twins.github.git import objects
from server.twins.github.git.archive import FORMATS, archive

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.github.call import Call
    from server.twins.github.door import Door
    from server.twins.github.state import Hub

Doc = dict[str, Any]

_REPO = "/repos/{owner}/{repo}"
_KINDS = {"tarball": "tar.gz", "zipball": "zip"}


def routes(door: Door) -> list[BaseRoute]:
    tar, zipped = (f"repos/contents#download-a-repository-archive-{kind}" for kind in ("tar", "zip"))
    return [
        *door.on(f"GET {_REPO}/tarball", lead_on, tar, READ),
        *door.on(f"GET {_REPO}/tarball/{{ref:path}}", lead_on, tar, READ),
        *door.on(f"GET {_REPO}/zipball", lead_on, zipped, READ),
        *door.on(f"GET {_REPO}/zipball/{{ref:path}}", lead_on, zipped, READ),
    ]


async def lead_on(call: Call) -> Response:
    doc, ref = call.repository, call.path.get("ref") or call.repository["default_branch"]
    if await call.git.resolve(ref) is None:
        raise errors.not_found()
    kind = next(kind for word, kind in _KINDS.items() if f"/{word}" in call.request.url.path)
    place = f"{call.shapes.named(doc)}/legacy.{kind}/{ref}"
    ticket = f"?token={call.hub.tickets.issue(place)}" if doc["private"] else ""
    location = f"{call.shapes.base}/{quote(place)}{ticket}"
    return Response(status_code=302, headers={"Location": location, "Cache-Control": "max-age=0, private"})


def downloads(hub: Hub) -> list[BaseRoute]:
    """Where they lead. Of another host, at GitHub; of the same here."""

    async def download(request: Request) -> Response:
        doc, kind, ref = _opened(hub, request), request.path_params["kind"], request.path_params["ref"]
        git = hub.repositories.git(doc)
        commit = await git.resolve(ref)
        if commit is None or kind not in FORMATS:
            raise WireError(404, "404: Not Found")
        name = f"{hub.repositories.full_name(doc).replace('/', '-')}-{commit[:7]}"
        headers = {"Content-Disposition": f"attachment; filename={name}.{kind}", "ETag": f'W/"{commit}"'}
        return StreamingResponse(archive(git, commit, kind, name), media_type=FORMATS[kind], headers=headers)

    async def raw(request: Request) -> Response:
        doc, rest = _opened(hub, request), request.path_params["rest"].split("/")
        git = hub.repositories.git(doc)
        for length in range(1, len(rest)):  # a branch's name may hold slashes
            commit = await git.resolve("/".join(rest[:length]))
            entry = await objects.entry_at(git, commit, "/".join(rest[length:])) if commit else None
            if entry is not None and entry.kind == "blob":
                content = await objects.blob(git, entry.sha) or b""
                return Response(content, media_type=_described(entry.path), headers={"ETag": f'W/"{entry.sha}"'})
        raise WireError(404, "404: Not Found")

    return [
        Route("/{owner}/{repo}/legacy.{kind}/{ref:path}", download, methods=["GET"]),
        Route("/{owner}/{repo}/raw/{rest:path}", raw, methods=["GET"]),
    ]


def _opened(hub: Hub, request: Request) -> Doc:
    """The repository, for who brings a ticket to just this place, or a token that may read it."""
    owner, name = request.path_params["owner"], request.path_params["repo"]
    doc = hub.repositories.named(owner, name)
    if doc is None:
        raise WireError(404, "404: Not Found")
    place = request.url.path.lstrip("/")
    if hub.tickets.opens(request.query_params.get("token", ""), place):
        return doc
    actor = hub.actor(bearer(request, "bearer", "token")) if "authorization" in request.headers else None
    if not hub.access.sees(actor, doc) or not hub.access.may(actor, doc, READ):
        raise WireError(404, "404: Not Found")
    return doc


def _described(path: str) -> str:
    """As raw.githubusercontent.com: no page of it is ever drawn by a browser."""
    kind = guess_type(path)[0] or ""
    return kind if kind.startswith(("image/png", "image/jpeg", "image/gif")) else "text/plain; charset=utf-8"
