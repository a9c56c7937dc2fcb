"""What every call passes: who calls, in which form, the limits, the repository; and what it carries away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from server.twins.core import WireError
from server.twins.core.auth import bearer
from server.twins.github import errors
from server.twins.github.call import Call
from server.twins.github.conditional import conditional
from server.twins.github.headers import LATEST, VERSIONS, dressed, media_asked
from server.twins.github.limits import Limits
from server.twins.github.shapes import Shapes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.github.access import Need
    from server.twins.github.actors import Actor
    from server.twins.github.state import Hub

LARGEST_BODY = 10 * 2**20
_REPOSITORY = "/repos/{owner}/{repo}"
_CREATING = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class Operation:
    """One of GitHub's: the page that documents it, and what it asks of a caller who names a repository."""

    answer: Callable[[Call], Awaitable[Response]]
    page: str
    need: Need | None
    counted: bool
    creates: bool


class Door:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.limits = Limits(hub.site, hub.installations)

    def on(
        self,
        spec: str,
        answer: Callable[[Call], Awaitable[Response]],
        page: str,
        need: Need | None = None,
        *,
        counted: bool = True,
        creates: bool = True,
        largest: int = LARGEST_BODY,
    ) -> list[Route]:
        """`spec` is method and path. A repository's operations can be reached by its id, too.

        `page` is where docs.github.com/rest describes it; `creates` is false for a write that makes nothing.
        """
        method, path = spec.split()
        operation = Operation(answer, page, need, counted, creates and method in _CREATING)
        paths = [path, path.replace(_REPOSITORY, "/repositories/{repository_id:int}")]
        return [
            Route(each, self._handler(operation), methods=[method], max_body_size=largest)
            for each in dict.fromkeys(paths)
        ]

    def _handler(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            actor, known = None, False
            try:
                actor = self._authenticate(request)
                known = True
                response = await self._answer(request, actor, operation)
            except errors.Refusal as refusal:
                response = refusal.documented(operation.page if known else "").response()
            except WireError as error:
                response = error.response()
            return self._dressed(request, actor, operation, response)

        return handle

    def _authenticate(self, request: Request) -> Actor | None:
        if not request.headers.get("user-agent"):
            raise errors.no_user_agent()
        version = request.headers.get("x-github-api-version", LATEST)
        if version not in VERSIONS:
            raise errors.unknown_version(version, VERSIONS)
        if "authorization" not in request.headers:
            return None
        actor = self._hub.actor(bearer(request, "bearer", "token"))
        if actor is None:
            raise errors.bad_credentials()
        return actor

    async def _answer(self, request: Request, actor: Actor | None, operation: Operation) -> Response:
        address = _address(request)
        version = request.headers.get("x-github-api-version", LATEST)
        shapes = Shapes(self._hub, str(request.base_url).rstrip("/"), version)
        call = Call(self._hub, request, actor, shapes, media_asked(request))
        with self.limits.inside(self.limits.who(actor, address)):
            if operation.counted:
                self.limits.admit(actor, address, request.method, creates=operation.creates)
            free = not operation.counted
            try:
                call = replace(call, found=self._found(call, operation))
                response = conditional(request, await operation.answer(call))
                free = free or response.status_code == 304  # noqa: PLR2004 - not modified
            finally:
                if not free:
                    self.limits.count(actor, address)
        return response

    def _found(self, call: Call, operation: Operation) -> dict[str, Any] | None:
        """The repository the path names, when the caller may do to it what they ask for."""
        path = call.path
        if operation.need is None:
            return None
        if "repository_id" in path:
            doc = self._hub.by_id(path["repository_id"], call.actor)
        elif moved := self._hub.moved(path["owner"], path["repo"], call.actor):
            raise errors.moved(_by_id(call, moved), changes=call.request.method not in ("GET", "HEAD"))
        else:
            doc = self._hub.find(path["owner"], path["repo"], call.actor)
        self._hub.access.demand(call.actor, doc, operation.need)
        return doc

    def _dressed(self, request: Request, actor: Actor | None, operation: Operation, response: Response) -> Response:
        scope = operation.need.scope if operation.need else ""
        standing = self.limits.standing(actor, _address(request)) if _is_there(self._hub, actor) else None
        return dressed(request, response, actor, standing, self._hub.site.clock(), accepted_scopes=scope)

    def unrouted(self, request: Request) -> Response:
        """What GitHub says where there is nothing."""
        return self._plain(request, errors.not_found())

    def broken(self, request: Request) -> Response:
        """What it says when it fails."""
        return self._plain(request, errors.server_error())

    def _plain(self, request: Request, refusal: errors.Refusal) -> Response:
        return dressed(request, refusal.response(), None, None, self._hub.site.clock(), accepted_scopes="")


def _is_there(hub: Hub, actor: Actor | None) -> bool:
    """Whether the caller still exists: an installation may just have been removed."""
    return (
        actor is None
        or not actor.installation
        or any(each["id"] == actor.installation for each in hub.installations.all())
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _by_id(call: Call, moved: dict[str, Any]) -> str:
    """The same address under the repository's id, which no rename changes."""
    raw = call.request.scope["raw_path"].decode().partition("?")[0]
    rest = "/".join(raw.split("/")[4:])
    query = call.request.url.query
    return (
        f"{call.shapes.base}/repositories/{moved['id']}" + (f"/{rest}" if rest else "") + (f"?{query}" if query else "")
    )
