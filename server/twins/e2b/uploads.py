"""The files of COPY instructions: archives by their hash, put where a signed link leads."""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from server.twins.core import ids
from server.twins.e2b.errors import wire

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from server.twins.core import Site

LINK_SECONDS = 3600
LIMIT = 4 << 30


class Uploads:
    def __init__(self, site: Site) -> None:
        self._site = site
        self.folder: Path = site.data / "uploads"

    def routes(self) -> list[Route]:
        """Not behind the team's key: the link is the right to use it."""
        return [Route("/storage/templates/{id}/{hash}", self._receive, methods=["PUT"])]

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def link(self, template: str, name: str) -> str:
        path, expires = f"/storage/templates/{template}/{name}", int(time.time()) + LINK_SECONDS
        return f"{self._site.base_url}{path}?expires={expires}&signature={self._sign(path, str(expires))}"

    def _sign(self, path: str, expires: str) -> str:
        secret = self._site.admin.reveal().encode()
        return hmac.new(secret, f"PUT {path} {expires}".encode(), sha256).hexdigest()

    async def _receive(self, request: Request) -> Response:
        query = request.query_params
        expires = query.get("expires", "")
        fits = hmac.compare_digest(self._sign(request.url.path, expires), query.get("signature", ""))
        if not fits or not expires.isdigit() or int(expires) < time.time():
            raise wire(403, "the link is not valid, or no longer")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        making, total = self.folder / f".{ids.lower(12)}", 0
        try:
            with making.open("xb") as out:
                async for chunk in request.stream():
                    total += len(chunk)
                    if total > LIMIT:
                        raise wire(413, "the archive is too large")
                    await asyncio.to_thread(out.write, chunk)
            os.replace(making, self.folder / request.path_params["hash"])  # noqa: PTH105 - the name as a whole
        finally:
            making.unlink(missing_ok=True)
        return Response(status_code=200)
