"""What a browser gets: an `html_url` leads to the twin's own page of the same place."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.github.door import Door

_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, PUT, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, "
        "Accept-Encoding, X-GitHub-OTP, X-Requested-With, User-Agent, GraphQL-Features, X-GitHub-Api-Version"
    ),
    "Access-Control-Max-Age": "86400",
}


def routes(door: Door) -> list[BaseRoute]:
    async def page(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return door.unrouted(request)
        return RedirectResponse(f"/_twin/#{quote(request.url.path.strip('/'), safe='')}", 302)

    return [
        Route("/{path:path}", preflight, methods=["OPTIONS"]),
        Route("/avatars/u/{id:int}", avatar, methods=["GET"]),
        Route("/{owner}", page, methods=["GET"]),
        Route("/{owner}/{repo}", page, methods=["GET"]),
        *(
            Route(f"/{{owner}}/{{repo}}/{kind}/{{rest:path}}", page, methods=["GET"])
            for kind in ("tree", "blob", "commit", "commits")
        ),
    ]


async def preflight(_request: Request) -> Response:
    """A browser asks before it lets a page of another origin call."""
    return Response(status_code=204, headers=_PREFLIGHT)


async def avatar(request: Request) -> Response:
    """Five by five squares, told by the id."""
    bits = int.from_bytes(sha256(str(request.path_params["id"]).encode()).digest())
    color = f"hsl({bits % 360} 55% 50%)"
    cells = [(x, y) for y in range(5) for x in range(3) if bits >> (9 + y * 3 + x) & 1]
    squares = "".join(
        f'<rect x="{at}" y="{y}" width="1" height="1"/>' for x, y in cells for at in dict.fromkeys((x, 4 - x))
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 7 7" fill="{color}">{squares}</svg>'
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
